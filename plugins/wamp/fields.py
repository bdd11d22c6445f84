"""Fields that several messages have at some index: ids, URIs, arguments."""

from __future__ import annotations

from typing import Any

from hubbub import limits
from hubbub_plugins.wamp.codec import Malformed

MAX_ID = 2**53
_MAX_URI = limits.LINE_SLACK // 4  # characters


def id_at(message: list[Any], at: int) -> int:
    """Return the id at an index of a message. Raises Malformed."""
    id = message[at] if len(message) > at else None
    if type(id) is not int or not 0 < id <= MAX_ID:
        raise Malformed("an id is an integer from 1 to 2 ** 53")
    return id


def uri_at(message: list[Any], at: int) -> str:
    """Return the URI at an index of a message. Raises Malformed."""
    uri = message[at] if len(message) > at else None
    if type(uri) is not str or len(uri) > _MAX_URI:
        raise Malformed("a URI is a text of moderate length")
    return uri


def options_at(message: list[Any], at: int) -> Any:
    """Return the options at an index of a message, as they came; a message that ends before has none."""
    return message[at] if len(message) > at else {}
