"""The checker `jwt:`: JSON Web Tokens (RFC 7519), checked with a key from a file by algorithms that are named here.

    jwt:algorithms=RS256:key=/etc/hubbub/issuer.pem:audience=hubbub:issuer=https\\://login.example.org

Nothing that a token says decides how it is checked: of its header only `kid` is used, to choose among the keys of a
JWKS file (RFC 7517), and each key has the algorithms that its kind allows of those that are named.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519, rsa
from jwt import PyJWK
from jwt.exceptions import (
    DecodeError,
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuerError,
    MissingRequiredClaimError,
    PyJWTError,
)
from twisted.cred.checkers import ICredentialsChecker
from zope.interface import implementer

from hubbub import limits
from hubbub.errors import BadFilter, ConfigError
from hubbub.identity import Identity
from hubbub.option import choice, duration, many, parse
from hubbub.service.auth.kinds import IToken, NotApplicable, Token
from hubbub.service.config.endpoint import split
from hubbub.service.config.watched_file import Watched, read_bounded
from hubbub.topics import check_filter

_SECRET_BYTES = 32  # at least as long as the hash (RFC 7518 section 3.2)
_RSA_BITS = 2048  # at least (RFC 7518 section 3.3)
_ALGORITHMS = ("HS256", "RS256", "EdDSA")
_REASONS: tuple[tuple[type[PyJWTError], str], ...] = (
    (ExpiredSignatureError, "the token has expired"),
    (ImmatureSignatureError, "the token isn't valid yet"),
    (InvalidAudienceError, "the token is for another audience"),
    (InvalidIssuerError, "the token is from another issuer"),
    (MissingRequiredClaimError, "the token lacks a claim: exp, sub, or one that this hub requires"),
)


@dataclass(frozen=True, slots=True)
class Key:
    """One key, and the one algorithm that it is for."""

    algorithm: str
    key: Any = field(repr=False)
    id: str | None = None

    @property
    def mark(self) -> str:
        """What logins by this key are recognised by after a restart (identity.Identity)."""
        key = self.key if isinstance(self.key, bytes) else _written(self.key)
        return f"token {blake2b(key, digest_size=16, person=self.algorithm.encode()).hexdigest()}"


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What the operator wants of tokens.

    user, groups  the claims that name the user, and the groups; leeway: seconds by which clocks may differ
    """

    algorithms: tuple[str, ...]
    key: Path
    audience: str | None = None
    issuer: str | None = None
    leeway: float = 30.0
    user: str = "sub"
    groups: str = "groups"


@implementer(ICredentialsChecker)
class Tokens:
    """Checks tokens; the file of keys is read again when it changes. Raises ConfigError where it can't be used."""

    credentialInterfaces = (IToken,)

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._keys = Watched(spec.key, lambda path: read_keys(path, spec.algorithms))

    def requestAvatarId(self, credentials: Token) -> Any:
        """Return the Identity of the bearer. Raises NotApplicable."""
        (id, key, claims), spec = self._claims(credentials.token), self._spec
        user, groups = claims.get(spec.user), claims.get(spec.groups, ())
        if not isinstance(user, str) or not 0 < len(user) <= limits.NAME_CHARACTERS or not user.isprintable():
            raise NotApplicable(f"the token's {spec.user} isn't the name of a user")
        if not _names(groups):
            raise NotApplicable(f"the token's {spec.groups} isn't a list of names")
        try:
            expires = float(claims["exp"]) + spec.leeway
        except OverflowError:
            raise NotApplicable("the token's exp is no time") from None
        trusted = partial(self._trusts, id, key)
        return Identity(user, frozenset(groups), _grants(claims), expires, trusted, key.mark)

    def recognises(self, user: str, mark: str) -> bool:
        """Tell whether the key of a token of an earlier process is one of those that the file has now."""
        return any(key.mark == mark for key in self._keys.get())

    def _trusts(self, id: object, key: Key) -> bool:
        """Return whether a token that names that key would still be checked with it."""
        try:
            found = self._choose(id)
        except DecodeError:
            return False
        return (found.algorithm, found.key) == (key.algorithm, key.key)

    def _claims(self, token: str) -> tuple[object, Key, Mapping[str, Any]]:
        """Return which key a token names, that key, and what it says. Raises NotApplicable."""
        spec = self._spec
        if len(token) > limits.TOKEN_CHARACTERS:
            raise NotApplicable("the token is too long")
        try:
            id = jwt.get_unverified_header(token).get("kid")
            key = self._choose(id)
            required = ["exp", spec.user, *(["iss"] if spec.issuer else []), *(["aud"] if spec.audience else [])]
            found: Mapping[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                audience=spec.audience,
                issuer=spec.issuer,
                leeway=spec.leeway,
                options={"require": required},
            )
        except (PyJWTError, ValueError, OverflowError, RecursionError) as error:  # OverflowError: "exp":1e400
            says = (text for kind, text in _REASONS if isinstance(error, kind))
            raise NotApplicable(next(says, "the token isn't one that this hub trusts")) from None
        return id, key, found

    def _choose(self, id: object) -> Key:
        """Return the key that a token names; one that names none gets the only one. Raises DecodeError."""
        keys = self._keys.get()
        found = [key for key in keys if key.id == id or (len(keys) == 1 and None in (key.id, id))]
        if not found:
            raise DecodeError("no such key")
        return found[0]

    def reload(self) -> None:
        """Look whether the file has changed. Raises ConfigError."""
        self._keys.look()


def _written(key: Any) -> bytes:
    written: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return written


def _names(value: object) -> bool:
    known = isinstance(value, (list, tuple)) and len(value) <= limits.TOKEN_LIST
    return known and all(isinstance(one, str) for one in value)  # type: ignore[attr-defined]


def _grants(claims: Mapping[str, Any]) -> dict[str, tuple[str, ...]] | None:
    """Return the filters that the token grants, None where it has neither claim. Raises NotApplicable."""
    if "publish" not in claims and "subscribe" not in claims:
        return None
    found: dict[str, tuple[str, ...]] = {}
    for name in ("publish", "subscribe"):
        filters = claims.get(name, [])
        if not _names(filters):
            raise NotApplicable(f"the token's {name} isn't a list of filters")
        try:
            found[name] = tuple(check_filter(one) for one in filters)
        except BadFilter:
            raise NotApplicable(f"the token's {name} isn't a list of filters") from None
    return found


# Keys


def read_keys(path: Path, algorithms: Iterable[str]) -> list[Key]:
    """Read a secret, a public key as PEM, or a JWKS. Raises ConfigError."""
    data = read_bounded(path, limits.KEY_FILE_BYTES)
    try:
        if data.lstrip()[:1] == b"{":
            keys = list(_from_jwks(json.loads(data), tuple(algorithms)))
        elif b"-----BEGIN" in data:
            keys = [_public(serialization.load_pem_public_key(data), algorithms)]
        else:
            keys = [_secret(data.strip(b"\r\n"), algorithms)]
    except (PyJWTError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split()) or 'no key in it'}") from None
    if not keys:
        raise ConfigError(f"{path}: no key in it is for {', '.join(algorithms)}")
    return keys


def _from_jwks(found: Any, algorithms: tuple[str, ...]) -> Iterable[Key]:
    """Yield the keys that can be used. Raises ValueError, PyJWTError."""
    rows = found.get("keys", [found])
    ids = [row.get("kid") for row in rows]
    if len(rows) > 1 and (len(set(ids)) < len(ids) or None in ids):
        raise ValueError("each of several keys needs a kid of its own")
    for row in rows:
        if row.get("use", "sig") != "sig" or row.get("kty") not in ("oct", "RSA", "OKP"):
            continue
        algorithm = {"oct": "HS256", "RSA": "RS256", "OKP": "EdDSA"}[row["kty"]]
        if algorithm not in algorithms or row.get("alg", algorithm) != algorithm:
            continue
        key = PyJWK(row, algorithm).key
        if row["kty"] == "oct":
            yield Key(algorithm, _secret(key, algorithms).key, row.get("kid"))
        else:
            public = key.public_key() if hasattr(key, "public_key") else key
            yield Key(algorithm, _public(public, algorithms).key, row.get("kid"))


def _secret(secret: bytes, algorithms: Iterable[str]) -> Key:
    if "HS256" not in algorithms:
        raise ValueError(f"expected a public key as PEM, or a JWKS, for {', '.join(algorithms)}")
    if len(secret) < _SECRET_BYTES:
        raise ValueError(f"a secret for HS256 has at least {_SECRET_BYTES} bytes; `openssl rand -hex 32` makes one")
    return Key("HS256", secret)


def _public(key: Any, algorithms: Iterable[str]) -> Key:
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _RSA_BITS:
            raise ValueError(f"an RSA key has at least {_RSA_BITS} bits")
        algorithm = "RS256"
    elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        algorithm = "EdDSA"
    else:
        raise ValueError("expected a public key of RSA or Ed25519")
    if algorithm not in algorithms:
        raise ValueError(f"the key is for {algorithm}, and algorithms={','.join(algorithms)}")
    return Key(algorithm, key)


# What the operator says


def _filled(raw: object) -> str:
    if isinstance(raw, str) and raw:
        return raw
    raise ValueError("expected some text")


_KINDS: Mapping[str, Any] = {
    "algorithms": many(choice(*_ALGORITHMS)),
    "key": lambda raw: Path(_filled(raw)).absolute(),
    "audience": _filled,
    "issuer": _filled,
    "leeway": duration,
    "user": _filled,
    "groups": _filled,
}


def make(argument: str) -> Tokens:
    """Make the checker of `jwt:algorithms=...:key=FILE`. Raises ConfigError."""
    found: dict[str, Any] = {}
    for name, value in split(argument) if argument else ():
        if name is None or name not in _KINDS:
            raise ConfigError(f"{name or value}: there are {'=, '.join(_KINDS)}=, and a colon in a value is \\:")
        if name in found:
            raise ConfigError(f"{name}= is given twice")
        found[name] = parse(name, _KINDS[name], value)
    for name in ("algorithms", "key"):
        if name not in found:
            raise ConfigError(f"{name}= is missing, as in jwt:algorithms=RS256:key=/etc/hubbub/issuer.pem")
    return Tokens(Spec(**found))
