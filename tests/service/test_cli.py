"""The command `hubbub` itself; what `hubbub run` then does is tested with the tap."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hub_process import HUBBUB
from hubbub.service.cli import main


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"], []])
def test_help_lists_the_commands(arguments, capsys):
    assert main(arguments) == 0
    output = capsys.readouterr().out
    assert "hubbub run [OPTIONS]" in output
    assert all(len(line) <= 80 for line in output.splitlines())


@pytest.mark.parametrize("arguments", [["run", "-h"], ["--help"], ["status", "--help"], ["completion", "bash"]])
def test_a_reader_that_has_seen_enough(arguments):
    """As `hubbub run -h | head -1`, whose end may come before the output."""
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run([*HUBBUB, *arguments], stdout=writes, stderr=subprocess.PIPE, text=True, timeout=30)
    os.close(writes)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["start", "--verbose", "Run", ""])
def test_an_unknown_command_is_one_line_and_status_1(command, capsys):
    assert main([command, "--tcp", "tcp:0"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"hubbub: no command '{command}'")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "says"), [("stauts", ", did you mean status?"), ("x", "; there are run, pub, sub, ")]
)
def test_an_unknown_command_gets_a_list_of_commands(command, says, capsys):
    assert main([command]) == 1
    assert says in capsys.readouterr().err


def test_run_is_twistd_in_this_process():
    """In a process of its own, as twistd reads sys.argv and may install a reactor."""
    program = (
        "import sys, twisted.scripts.twistd as t\n"
        "t.run = lambda: print(sys.argv)\n"
        "from hubbub.service.cli import main\n"
        "sys.exit(main(['run', '--tcp', 'tcp:0']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    logger = "--logger=hubbub.service.logs.observers.by_destination"
    before = ["twistd", "--nodaemon", "--pidfile=", logger]
    assert done.stdout == f"{[*before, 'hubbub', '--tcp', 'tcp:0']}\n"
