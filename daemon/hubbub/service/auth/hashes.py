"""Hashes of passwords: hubbub's own (argon2id, RFC 9106), and those that mosquitto_passwd writes.

$argon2id$v=19$m=65536,t=3,p=4$<salt>$<hash>
$6$<salt>$<hash>                  SHA-512 of password and salt
$7$<iterations>$<salt>$<hash>     PBKDF2 with HMAC-SHA-512 (RFC 8018 section 5.2)
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode
from binascii import Error as BadBase64

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError

from hubbub import limits

_hasher = PasswordHasher()

# A hash like those that `make` writes, of a random password: logins of unknown users are compared with it.
UNKNOWN_USER = "$argon2id$v=19$m=65536,t=3,p=4$bm9ib2R5IGtub3dzIQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


def make(password: bytes) -> str:
    """Hash a password, in about a tenth of a second and 64 MiB."""
    return _hasher.hash(password)


def verify(hash: str, password: bytes) -> bool:
    """Tell whether `password` is the one that `hash` was made of."""
    kind, *parts = hash.split("$")[1:]
    if kind.startswith("argon2"):
        try:
            return _hasher.verify(hash, password)
        except Argon2Error:
            return False
    *rounds, salt, digest = parts
    if kind == "6":
        made = hashlib.sha512(password + b64decode(salt)).digest()
    else:
        made = hashlib.pbkdf2_hmac("sha512", password, b64decode(salt), int(rounds[0]))
    return hmac.compare_digest(made, b64decode(digest))


def check(hash: str) -> None:
    """Raise ValueError with a sentence where `verify` couldn't work with `hash`, or not in bounded time."""
    kind, *parts = hash.split("$")[1:] or [""]
    if kind.startswith("argon2"):
        try:
            found = extract_parameters(hash)
        except (InvalidHashError, ValueError):
            raise ValueError("the argon2 hash is malformed") from None
        if found.memory_cost > limits.ARGON2_KIB or found.time_cost > limits.ARGON2_PASSES:
            raise ValueError("the argon2 hash takes too much memory or time")
        return
    if kind not in ("6", "7") or len(parts) != int(kind) - 4:
        raise ValueError("expected a hash that begins with $argon2id$, $6$ or $7$")
    try:
        sizes = [len(b64decode(part, validate=True)) for part in parts[-2:]]
    except BadBase64:
        raise ValueError(f"the ${kind}$ hash isn't base64") from None
    if not sizes[0] or sizes[1] != 64:
        raise ValueError(f"the ${kind}$ hash has a salt and 64 bytes")
    rounds = int(parts[0]) if kind == "7" and parts[0].isdecimal() and len(parts[0]) < 9 else 0
    if kind == "7" and not 1 <= rounds <= limits.PBKDF2_ITERATIONS:
        raise ValueError(f"the $7$ hash has 1 to {limits.PBKDF2_ITERATIONS} iterations")
