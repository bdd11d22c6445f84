"""hubbub/nats_protocol/nkeys.py: seeds, public keys, .creds files, signatures; and logins of the server's side."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from hubbub.errors import ConfigError
from hubbub.nats_protocol.nkeys import Credentials, credentials, is_signed, read_public, read_seed, write_public
from hubbub.service.auth.login import Logins
from hubbub.testing import World
from hubbub_plugins.nats import Nats
from interop.nats.jwt import creds, made

ACCOUNT, USER = made("A"), made("U")
PUBLIC = USER.public


def test_keys_as_text() -> None:
    raw = USER.private.public_key().public_bytes_raw()
    assert PUBLIC[0] == "U"
    assert USER.seed.startswith("SU")
    assert (read_public(PUBLIC), write_public(raw)) == (raw, PUBLIC)
    assert read_seed(USER.seed) == USER.private.private_bytes_raw()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "checksum"),
        ("U1", "capital letters and digits"),
        (USER.seed[:-1], "capital letters and digits|checksum"),
        (USER.seed[:10] + ("B" if USER.seed[10] == "A" else "A") + USER.seed[11:], "checksum"),
        (PUBLIC, "begins with SU"),
        (ACCOUNT.seed, "begins with SU"),
    ],
    ids=["nothing", "no key", "short", "changed", "public", "of an account"],
)
def test_what_is_no_seed(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_seed(text)


@pytest.mark.parametrize("text", [USER.seed, ACCOUNT.public, PUBLIC[:-2]], ids=["seed", "of an account", "short"])
def test_what_is_no_public_key(text: str) -> None:
    with pytest.raises(ValueError, match=r"begins with U|checksum|capital"):
        read_public(text)


def test_files(tmp_path: Path) -> None:
    place = tmp_path / "user"
    place.write_text(USER.seed + "\n")
    assert credentials(str(place)) == Credentials("", read_seed(USER.seed))
    place.write_text(creds(ACCOUNT, USER))
    found = credentials(str(place))
    assert found.jwt.count(".") == 2
    assert found.seed == read_seed(USER.seed)
    assert repr(found.seed) not in repr(found)
    for text in ("", "-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n", "\xff"):
        place.write_text(text, encoding="latin-1")
        with pytest.raises(ValueError, match=r"expected a|checksum"):
            credentials(str(place))
    with pytest.raises(ValueError, match="can't be read"):
        credentials(str(tmp_path / "none"))


def test_a_login_signs_the_nonce() -> None:
    said = Credentials("", read_seed(USER.seed)).login("abc")
    assert said["nkey"] == PUBLIC
    key = read_public(PUBLIC)
    assert is_signed(key, "abc", said["sig"])
    for nonce, signature in (("abd", said["sig"]), ("abc", said["sig"][:-4] + "AAAA"), ("abc", "ä"), ("abc", "")):
        assert not is_signed(key, nonce, signature)
    assert len(base64.urlsafe_b64decode(said["sig"] + "==")) == 64
    assert Credentials("a.b.c", read_seed(USER.seed)).login("abc").keys() == {"jwt", "sig"}


# Logins


class Attempts:
    """Any number of them, counted."""

    count = 0

    def allowed(self, host: str) -> bool:
        return True

    def failed(self, host: str) -> None:
        self.count += 1


class Hub:
    """A listener for NATS clients, and one for all others, with these lines as a password file."""

    def __init__(self, folder: Path, *lines: str) -> None:
        (folder / "passwords").write_text("".join(f"{line}\n" for line in lines))
        self.attempts = Attempts()
        logins = Logins(Clock(), [("--auth", f"hubbub:{folder}/passwords")], self.attempts)
        self.world = World()
        self.listener = self.world.listen("tcp", Nats, login=logins.login, anonymous=False)
        context = self.listener.context
        context.dialect_context = replace(context.dialect_context, login=True)

    def client(self) -> tuple[Any, str]:
        """Connect; return the client's end, and the nonce that it is told."""
        end = self.listener.connect()
        return end, json.loads(end.received().removeprefix(b"INFO "))["nonce"]

    def log_in(self, end: Any, **said: str) -> bytes:
        end.send(b"CONNECT " + json.dumps({"verbose": False, **said}).encode() + b"\r\nPING\r\n")
        self.world.turn()
        return end.received()


def signed(key: Any, nonce: str) -> str:
    return base64.urlsafe_b64encode(key.private.sign(nonce.encode())).rstrip(b"=").decode()


REFUSED = b"-ERR 'Authorization Violation'\r\n"


@pytest.mark.parametrize("field", [f"nkey={PUBLIC}", f"ed25519={read_public(PUBLIC).hex()}"], ids=["nkey", "ed25519"])
def test_the_owner_of_a_key_is_its_user(tmp_path: Path, field: str) -> None:
    hub = Hub(tmp_path, f"robot:*:{field}")
    end, nonce = hub.client()
    assert hub.log_in(end, nkey=PUBLIC, sig=signed(USER, nonce)) == b"PONG\r\n"
    (link,) = hub.listener.context.links
    assert link.session.user == "robot"


OTHER = made("U")


@pytest.mark.parametrize(
    "said",
    [
        lambda nonce: {"nkey": PUBLIC, "sig": signed(OTHER, nonce)},
        lambda nonce: {"nkey": OTHER.public, "sig": signed(OTHER, nonce)},  # of no user
        lambda nonce: {"nkey": PUBLIC, "sig": signed(USER, nonce + "x")},
        lambda nonce: {"nkey": PUBLIC, "sig": signed(USER, "")},
        lambda nonce: {"nkey": PUBLIC, "sig": ""},
        lambda nonce: {"nkey": PUBLIC, "sig": "not base64 é"},
        lambda nonce: {"nkey": ACCOUNT.public, "sig": signed(ACCOUNT, nonce)},
        lambda nonce: {"nkey": "", "sig": signed(USER, nonce)},
        lambda nonce: {"sig": signed(USER, nonce)},
        lambda nonce: {"nkey": PUBLIC, "jwt": "a.b.c", "sig": signed(USER, nonce)},
        lambda nonce: {"nkey": PUBLIC},
    ],
    ids=[
        "another key's", "a stranger's", "another nonce", "no nonce", "empty", "no base64", "an account's", "no key",
        "no key at all", "with a JWT", "no signature",
    ],
)  # fmt: skip
def test_a_client_that_proves_nothing_stays_out(tmp_path: Path, said: Any) -> None:
    hub = Hub(tmp_path, f"robot:*:nkey={PUBLIC}", "ann:*")
    end, nonce = hub.client()
    words = said(nonce)
    assert hub.log_in(end, **words).startswith(REFUSED)
    assert end.closed
    assert hub.attempts.count == ("sig" in words)


def test_a_signature_is_good_for_one_connection(tmp_path: Path) -> None:
    """Somebody who reads the wire has it."""
    hub = Hub(tmp_path, f"robot:*:nkey={PUBLIC}")
    (first, nonce), (second, other) = hub.client(), hub.client()
    assert nonce != other
    assert len(nonce) >= 16
    said = {"nkey": PUBLIC, "sig": signed(USER, nonce)}
    assert hub.log_in(second, **said).startswith(REFUSED)
    assert hub.log_in(first, **said) == b"PONG\r\n"


def test_a_key_of_two_users_logs_in_neither(tmp_path: Path) -> None:
    hub = Hub(tmp_path, f"robot:*:nkey={PUBLIC}", f"twin:*:nkey={PUBLIC}")
    end, nonce = hub.client()
    assert hub.log_in(end, nkey=PUBLIC, sig=signed(USER, nonce)).startswith(REFUSED)


def test_a_file_with_a_key_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="line 1: robot: "):
        Hub(tmp_path, f"robot:*:nkey={ACCOUNT.public}").listener.context.login(None, None, None)
