"""Hides secrets in bytes that are shown to people: what a client logs in with, however it comes in pieces."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hubbub import limits

_SECRETS = re.compile(
    rb"""
      ^AUTH[ ][^ \n]*[ ]                                                    ([^\n]+)              # lines
    | "(?:password|passwd|pass|passcode|token|auth_token|jwt|secret)"\s*:\s*" ((?:[^"\\\n]|\\.)+)   # json, NATS
    | "[^"\\\n]*\\.(?:[^"\\\n]|\\.)*"\s*:\s*"                               ((?:[^"\\\n]|\\.)+)   # a key with an escape
    | ^(?:proxy-)?authorization\s*:\s*(?:(?:basic|bearer|digest)[ ]+)?      ([^\r\n]+)            # HTTP
    | ^(?:set-)?cookie2?\s*:\s*                                             ([^\r\n]+)
    | ^passcode:                                                            ([^\r\n]+)            # STOMP
    | \[\s*5\s*,\s*"                                                        ((?:[^"\\\n]|\\.)+)   # WAMP in JSON
    | [\x83\x93]\x05(?:[\x60-\x77\xa0-\xbf]|[\x78\xd9].|[\x79\xda]..)       ([\s\S]{1,9000})  # and in others
    | [?&](?:access_token|token|password)=                                  ([^\s&]+)             # a URL
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)


_PACKETS = re.compile(
    rb"""
      \x10 ([\x80-\xff]{0,3}[\x00-\x7f]) \x00(?:\x04MQTT|\x06MQIsdp). [\x40-\x7f\xc0-\xff] ..  # CONNECT with a password
    | \xf0 ([\x80-\xff]{0,3}[\x00-\x7f]) [\x00\x18\x19]                                        # AUTH
    """,
    re.DOTALL | re.VERBOSE,
)
_HEAD_BYTES = 18  # of the longest of these, less one


_MANY_SPACES = re.compile(rb"[ \t\r\f\v]{9,}")
_FEW_SPACES = b" " * 8


class Masker:
    """Masks what one client sends.

    stream  whether a secret may be spread over several pieces
    amid    attribute: whether what comes began before anybody looked, so that none of it is shown
    """

    def __init__(self, stream: bool, amid: bool = False) -> None:
        self.amid = amid
        self._stream = stream
        self._before = b""  # of the line that isn't over
        self._head = b""  # what may begin a packet
        self._left = 0  # bytes of a packet that are still to come

    def mask(self, data: bytes, secrets: Iterable[bytes] = ()) -> bytes:
        """Return `data` with a * for each byte of a secret; `secrets` are some that are known."""
        whole = self._before + data
        masked = bytearray(whole)
        last: re.Match[bytes] | None = None
        for found in _SECRETS.finditer(whole):
            last = found
            start, end = found.span(found.lastindex or 0)
            masked[start:end] = b"*" * (end - start)
        for secret in secrets:
            at = whole.find(secret) if secret else -1
            while at >= 0:
                masked[at : at + len(secret)] = b"*" * len(secret)
                at = whole.find(secret, at + len(secret))
        shown = self._without_packets(data, masked[len(self._before) :])
        if self._stream:
            self._before = _unfinished(whole, last)
        return b"*" * len(data) if self.amid else shown

    def _without_packets(self, data: bytes, masked: bytearray) -> bytes:
        """Mask what stands behind the heads of MQTT's packets with secrets, to their ends, whether or not they come."""
        hidden = min(self._left, len(data))
        masked[:hidden] = b"*" * hidden
        self._left -= hidden
        whole, before = self._head + data, len(self._head)
        for found in _PACKETS.finditer(whole):
            at = found.end(found.lastindex or 0)
            end = at + sum((byte & 0x7F) << 7 * place for place, byte in enumerate(found[found.lastindex or 0]))
            start, stop = max(found.end() - before, 0), min(end - before, len(data))
            masked[start:stop] = b"*" * (stop - start)
            self._left = max(self._left, end - len(whole))
        self._head = whole[-_HEAD_BYTES:]
        return bytes(masked)


def _unfinished(whole: bytes, last: re.Match[bytes] | None) -> bytes:
    """Return what tells whether the next piece goes on with a secret; `last` is the last one in `whole`.

    Of one that goes on no more is needed than that there is one, and of many spaces no more than a few.
    """
    line = whole.rfind(b"\n") + 1
    before = whole[line:]
    if last is not None:
        start, end = last.span(last.lastindex or 0)
        if whole[end:] in (b"", b"\\"):
            before = whole[min(line, last.start()) : start] + b"*" + whole[end:]
    return _MANY_SPACES.sub(_FEW_SPACES, before)[-limits.TRACE_LINE_BYTES :]
