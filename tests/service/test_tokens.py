"""JSON Web Tokens: who is believed, and what of a token can't decide how it is checked."""

from __future__ import annotations

import base64
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from hubbub.errors import ConfigError
from hubbub.service.auth import tokens
from hubbub.service.auth.kinds import NotApplicable, Token

SECRET = b"0123456789abcdef0123456789abcdef"
RSA, OTHER_RSA = (rsa.generate_private_key(65537, 2048) for _ in range(2))
ED, OTHER_ED = (ed25519.Ed25519PrivateKey.generate() for _ in range(2))
PEM = {"encoding": serialization.Encoding.PEM, "format": serialization.PublicFormat.SubjectPublicKeyInfo}


def pem(key):
    return key.public_key().public_bytes(**PEM)


def claims(**more):
    found = {"sub": "ann", "exp": time.time() + 60, **more}
    return {name: value for name, value in found.items() if value is not None}


@pytest.fixture
def make(tmp_path):
    def made(algorithms, key, **options):
        (tmp_path / "key").write_bytes(key)
        more = "".join(f":{name}={value}" for name, value in options.items())
        return tokens.make(f"algorithms={algorithms}:key={tmp_path}/key{more}")

    return made


def who(checker, token):
    return checker.requestAvatarId(Token(token))


def refused(checker, token):
    with pytest.raises(NotApplicable) as found:
        who(checker, token)
    return str(found.value)


WAYS = {"HS256": (SECRET, SECRET, b"x" * 32), "RS256": (RSA, pem(RSA), OTHER_RSA), "EdDSA": (ED, pem(ED), OTHER_ED)}


@pytest.mark.parametrize("algorithm", WAYS)
def test_each_algorithm(make, algorithm):
    private, public, other = WAYS[algorithm]
    checker = make(algorithm, public)
    found = who(checker, jwt.encode(claims(), private, algorithm))
    assert (found.user, found.groups, found.grants) == ("ann", frozenset(), None)
    assert time.time() + 80 < found.expires < time.time() + 100  # with the leeway
    assert refused(checker, jwt.encode(claims(), other, algorithm)) == "the token isn't one that this hub trusts"


def encoded(part):
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def forged(header, body, key=b""):
    signed = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(body).encode())}"
    return f"{signed}.{encoded(hmac.digest(key, signed.encode(), 'sha256')) if key else ''}"


@pytest.mark.parametrize("algorithm", WAYS)
def test_a_token_does_not_choose_how_it_is_checked(make, algorithm):
    private, public, _ = WAYS[algorithm]
    checker = make(algorithm, public)
    none = [forged({"alg": one, "typ": "JWT"}, claims()) for one in ("none", "None", "NONE", "nOnE", "")]
    public = public if isinstance(public, bytes) else b""
    confused = [forged({"alg": "HS256"}, claims(), pem(RSA)), forged({"alg": "HS256"}, claims(), pem(ED))]
    header = {"alg": algorithm, "jwk": json.loads(RSAAlgorithm.to_jwk(OTHER_RSA.public_key())), "jku": "http://x/"}
    own = [jwt.encode(claims(), OTHER_RSA, "RS256", headers={**header, "alg": "RS256"})]
    good = jwt.encode(claims(), private, algorithm)
    cut = [good.rpartition(".")[0] + ".", good.rpartition(".")[0], good[:-2], good + "AA"]
    for token in (*none, *confused, *own, *cut, "", ".", "..", "a.b.c", "é.é.é", "x" * 100_000):
        assert refused(checker, token)


def test_what_of_a_token_is_wrong(make):
    checker = make("HS256", SECRET, audience="hubbub", issuer=r"https\://id", leeway="10s")
    good = {"aud": "hubbub", "iss": "https://id"}
    sign = lambda **more: jwt.encode(claims(**{**good, **more}), SECRET, "HS256")  # noqa: E731
    assert who(checker, sign()).user == "ann"
    assert who(checker, sign(aud=["x", "hubbub"], exp=time.time() - 5)).user == "ann"
    assert refused(checker, sign(exp=time.time() - 15)) == "the token has expired"
    assert refused(checker, sign(nbf=time.time() + 60)) == "the token isn't valid yet"
    assert refused(checker, sign(aud="other")) == "the token is for another audience"
    assert refused(checker, sign(iss="https://other")) == "the token is from another issuer"
    for name in ("exp", "sub", "aud", "iss"):
        assert "lacks" in refused(checker, sign(**{name: None})), name
    assert refused(make("HS256", SECRET), sign()) == "the token is for another audience"


@pytest.mark.parametrize("more", [{"sub": 7}, {"sub": ""}, {"sub": "a\nb"}, {"sub": "x" * 300}, {"groups": "admin"},
                                  {"groups": [1]}, {"publish": "a/#"}, {"publish": [1]}, {"subscribe": ["a/#/b"]},
                                  {"exp": "soon"}, {"exp": 1e400}, {"exp": [1]}])  # fmt: skip
def test_claims_that_are_not_what_they_should_be(make, more):
    assert refused(make("HS256", SECRET), jwt.encode(claims(**more), SECRET, "HS256"))


def test_an_expiry_as_text(make):
    assert who(make("HS256", SECRET), jwt.encode(claims(exp="9999999999"), SECRET, "HS256")).expires > 9e9


def test_groups_and_grants(make):
    checker = make("HS256", SECRET, user="name", groups="roles")
    token = jwt.encode(claims(name="Ann", roles=["ops", "admin"], publish=["a/#", "b"]), SECRET, "HS256")
    found = who(checker, token)
    assert (found.user, found.groups) == ("Ann", {"ops", "admin"})
    assert found.grants == {"publish": ("a/#", "b"), "subscribe": ()}


def jwk(key, algorithm, **more):
    return {**json.loads(algorithm.to_jwk(key.public_key())), **more}


def test_keys_of_a_jwks(make):
    rows = [
        jwk(RSA, RSAAlgorithm, kid="one"),
        jwk(ED, OKPAlgorithm, kid="two", alg="EdDSA"),
        jwk(OTHER_RSA, RSAAlgorithm, kid="three", use="enc"),
        {"kty": "EC", "kid": "four", "crv": "P-256", "x": "", "y": ""},
        {"kty": "oct", "kid": "five", "k": encoded(SECRET)},
    ]
    checker = make("RS256,EdDSA", json.dumps({"keys": rows}).encode())
    assert who(checker, jwt.encode(claims(), RSA, "RS256", headers={"kid": "one"})).user == "ann"
    assert who(checker, jwt.encode(claims(), ED, "EdDSA", headers={"kid": "two"})).user == "ann"
    wrong = [(ED, "EdDSA", "one"), (RSA, "RS256", "two"), (RSA, "RS256", None), (RSA, "RS256", "six")]
    for key, algorithm, kid in [*wrong, (SECRET, "HS256", "five"), (OTHER_RSA, "RS256", "three")]:
        assert refused(checker, jwt.encode(claims(), key, algorithm, headers={"kid": kid} if kid else None))
    alone = make("HS256", json.dumps(rows[4]).encode())
    assert who(alone, jwt.encode(claims(), SECRET, "HS256")).user == "ann"


def test_a_new_key_counts_at_once(make, tmp_path):
    checker = make("HS256", SECRET)
    (tmp_path / "key").write_bytes(b"another secret, of thirty-two bytes\n")
    assert refused(checker, jwt.encode(claims(), SECRET, "HS256"))
    assert who(checker, jwt.encode(claims(), b"another secret, of thirty-two bytes", "HS256")).user == "ann"


@pytest.mark.parametrize(
    ("algorithms", "key", "says"),
    [
        ("HS256", b"short", "at least 32 bytes"),
        ("RS256", SECRET, "expected a public key"),
        ("RS256", pem(ED), "the key is for EdDSA"),
        ("HS256", pem(RSA), "the key is for RS256"),
        ("RS256", pem(rsa.generate_private_key(65537, 1024)), "at least 2048 bits"),
        ("RS256", pem(ec.generate_private_key(ec.SECP256R1())), "RSA or Ed25519"),
        ("RS256", b"-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----\n", "key: "),
        ("RS256", b"{nonsense", "key: "),
        ("RS256", b'{"keys":[]}', "no key in it is for RS256"),
        ("RS256", b'{"keys":[{"kty":"RSA"},{"kty":"RSA"}]}', "kid"),
        ("RS256", b'{"keys":7}', "key: "),
        ("RS256", b'{"keys":[7]}', "key: "),
    ],
)
def test_keys_that_will_not_do(make, algorithms, key, says):
    with pytest.raises(ConfigError, match=says) as found:
        make(algorithms, key)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("", "algorithms= is missing"),
        ("algorithms=HS256", "key= is missing"),
        ("algorithms=none:key=x", "expected one of HS256"),
        ("algorithms=HS256:key=nowhere", "nowhere: No such file"),
        ("algorithms=HS256:key=x:speed=9", "speed: there are"),
        ("algorithms=HS256:algorithms=RS256", "given twice"),
        ("HS256", "HS256: there are"),
        ("algorithms=HS256:key=x:leeway=soon", "leeway=soon"),
    ],
)
def test_what_is_written_wrongly(argument, says):
    with pytest.raises(ConfigError, match=says):
        tokens.make(argument)
