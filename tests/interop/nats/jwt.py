"""What nsc would make: an operator, an account, and a user, each a key and a JWT that the one above has signed."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PREFIXES = {"O": 14 << 3, "A": 0, "U": 20 << 3}
_SEED = 18 << 3


def _text(data: bytes) -> str:
    return base64.b32encode(data + binascii.crc_hqx(data, 0).to_bytes(2, "little")).rstrip(b"=").decode()


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Key:
    """A key of one kind, O, A or U."""

    kind: str
    private: Ed25519PrivateKey

    @property
    def public(self) -> str:
        return _text(bytes((PREFIXES[self.kind],)) + self.private.public_key().public_bytes_raw())

    @property
    def seed(self) -> str:
        prefix = PREFIXES[self.kind]
        return _text(bytes((_SEED | prefix >> 5, (prefix & 31) << 3)) + self.private.private_bytes_raw())

    def signed(self, subject: Key, name: str, nats: dict[str, object]) -> str:
        """Return the JWT in which this key says of another what it may do."""
        claims = {"iss": self.public, "sub": subject.public, "name": name, "iat": 1_700_000_000, "nats": nats}
        claims["jti"] = base64.b32encode(sha256(json.dumps(claims).encode()).digest()).decode().rstrip("=")
        head = _part(b'{"typ":"JWT","alg":"ed25519-nkey"}') + "." + _part(json.dumps(claims).encode())
        return head + "." + _part(self.private.sign(head.encode()))


def made(kind: str) -> Key:
    """Make a key."""
    return Key(kind, Ed25519PrivateKey.generate())


def configured(account: Key) -> str:
    """Return the configuration of a server whose operator knows the account."""
    operator = made("O")
    own = operator.signed(operator, "operator", {"type": "operator", "version": 2})
    limits = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1)
    claims = {"type": "account", "version": 2, "limits": {**limits, "wildcards": True}}
    known = operator.signed(account, "account", claims)
    return f"operator: {own}\nresolver: MEMORY\nresolver_preload: {{ {account.public}: {known} }}\n"


def creds(account: Key, user: Key) -> str:
    """Return the .creds file of a user."""
    limits = dict.fromkeys(("subs", "data", "payload"), -1)
    jwt = account.signed(user, "user", {"type": "user", "version": 2, "pub": {}, "sub": {}, **limits})
    return (
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\nKeep it.\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
    )
