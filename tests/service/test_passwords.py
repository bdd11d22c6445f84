"""Password files: hubbub's and Mosquitto's, what is wrong with one, and that a changed one is read again."""

from __future__ import annotations

import subprocess

import pytest

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.identity import Identity
from hubbub.service.auth import hashes, mosquitto, passwords
from hubbub.service.auth.kinds import NotApplicable, Password

# Cheap to check, so that a test isn't slow; made with argon2 -id -t 1 -k 8 -p 1.
CHEAP = hashes._hasher.__class__(time_cost=1, memory_cost=8, parallelism=1)


def cheap(password):
    return CHEAP.hash(password)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "passwords"
    path.write_text(f"# people\nann:{cheap('a secret')}\nben:{cheap('löwe:#')}\n\nkey:*:key={'ab' * 32}\n")
    return path


def log_in(checker, user, password):
    return checker.requestAvatarId(Password(user, password))


def test_users_of_the_file(file):
    checker = passwords.make(str(file))
    assert log_in(checker, "ann", "a secret") == Identity("ann")
    assert log_in(checker, "ben", "löwe:#") == Identity("ben")
    for user, password in [("ann", "a secre"), ("ann", ""), ("ben", "a secret"), ("eve", "x"), ("", ""), ("key", "*")]:
        with pytest.raises(NotApplicable, match="wrong user or password"):
            log_in(checker, user, password)
    assert checker.datagram_key("key") == b"\xab" * 32
    assert checker.datagram_key("ann") is checker.datagram_key("eve") is None


def test_what_was_right_is_remembered_for_a_while_and_not_in_clear(file, monkeypatch):
    checker = passwords.make(str(file))
    ann = Password("ann", "a secret")
    assert checker.recall(ann) is None
    log_in(checker, "ann", "a secret")
    assert checker.recall(ann) == Identity("ann")
    assert checker.recall(Password("ann", "a secre")) is checker.recall(Password("eve", "a secret")) is None
    table = checker._file.get()
    assert all(b"secret" not in digest for digest in table._known)
    assert not table.recalls("ann", b"a secret", 1e12)
    for at in range(5):
        monkeypatch.setattr(limits, "LOGIN_CACHE", 3)
        table.remember(f"u{at}", b"", 0)
    assert len(table._known) == 3


def test_a_changed_file_counts_at_once(file):
    checker = passwords.make(str(file))
    log_in(checker, "ann", "a secret")
    file.write_text(f"ann:{cheap('another')}\n")
    assert checker.recall(Password("ann", "a secret")) is None
    with pytest.raises(NotApplicable):
        log_in(checker, "ann", "a secret")
    assert log_in(checker, "ann", "another") == Identity("ann")
    file.write_text("ann:nonsense\n")
    assert log_in(checker, "ann", "another") == Identity("ann")  # what it said before stays
    file.unlink()
    assert log_in(checker, "ann", "another") == Identity("ann")
    file.write_text("")
    with pytest.raises(NotApplicable):
        log_in(checker, "ann", "another")


def test_an_unknown_user_costs_a_comparison_too(file, monkeypatch):
    """So that the time tells nothing: the same work for who isn't there, by the same parameters."""
    checker, seen = passwords.make(str(file)), []
    monkeypatch.setattr(hashes, "verify", lambda known, password: seen.append(known.rsplit("$", 2)[0]))
    for user in ("ann", "eve", "key"):
        with pytest.raises(NotApplicable):
            log_in(checker, user, "wrong")
    assert seen[0] == seen[1] == seen[2]
    empty = file.with_name("empty")
    empty.write_text("")
    with pytest.raises(NotApplicable):
        log_in(passwords.make(str(empty)), "eve", "x")
    assert seen[3].startswith("$argon2id$v=19$m=65536,t=3,p=4")


def test_an_unknown_user_costs_the_same_in_a_file_of_several_kinds(tmp_path, monkeypatch):
    """Where hashes take different times, being slow or fast doesn't tell who is there."""
    path, seen = tmp_path / "passwords", []
    path.write_text(f"ann:{cheap('x')}\nben:$6$c2FsdA==$" + "QUFB" * 21 + "QQ==\n")
    checker = passwords.make(str(path))
    monkeypatch.setattr(hashes, "verify", lambda known, password: seen.append(known[:3]))
    for user in [f"eve{at}" for at in range(64)] * 2:
        with pytest.raises(NotApplicable):
            log_in(checker, user, "wrong")
    assert set(seen) == {"$ar", "$6$"}
    assert seen[:64] == seen[64:]


def test_an_unknown_user_costs_the_hash_of_a_known_one():
    made = hashes.make(b"x")
    assert made.rsplit("$", 2)[0] == hashes.UNKNOWN_USER.rsplit("$", 2)[0]
    assert hashes.verify(made, b"x")
    assert not hashes.verify(made, b"y")
    assert not hashes.verify(hashes.UNKNOWN_USER, b"")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ann\n", "line 1: ann: expected a hash"),
        ("ann:secret\n", "line 1: ann: expected a hash"),
        ("\n\nann:$argon2id$v=19$m=8\n", "line 3: ann: the argon2 hash is malformed"),
        (f"ann:{cheap('x').replace('m=8', 'm=99999999')}\n", "too much memory"),
        (f"ann:{cheap('x')}\nann:{cheap('x')}\n", "line 2: ann already exists"),
        ("ann:*:nonsense\n", "line 1: ann: expected key="),
        ("ann:*:key=abc\n", "64 hexadecimal digits"),
        (":*\n", "a user's name has"),
        ("TOKEN:*\n", "AUTH TOKEN"),
        ("a b:*\n", "a user's name has"),
        ("ann:$6$c2FsdA==$c2hvcnQ=\n", "64 bytes"),
        ("ann:$7$99999999$c2FsdA==$" + "QUFB" * 21 + "QQ==\n", "iterations"),
        ("ann:$7$0000000012000000$c2FsdA==$" + "QUFB" * 21 + "QQ==\n", "iterations"),
        ("ann:$6$???$" + "QUFB" * 21 + "QQ==\n", "base64"),
        ("ann:$1$abc$def\n", "expected a hash"),
        ("ann:\n", "expected a hash"),
    ],
)
def test_what_is_wrong_is_reported_with_its_line(tmp_path, text, says):
    path = tmp_path / "passwords"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"passwords, line [0-9]+: ") as found:
        passwords.make(str(path))
    assert says in str(found.value)
    assert "secret" not in str(found.value)


def test_a_file_that_can_not_be_read(tmp_path):
    (tmp_path / "latin").write_bytes(b"\xff:*\n")
    for name, says in [("nowhere", "No such file"), ("", "Is a directory"), ("latin", "line 1: it isn't UTF-8")]:
        with pytest.raises(ConfigError, match=says):
            passwords.make(str(tmp_path / name))
    for make in (passwords.make, mosquitto.make):
        with pytest.raises(ConfigError, match="expected a"):
            make("")


@pytest.mark.parametrize("kind", ["sha512", "sha512-pbkdf2"])
def test_files_of_mosquitto(tmp_path, need, kind):
    path = tmp_path / "passwd"
    path.touch()
    for user, password in (("ann", "a secret"), ("ünï", "pass wörd")):
        command = [need("mosquitto_passwd"), "-H", kind, "-b", path, user, password]
        subprocess.run(command, check=True, capture_output=True)
    assert path.read_text().startswith("ann:$6$" if kind == "sha512" else "ann:$7$")
    checker = mosquitto.make(str(path))
    assert log_in(checker, "ann", "a secret") == Identity("ann")
    assert log_in(checker, "ünï", "pass wörd") == Identity("ünï")
    for user, password in (("ann", "a"), ("ann", ""), ("eve", "a secret")):
        with pytest.raises(NotApplicable):
            log_in(checker, user, password)


def test_a_mosquitto_file_has_no_keys(tmp_path):
    path = tmp_path / "passwd"
    path.write_text(f"ann:{cheap('x')}:key={'ab' * 32}\n")
    with pytest.raises(ConfigError, match="expected a user and a hash"):
        mosquitto.make(str(path))


def test_nothing_shows_a_secret(file):
    entry = passwords.make(str(file))._file.get().entries["key"]
    assert "ab" * 32 not in repr(entry)
    assert "secret" not in repr(Password("ann", "a secret"))
