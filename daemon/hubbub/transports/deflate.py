"""Compression of WebSocket messages, permessage-deflate (RFC 7692): what is agreed on, and how hubbub writes them.

Each message is compressed by itself (server_no_context_takeover): so it is done once for all clients, and no link
keeps a window. Clients are asked for the same. What they compress is Autobahn's to unpack, up to the listener's limit.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept

from hubbub import limits
from hubbub.dialect import Text
from hubbub.transports.frames import BINARY, TEXT, frame

_RSV1 = 0x40  # says that a message is compressed (section 6)
_TAIL = 4  # bytes at the end of a flush that aren't sent (section 7.2.1)


def accept(offers: Iterable[Any]) -> PerMessageDeflateOfferAccept | None:
    """Choose among the offers of a client (section 7.1)."""
    for offer in offers:
        if isinstance(offer, PerMessageDeflateOffer):
            return PerMessageDeflateOfferAccept(
                offer, request_no_context_takeover=offer.accept_no_context_takeover, no_context_takeover=True
            )
    return None


def longest_deflated(size: int) -> int:
    """Tell how many bytes `size` bytes of noise may become (zlib's deflateBound, for the worst settings)."""
    return size + (size + 7 >> 3) + (size + 63 >> 6) + 5


def deflated_frame(agreed: Any, text: bool) -> Callable[[bytes], bytes]:
    """Return what puts a frame around a unit and compresses it, one function for all links that agreed on the same.

    agreed  the link's extension, an autobahn PerMessageDeflate
    text    whether every message is text; else those are that the dialect says so of
    """
    return _FRAMES[agreed.server_max_window_bits, text]


def _deflated(bits: int, text: bool, data: bytes) -> bytes:
    press = zlib.compressobj(limits.DEFLATE_LEVEL, zlib.DEFLATED, -bits)
    small = press.compress(data) + press.flush(zlib.Z_SYNC_FLUSH)
    return frame(small[:-_TAIL], (TEXT if text or isinstance(data, Text) else BINARY) | _RSV1)


_FRAMES = {(bits, text): partial(_deflated, bits, text) for bits in range(9, 16) for text in (False, True)}
"""By the logarithm of the window that a client has room for, and whether all is text."""
