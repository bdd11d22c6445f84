"""`hubbub passwd`: over a pipe and at a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from hub_process import HUBBUB, hubbub
from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.service.auth.passwords import read
from hubbub.service.auth.scram import COSTS
from hubbub.service.commands.passwd import passwd as command
from interop.nats.jwt import made


def passwd(*words, said="", status=0):
    """Run it, and return what it prints: on stdout, or where it fails on stderr."""
    done = hubbub("passwd", *words, said=said)
    assert done.returncode == status, done
    if done.stderr:
        assert done.stderr.startswith("hubbub: ")
        assert done.stderr.count("\n") == 1
    return done.stdout + done.stderr


def test_add_check_and_remove(tmp_path):
    file = tmp_path / "passwords"
    assert passwd("add", file, "ann", said="a secret \nmore\n") == ""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert passwd("check", file, "ann", said="a secret \n") == "right\n"
    assert passwd("check", file, "ann", said="a secret", status=1) == "wrong\n"
    passwd("add", file, "ben", said="b")
    passwd("add", file, "ann", said="new\r\n")
    assert list(read(file, True).entries) == ["ann", "ben"]
    assert passwd("check", file, "ann", said="new") == "right\n"
    assert passwd("remove", file, "ann") == ""
    assert list(read(file, True).entries) == ["ben"]
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("kdf", COSTS)
def test_scram(tmp_path, kdf):
    """It stays with the user, and goes with the password."""
    file = tmp_path / "passwords"
    file.write_text(f"ann:*:key={'0f' * 32}:ed25519={'0e' * 32}\n")
    passwd("add", "--scram", kdf, file, "ann", said="one")
    first = read(file, True).entries["ann"]
    assert (first.key, first.public, first.scram.kdf) == (b"\x0f" * 32, b"\x0e" * 32, kdf)
    assert passwd("check", file, "ann", said="one") == "right\n"
    passwd("add", file, "ann", said="two")
    second = read(file, True).entries["ann"]
    assert (second.key, second.public, second.scram.kdf) == (first.key, first.public, kdf)
    assert second.scram != first.scram
    assert passwd("list", file) == "ann  (has a datagram key and a public key and SCRAM)\n"


def test_a_public_key(tmp_path):
    """As NATS writes it, or in digits; the password stays."""
    file = tmp_path / "passwords"
    passwd("add", file, "ann", said="one")
    before = read(file, True).entries["ann"]
    user = made("U")
    for text, key in (("0e" * 32, b"\x0e" * 32), (user.public, user.private.public_key().public_bytes_raw())):
        assert passwd("add", "--public-key", text, file, "ann") == ""
        assert read(file, True).entries["ann"] == replace(before, public=key)
    assert passwd("list", file) == "ann  (has a public key)\n"


def test_list(tmp_path, capsys):
    file = tmp_path / "passwords"
    file.write_text(f"# people\nben:*\nann:*:key={'0' * 64}\n")
    assert command(["list", str(file)]) == 0
    assert capsys.readouterr().out == "ben\nann  (has a datagram key)\n"


def test_commands_at_once_lose_no_change(tmp_path):
    file = tmp_path / "passwords"
    file.write_text("first:*\n")
    names = [f"user{number}" for number in range(40)]
    with ThreadPoolExecutor(20) as pool:
        assert {*pool.map(lambda name: command(["add", "--datagram-key", str(file), name]), names)} == {0}
    assert {*read(file, True).entries} == {"first", *names}


def test_a_folder_that_stays_locked_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "PASSWD_LOCK_SECONDS", 0.0)
    holder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with pytest.raises(ConfigError, match="another command has locked the folder; nothing was changed"):
        command(["add", "--datagram-key", str(tmp_path / "passwords"), "ann"])
    os.close(holder)


def test_everything_else_stays(tmp_path):
    file, link = tmp_path / "passwords", tmp_path / "link"
    file.write_text("# people\n\nkey:*\n#ann:old\x85\n")
    file.chmod(0o640)
    link.symlink_to(file)
    passwd("add", link, "ann", said="x")
    assert link.is_symlink()
    assert file.read_text().startswith("# people\n\nkey:*\n#ann:old\x85\nann:$argon2id$")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    passwd("remove", link, "ann")
    assert file.read_text() == "# people\n\nkey:*\n#ann:old\x85\n"


def test_a_key_for_datagrams(tmp_path):
    file = tmp_path / "passwords"
    key = passwd("add", "--datagram-key", file, "ann").strip()
    assert read(file, True).entries["ann"].key == bytes.fromhex(key)
    passwd("add", file, "ann", said="a secret")
    other = passwd("add", file, "ann", "--datagram-key").strip()
    assert key != other
    assert read(file, True).entries["ann"].key == bytes.fromhex(other)
    assert passwd("check", file, "ann", said="a secret") == "right\n"


@pytest.mark.parametrize(
    ("words", "said", "says"),
    [
        (("add", "passwords", "ann"), "", "the password is empty"),
        (("add", "passwords", "a:b"), "x", "a:b: a user's name"),
        (("add", "passwords", "TOKEN"), "x", "AUTH TOKEN means"),
        (("add", "passwords", "ann"), "x" * 2_000, "longer than 1024 bytes"),
        (("add", "nowhere/passwords", "ann"), "x", "nowhere/passwords: No such file"),
        (("add", ".", "ann"), "x", "Is a directory"),
        (("add", "broken", "ann"), "x", "broken, line 1: "),
        (("remove", "passwords", "eve"), "", "there is no user eve"),
        (("check", "passwords", "eve"), "x", "there is no user eve"),
        (("check", "nowhere", "eve"), "x", "nowhere: No such file"),
        (("remove", "--datagram-key", "passwords", "ann"), "", "is for add"),
        (("remove", "--scram", "pbkdf2", "passwords", "ann"), "", "--scram is for add"),
        (("add", "--scram", "pbkdf2", "--datagram-key", "passwords", "ann"), "x", "can't be combined"),
        (("check", "--public-key", "0f" * 32, "passwords", "ann"), "x", "--public-key is for add"),
        (("add", "--public-key", "UABC", "passwords", "ann"), "x", "--public-key"),
        (("add", "--scram", "md5", "passwords", "ann"), "x", "--scram"),
        (("list", "passwords", "ann"), "", "list has no USER"),
        (("list", "nowhere"), "", "nowhere: No such file"),
        (("add", "passwords"), "x", "add needs a USER"),
    ],
)
def test_mistakes_are_one_line_and_change_nothing(tmp_path, monkeypatch, words, said, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "passwords").write_text("ben:*\n")
    (tmp_path / "broken").write_text("nonsense\n")
    assert says in passwd(*words, said=said, status=1)
    assert (tmp_path / "passwords").read_text() == "ben:*\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "passwords"]


def test_help():
    assert "add FILE USER" in passwd("--help")
    assert "passwd" in hubbub("--help").stdout


@pytest.mark.parametrize("again", ["a secret", "another"])
def test_at_a_terminal_it_asks_twice_and_shows_nothing(tmp_path, again):
    file = tmp_path / "passwords"
    child, terminal = pty.fork()
    if child == 0:
        os.execv(HUBBUB[0], [*HUBBUB, "passwd", "add", str(file), "ann"])
    shown = b""
    for answer in (b"a secret\n", again.encode() + b"\n"):
        before = len(shown)
        while b": " not in shown[before:]:
            shown += os.read(terminal, 1_000)
        os.write(terminal, answer)
    while True:
        try:
            piece = os.read(terminal, 1_000)
        except OSError:  # the other end has gone
            break
        if not piece:
            break
        shown += piece
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    assert b"secret" not in shown
    assert b"New password of ann: " in shown
    assert b"The same again: " in shown
    assert (os.waitstatus_to_exitcode(status) == 0) == (again == "a secret") == file.exists()
    assert (b"differ" in shown) == (again != "a secret")
