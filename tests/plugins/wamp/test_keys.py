"""Logins with the keys of a password file: WAMP-CRA, SCRAM and cryptosign, as Autobahn signs."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from autobahn.wamp.auth import AuthScram, compute_wcs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.internet.task import Clock

import wamp_client as wamp
from hubbub.service.auth.login import Logins
from hubbub.service.auth.scram import ARGON2, COSTS, Scram
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
    ((code, said, extra),) = client.output()
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


# SCRAM


@pytest.fixture
def scram(tmp_path, monkeypatch):
    monkeypatch.setitem(COSTS, ARGON2, (1, 64))
    (tmp_path / "passwords").write_text(f"ann:*:scram={Scram.make(b'secret', ARGON2).text}\nben:*:key={KEY}\n")
    logins = Logins(Clock(), [("--auth", f"hubbub:{tmp_path}/passwords")], Always())
    return WampHub(login=logins.login, anonymous=False)


def ask(hub, user, extra):
    """A client, and the extra of its CHALLENGE."""
    client = hub.stranger()
    details = {"roles": wamp.ROLES, "authid": user, "authmethods": ["scram"], "authextra": extra}
    client.end.send(json.dumps([wamp.HELLO, "realm1", details]))
    ((code, said, found),) = client.output()
    assert (code, said) == (wamp.CHALLENGE, "scram")
    return client, found


def proof(mine, challenge):
    return mine.on_challenge(None, SimpleNamespace(method="scram", extra=challenge)).decode()


def test_autobahn_proves_that_it_knows_the_password_and_so_does_the_hub(scram):
    mine = AuthScram(authid="ann", password="secret")
    client, challenge = ask(scram, "ann", mine.authextra)
    (welcome,) = client.say(wamp.AUTHENTICATE, proof(mine, challenge), {})
    assert (welcome[0], welcome[2]["authid"], welcome[2]["authmethod"]) == (wamp.WELCOME, "ann", "scram")
    assert (
        mine.on_welcome(SimpleNamespace(log=SimpleNamespace(info=print, error=print)), welcome[2]["authextra"]) is None
    )
    assert welcome[2]["authextra"]["verifier"] == welcome[2]["authextra"]["scram_server_signature"]


@pytest.mark.parametrize(("user", "password"), [("ann", "wrong"), ("ann", ""), ("ben", "secret"), ("nobody", "secret")])
def test_a_wrong_password_and_users_without_one_look_alike(scram, user, password):
    mine = AuthScram(authid=user, password=password)
    client, challenge = ask(scram, user, mine.authextra)
    assert (challenge["kdf"], challenge["iterations"], challenge["memory"]) == ("argon2id-13", 1, 64)
    (abort,) = client.say(wamp.AUTHENTICATE, proof(mine, challenge), {})
    assert (abort[0], abort[2]) == (wamp.ABORT, "wamp.error.authentication_failed")


def test_a_proof_is_good_for_one_login(scram):
    mine = AuthScram(authid="ann", password="secret")
    first, challenge = ask(scram, "ann", mine.authextra)
    said = proof(mine, challenge)
    assert first.say(wamp.AUTHENTICATE, said, {})[0][0] == wamp.WELCOME
    second, again = ask(scram, "ann", mine.authextra)
    assert again["nonce"] != challenge["nonce"]
    assert second.say(wamp.AUTHENTICATE, said, {})[0][0] == wamp.ABORT


@pytest.mark.parametrize(
    "extra", [{}, {"nonce": ""}, {"nonce": "a,r=b"}, {"nonce": "é"}, {"nonce": "x" * 257}, {"nonce": 7}]
)
def test_a_nonce_that_is_none(scram, extra):
    client = scram.stranger()
    details = {"roles": wamp.ROLES, "authid": "ann", "authmethods": ["scram"], "authextra": extra}
    client.end.send(json.dumps([wamp.HELLO, "realm1", details]))
    ((code, _, uri),) = client.output()
    assert (code, uri) == (wamp.ABORT, "wamp.error.authentication_failed")


@pytest.mark.parametrize("signature", ["", "no base64", "AAAA", "é", "A" * 44])
def test_a_proof_that_is_none(scram, signature):
    client, _ = ask(scram, "ann", {"nonce": "abc"})
    (abort,) = client.say(wamp.AUTHENTICATE, signature, {})
    assert (abort[0], abort[2]) == (wamp.ABORT, "wamp.error.authentication_failed")
