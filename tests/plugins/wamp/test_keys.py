"""Logins with the keys of a password file: WAMP-CRA and cryptosign, as Autobahn signs."""

from __future__ import annotations

import json

import pytest
from autobahn.wamp.auth import compute_wcs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.internet.task import Clock

import wamp_client as wamp
from hubbub.service.auth.login import Logins
from wamp_client import WampHub

KEY = "0f" * 32
OWN = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)


class Always:
    """Any number of attempts."""

    def allowed(self, host):
        return True

    def failed(self, host):
        pass


@pytest.fixture
def hub(tmp_path):
    public = OWN.public_key().public_bytes_raw().hex()
    (tmp_path / "passwords").write_text(
        f"cra:*:key={KEY}\nrobot:*:ed25519={public}\nboth:*:key={KEY}:ed25519={public}\n"
    )
    logins = Logins(Clock(), [("--auth", f"hubbub:{tmp_path}/passwords")], Always())
    return WampHub(login=logins.login, anonymous=False)


def cra(challenge, secret=KEY):
    return compute_wcs(secret, challenge).decode() if isinstance(challenge, str) else ""


def sign(challenge):
    return OWN.sign(bytes.fromhex(challenge)).hex() + challenge


def log_in(hub, user, method, answer):
    client = hub.stranger()
    client.end.send(json.dumps([wamp.HELLO, "realm1", {"roles": wamp.ROLES, "authid": user, "authmethods": [method]}]))
    ((code, said, extra),) = client.heard()
    assert (code, said) == (wamp.CHALLENGE, method)
    (found,) = client.say(wamp.AUTHENTICATE, answer(extra["challenge"]), {})
    return found


@pytest.mark.parametrize(
    ("user", "method", "answer"),
    [("cra", "wampcra", cra), ("robot", "cryptosign", sign), ("both", "wampcra", cra), ("both", "cryptosign", sign)],
)
def test_the_right_key(hub, user, method, answer):
    welcome = log_in(hub, user, method, answer)
    assert welcome[0] == wamp.WELCOME
    details = welcome[2]
    assert (details["authid"], details["authmethod"], details["authrole"]) == (user, method, "user")


@pytest.mark.parametrize(
    ("user", "method", "answer"),
    [
        ("cra", "wampcra", lambda challenge: cra(challenge, "wrong")),
        ("cra", "wampcra", lambda challenge: "é"),
        ("robot", "wampcra", cra),
        ("nobody", "wampcra", cra),
        ("cra", "cryptosign", sign),
        ("robot", "cryptosign", lambda challenge: "00" * 64 + challenge),
        ("robot", "cryptosign", lambda challenge: sign(challenge)[:128] + "00" * 32),
        ("robot", "cryptosign", lambda challenge: "no digits"),
        ("nobody", "cryptosign", sign),
    ],
)
def test_the_wrong_key(hub, user, method, answer):
    abort = log_in(hub, user, method, answer)
    assert (abort[0], abort[2]) == (wamp.ABORT, "wamp.error.authentication_failed")


def test_a_method_that_no_checker_has():
    hub = WampHub()
    client = hub.stranger()
    abort = client.hello(authid="ann", authmethods=["wampcra"])
    assert (abort[0], abort[2]) == (wamp.ABORT, "wamp.error.no_matching_auth_method")
