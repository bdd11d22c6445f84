"""Hides secrets in bytes that are shown to people: what a client logs in with, however it comes in pieces."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hubbub import limits

_SECRETS = re.compile(
    rb"""
      ^AUTH[ ][^ \r\n]*[ ]                                                  ([^\r\n]+)            # lines
    | "(?:password|passwd|pass|passcode|token|auth_token|jwt|secret)"\s*:\s*" ((?:[^"\\\n]|\\.)+)   # json, NATS
    | "[^"\\\n]*\\.(?:[^"\\\n]|\\.)*"\s*:\s*"                               ((?:[^"\\\n]|\\.)+)   # a key with an escape
    | ^(?:proxy-)?authorization\s*:\s*(?:(?:basic|bearer|digest)[ ]+)?      ([^\r\n]+)            # HTTP
    | ^(?:set-)?cookie2?\s*:\s*                                             ([^\r\n]+)
    | ^passcode:                                                            ([^\r\n]+)            # STOMP
    | [?&](?:access_token|token|password)=                                  ([^\s&]+)             # a URL
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)


class Masker:
    """Masks what one client sends; `stream`: whether a secret may be spread over several pieces."""

    def __init__(self, stream: bool) -> None:
        self._stream = stream
        self._before = b""  # of the line that isn't over

    def mask(self, data: bytes, secrets: Iterable[bytes] = ()) -> bytes:
        """Return `data` with a * for each byte of a secret; `secrets` are some that are known."""
        whole = self._before + data
        masked = bytearray(whole)
        for found in _SECRETS.finditer(whole):
            start, end = found.span(found.lastindex or 0)
            masked[start:end] = b"*" * (end - start)
        for secret in secrets:
            at = whole.find(secret) if secret else -1
            while at >= 0:
                masked[at : at + len(secret)] = b"*" * len(secret)
                at = whole.find(secret, at + len(secret))
        shown = bytes(masked[len(self._before) :])
        if self._stream:
            self._before = whole[whole.rfind(b"\n") + 1 :][-limits.TRACE_LINE_BYTES :]
        return shown
