"""NKeys: a user is an Ed25519 key, and signs the nonce of INFO; with a JWT of an account it has the rights of that.

A .creds file, as nsc writes it, has the JWT and the seed between lines such as -----BEGIN NATS USER JWT-----; a file
with the seed alone (SUA...) will do where the server knows the public key (UA...). The format of keys is that of
github.com/nats-io/nkeys: base32 of a prefix, 32 bytes, and a CRC-16.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_SEED, _USER = 18 << 3, 20 << 3  # prefixes: S and U as the first letter
_KEY_BYTES = 32
_FILE_BYTES = 65_536
_BLOCK = re.compile(r"-+BEGIN ([A-Z ]+)-+\s+(\S+)\s+-+END \1-+")


@dataclass(frozen=True)
class Credentials:
    """The private key of a user, and the JWT that says what it may do, or nothing."""

    jwt: str
    seed: bytes = field(repr=False)

    def login(self, nonce: str) -> dict[str, str]:
        """Return what CONNECT says: a signature of the server's nonce."""
        private = Ed25519PrivateKey.from_private_bytes(self.seed)
        signature = base64.urlsafe_b64encode(private.sign(nonce.encode())).rstrip(b"=").decode()
        who = {"jwt": self.jwt} if self.jwt else {"nkey": write_public(private.public_key().public_bytes_raw())}
        return {**who, "sig": signature}


def login(user: str, password: str, credentials: Credentials | None, nonce: str) -> dict[str, str]:
    """Return the fields of CONNECT for a login; a `password` without a user is a token."""
    if credentials is not None:
        return credentials.login(nonce)
    if user:
        return {"user": user, "pass": password}
    return {"auth_token": password} if password else {}


def credentials(raw: object) -> Credentials:
    """Read the file that the operator names. Raises ValueError."""
    try:
        with Path(str(raw)).open("rb") as stream:
            text = stream.read(_FILE_BYTES).decode("ascii")
    except OSError as error:
        raise ValueError(f"it can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("expected a .creds file of nsc, or a file with the seed of an NKey") from None
    blocks = dict(_BLOCK.findall(text))
    seed = blocks.get("USER NKEY SEED", "" if blocks else text.strip())
    return Credentials(blocks.get("NATS USER JWT", ""), read_seed(seed))


def read_seed(text: str) -> bytes:
    """Return the private key of a user's seed. Raises ValueError."""
    data = _decode(text)
    if len(data) != 2 + _KEY_BYTES or data[0] & 0xF8 != _SEED or ((data[0] & 7) << 5 | data[1] >> 3) != _USER:
        raise ValueError("expected the seed of a user's NKey, which begins with SU")
    return data[2:]


def write_public(key: bytes) -> str:
    """Return the public key of a user as text, UA..."""
    data = bytes((_USER,)) + key
    return base64.b32encode(data + binascii.crc_hqx(data, 0).to_bytes(2, "little")).rstrip(b"=").decode()


def read_public(text: str) -> bytes:
    """Return the public key of a user. Raises ValueError."""
    data = _decode(text)
    if len(data) != 1 + _KEY_BYTES or data[0] != _USER:
        raise ValueError("expected the public NKey of a user, which begins with U")
    return data[1:]


def is_signed(key: bytes, nonce: str, signature: str) -> bool:
    """Tell whether the owner of the public `key` has signed `nonce`."""
    try:
        signed = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
        Ed25519PublicKey.from_public_bytes(key).verify(signed, nonce.encode())
    except (ValueError, InvalidSignature):
        return False
    return True


def signer(public: str, nonce: str, signature: str) -> bytes:
    """Return the public key, UA..., whose owner has signed `nonce`; empty: the key or the signature is wrong."""
    try:
        key = read_public(public)
    except ValueError:
        return b""
    return key if is_signed(key, nonce, signature) else b""


def _decode(text: str) -> bytes:
    try:
        data = base64.b32decode(text + "=" * (-len(text) % 8))
    except (ValueError, binascii.Error):
        raise ValueError("expected an NKey: base32 of capital letters and digits") from None
    if len(data) < 3 or binascii.crc_hqx(data[:-2], 0).to_bytes(2, "little") != data[-2:]:
        raise ValueError("the checksum of the NKey is wrong")
    return data[:-2]
