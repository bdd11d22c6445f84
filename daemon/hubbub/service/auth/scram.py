"""WAMP-SCRAM: what a password file keeps of a password for it, and the check of a client's proof.

    scram=argon2id-13,3,65536,<salt>,<StoredKey>,<ServerKey>     kdf, iterations, KiB of memory; the rest is base64
    scram=pbkdf2,600000,0,<salt>,<StoredKey>,<ServerKey>

The keys are those of RFC 5802 section 3 with SHA-256 (RFC 7677). A thief of the file can't log in with them, but can
try passwords, and with a recorded login of the same user can compute its ClientKey, which logs in. With argon2id-13 the
SaltedPassword is the hash as text, in base64 without padding, with 1 lane, as Autobahn and Crossbar have it.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from dataclasses import dataclass
from hashlib import pbkdf2_hmac, sha256
from typing import Any

from argon2.low_level import ARGON2_VERSION, Type, hash_secret_raw

ARGON2, PBKDF2 = "argon2id-13", "pbkdf2"
COSTS = {ARGON2: (3, 65_536), PBKDF2: (600_000, 0)}  # iterations and KiB: 0.2 s of the client, at each login
_KEY = 32  # bytes
_SALT = 16  # bytes
_LONGEST_SALT = 64  # bytes


@dataclass(frozen=True, slots=True, repr=False)
class Scram:
    """What is kept of one password."""

    kdf: str
    iterations: int
    memory: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    @classmethod
    def make(cls, password: bytes, kdf: str) -> Scram:
        """Make it of a password."""
        salt = secrets.token_bytes(_SALT)
        iterations, memory = COSTS[kdf]
        if kdf == PBKDF2:
            salted = pbkdf2_hmac("sha256", password, salt, iterations, _KEY)
        else:
            raw = hash_secret_raw(password, salt, iterations, memory, 1, _KEY, Type.ID, ARGON2_VERSION)
            salted = b64encode(raw).rstrip(b"=")
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        return cls(
            kdf, iterations, memory, salt, sha256(client_key).digest(), hmac.digest(salted, b"Server Key", "sha256")
        )

    @classmethod
    def read(cls, text: str) -> Scram:
        """Read what stands behind `scram=`. Raises ValueError with a sentence."""
        kdf, *numbers, salt, stored_key, server_key = text.split(",") if text.count(",") == 5 else [""] * 6
        if kdf not in COSTS or not all(number.isdecimal() and len(number) < 9 for number in numbers):
            raise ValueError("scram= has a kdf, two numbers, a salt and two keys, with commas between them")
        try:
            keys = [b64decode(one, validate=True) for one in (salt, stored_key, server_key)]
        except BadBase64:
            raise ValueError("the salt and the keys of scram= are base64") from None
        if not 0 < len(keys[0]) <= _LONGEST_SALT or [len(one) for one in keys[1:]] != [_KEY, _KEY]:
            raise ValueError(f"the salt of scram= has 1 to {_LONGEST_SALT} bytes, each of its keys {_KEY}")
        iterations, memory = map(int, numbers)
        if not iterations or (memory == 0) == (kdf == ARGON2):
            raise ValueError(f"scram= has at least one iteration, and memory with {ARGON2} alone")
        return cls(kdf, iterations, memory, *keys)

    @classmethod
    def decoy(cls, user: str, like: Scram) -> Scram:
        """Return keys of no password, for a user who has none: costs and length of salt are another's."""
        salt = hmac.digest(like.server_key, user.encode(errors="surrogatepass"), "sha512")[: len(like.salt)]
        stored_key, server_key = secrets.token_bytes(_KEY), secrets.token_bytes(_KEY)
        return cls(like.kdf, like.iterations, like.memory, salt, stored_key, server_key)

    @property
    def text(self) -> str:
        """What stands behind `scram=` in the file."""
        keys = (b64encode(one).decode() for one in (self.salt, self.stored_key, self.server_key))
        return ",".join([self.kdf, str(self.iterations), str(self.memory), *keys])

    def challenge(self, nonce: str) -> dict[str, Any]:
        """Return the extra of CHALLENGE."""
        memory = {"memory": self.memory} if self.kdf == ARGON2 else {}
        salt = b64encode(self.salt).decode()
        return {"nonce": nonce, "kdf": self.kdf, "salt": salt, "iterations": self.iterations, **memory}

    def proves(self, auth_message: bytes, proof: bytes) -> bool:
        """Tell whether a ClientProof is right; `auth_message` as in (RFC 5802 section 3)."""
        signature = hmac.digest(self.stored_key, auth_message, "sha256")
        client_key = bytes(one ^ other for one, other in zip(proof, signature, strict=False))
        return len(proof) == _KEY and hmac.compare_digest(sha256(client_key).digest(), self.stored_key)

    def server_signature(self, auth_message: bytes) -> str:
        """Return what proves to the client that this hub knows it, in base64."""
        return b64encode(hmac.digest(self.server_key, auth_message, "sha256")).decode()
