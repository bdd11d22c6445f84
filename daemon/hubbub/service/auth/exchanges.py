"""Logins in which the hub asks for a proof: WAMP-CRA and WAMP-cryptosign, with the keys of a password file.

What is asked and answered is JSON, as the dialect wamp has it: the extra of CHALLENGE, and signature and extra of
AUTHENTICATE.
"""

from __future__ import annotations

import hmac
import json
import secrets
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hubbub.service.auth.kinds import AuthExchange

WAMPCRA, CRYPTOSIGN = "wampcra", "cryptosign"
_SIGNATURE = 128  # hexadecimal digits
_BYTES = 32  # of a challenge


async def _wampcra(credentials: AuthExchange, key: bytes | None) -> bool:
    """Check an HMAC with SHA-256 of the challenge. The secret is the key in hexadecimal digits."""
    said = {"authid": credentials.user, "authmethod": WAMPCRA, "nonce": secrets.token_hex(_BYTES)}
    challenge = json.dumps(said)
    signature = await _ask(credentials, {"challenge": challenge})
    secret = secrets.token_bytes(_BYTES) if key is None else key.hex().encode()
    expected = b64encode(hmac.digest(secret, challenge.encode(), "sha256"))
    return hmac.compare_digest(expected, signature.encode(errors="replace"))


async def _cryptosign(credentials: AuthExchange, key: bytes | None) -> bool:
    """Check a signature of the challenge with Ed25519, behind which the challenge stands."""
    challenge = secrets.token_bytes(_BYTES)
    signature = await _ask(credentials, {"challenge": challenge.hex()})
    try:
        signed = bytes.fromhex(signature[:_SIGNATURE])
        if key is not None and signature[_SIGNATURE:].lower() in ("", challenge.hex()):
            Ed25519PublicKey.from_public_bytes(key).verify(signed, challenge)
            return True
    except (ValueError, InvalidSignature):
        pass
    return False


async def _ask(credentials: AuthExchange, extra: Mapping[str, Any]) -> str:
    """Ask the client, and return its signature; empty: it has sent none."""
    said = json.loads(await credentials.challenge(json.dumps(extra).encode()))
    signature = said.get("signature") if isinstance(said, dict) else None
    return signature if isinstance(signature, str) else ""


METHODS: Mapping[str, Callable[[AuthExchange, bytes | None], Awaitable[bool]]] = {
    WAMPCRA: _wampcra,
    CRYPTOSIGN: _cryptosign,
}
