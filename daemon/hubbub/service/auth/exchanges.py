"""Logins in which the hub asks for a proof: WAMP-CRA, WAMP-SCRAM and WAMP-cryptosign, by the keys of a password file.

What is asked and answered is JSON, as the dialect wamp has it: the extra of CHALLENGE, and signature and extra of
AUTHENTICATE.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hubbub.service.auth.kinds import AuthExchange
from hubbub.service.auth.scram import Scram

WAMPCRA, SCRAM, CRYPTOSIGN = "wampcra", "scram", "cryptosign"
_NONCE = re.compile(r"[!-+\--~]{1,256}")  # RFC 5802 section 7: printable, no comma
_SIGNATURE = 128  # hexadecimal digits
_BYTES = 32  # of a challenge


async def _wampcra(credentials: AuthExchange, key: bytes | None) -> bool:
    """Check an HMAC with SHA-256 of the challenge. The secret is the key in hexadecimal digits."""
    fields = {"authid": credentials.user, "authmethod": WAMPCRA, "nonce": secrets.token_hex(_BYTES)}
    challenge = json.dumps(fields)
    signature = await _ask(credentials, {"challenge": challenge})
    secret = secrets.token_bytes(_BYTES) if key is None else key.hex().encode()
    expected = b64encode(hmac.digest(secret, challenge.encode(), "sha256"))
    return hmac.compare_digest(expected, signature.encode(errors="replace"))


async def _scram(credentials: AuthExchange, key: Scram | None) -> bool:
    """Check a ClientProof of RFC 5802, over the AuthMessage as WAMP-SCRAM has it, without channel binding."""
    extra = _object(credentials.data).get("authextra")
    theirs = extra.get("nonce") if isinstance(extra, dict) else None
    if key is None or not isinstance(theirs, str) or not _NONCE.fullmatch(theirs):
        return False
    nonce = theirs + secrets.token_urlsafe(_BYTES)
    extra = key.challenge(nonce)
    signature = await _ask(credentials, extra)
    message = f"n={credentials.user},r={theirs},r={nonce},s={extra['salt']},i={key.iterations},c=,r={nonce}"
    try:
        proof = b64decode(signature, validate=True)
    except (BadBase64, ValueError):
        return False
    signed = message.encode(errors="replace")
    verifier = key.server_signature(signed)
    credentials.last = json.dumps({"scram_server_signature": verifier, "verifier": verifier}).encode()
    return key.proves(signed, proof)


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
    signature = _object(await credentials.challenge(json.dumps(extra).encode())).get("signature")
    return signature if isinstance(signature, str) else ""


def _object(data: bytes) -> dict[str, Any]:
    """Read a JSON object; anything else says nothing."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


class Method(NamedTuple):
    """One way of asking.

    key    the name of what a user's entry has to have for it (passwords.Entry)
    check  tells whether the client has proved that it has that key; None: there is none to prove
    """

    key: str
    check: Callable[[AuthExchange, Any], Awaitable[bool]]


METHODS: Mapping[str, Method] = {
    WAMPCRA: Method("key", _wampcra),
    SCRAM: Method("scram", _scram),
    CRYPTOSIGN: Method("public", _cryptosign),
}
