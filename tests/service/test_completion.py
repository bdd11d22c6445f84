"""Completions and man pages are made of the help texts, so none of them can say something else."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from hubbub.service.cli import COMMANDS, main
from hubbub.service.commands.completion import SHELLS
from hubbub.service.commands.help_texts import all_help, manual

HELP = all_help()


def test_each_command_has_its_options_and_words():
    assert set(HELP) == {name for name in COMMANDS if name[0] != "-"} - {"help", "version"}
    assert HELP["run"].options["--tcp"]
    assert not HELP["run"].options["--watch"]
    assert HELP["check"].options["--tcp"]
    assert HELP["kick"].options == {
        "--user": True, "--client": True, "--host": True, "--listener": True, "--control": True, "--help": False,
    }  # fmt: skip
    assert HELP["passwd"].words == ("add", "remove", "check", "list")
    assert HELP["check-acl"].words == ()
    for name, help in HELP.items():
        assert 10 < len(help.summary) < 80, name


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("st", {"status", "store"}),
        ("status --l", {"--links"}),
        ("passwd re", {"remove"}),
        ("run --plugin", {"--plugin-dir"}),
        ("run --config hubb", {"hubbub.toml"}),
    ],
)
def test_bash_completes(typed, offered, tmp_path, capsys):
    assert main(["completion", "bash"]) == 0
    (tmp_path / "completion").write_text(capsys.readouterr().out)
    (tmp_path / "hubbub.toml").touch()
    words = ["hubbub", *typed.split(" ")]
    script = f". ./completion; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _hubbub; "
    script += 'printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-uc", script], cwd=tmp_path, capture_output=True, text=True, timeout=20, check=True)
    assert (set(done.stdout.split()), done.stderr) == (offered, "")


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_can_read_its_completion(shell):
    """Where it is installed; each names every command and option."""
    text = SHELLS[shell](HELP)
    for name, help in HELP.items():
        assert name in text
        assert all(option.removeprefix("--") in text for option in help.options)
    if shutil.which(shell) is not None:
        done = subprocess.run([shell, "-n", "/dev/stdin"], input=text, capture_output=True, text=True, timeout=20)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_man_page_is_the_help_text():
    page = manual("kick", HELP["kick"], "1.0")
    assert page.startswith('.TH HUBBUB-KICK 1 "" "hubbub 1.0"')
    body = page.partition(".nf\n")[2].partition("\n.fi\n")[0].replace(r"\-", "-").replace(r"\e", "\\")
    assert body == HELP["kick"].text.rstrip()
    assert r"interface=\e:\e:1" in manual("run", HELP["run"], "1.0")
