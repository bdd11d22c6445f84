"""Headers of NATS messages, and the properties of hubbub's: one becomes the other.

    NATS/1.0 CR LF
    Name: value CR LF
    CR LF

`Content-Type` is a message's content type. All else is a property; a status behind the version becomes the properties
`Status` and `Description`, as clients show it. The block itself goes along, so that NATS clients get it byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from hubbub.errors import Refusal
from hubbub.limits import NAME_CHARACTERS, PROPERTIES
from hubbub.message import Message
from hubbub.user_properties import pairs_of

VERSION = b"NATS/1.0"
_NAME = re.compile("[!-9;-~]+")  # printable ASCII without space and colon: others make clients drop the message
_VALUE = re.compile("[^\r\n\0]*")
_STATUS = re.compile(r"([0-9]{3}) ?(.*)")


class Headers(dict[str, str]):
    """Headers as properties: a mapping, the last of each name.

    pairs  all of them, in order; block: as they were sent
    """

    def __init__(self, pairs: Iterable[tuple[str, str]], block: bytes) -> None:
        self.pairs = tuple(pairs)
        self.block = block
        super().__init__(self.pairs)

    def first(self, name: str) -> str | None:
        """Return the first value of a name, the one that nats-server goes by."""
        return next((value for one, value in self.pairs if one == name), None) if name in self else None


def read_headers(block: bytes) -> tuple[Headers, str | None]:
    """Return properties and content type of a block. Raises Refusal (bad-payload)."""
    head, *lines = block.decode(errors="replace").split("\r\n")
    if not block.startswith(VERSION) or lines[-2:] != ["", ""]:
        raise Refusal("bad-payload", "headers are NATS/1.0, lines of `Name: value`, and an empty line")
    pairs, content_type = [], None
    if status := _STATUS.fullmatch(head[len(VERSION) :].strip()):
        pairs.append(("Status", status[1]))
        pairs += [("Description", status[2])] if status[2] else []
    for line in lines[:-2]:
        name, colon, value = line.partition(":")
        if not colon or not name:
            raise Refusal("bad-payload", "a header is `Name: value`")
        if name.lower() == "content-type" and len(value) <= NAME_CHARACTERS:
            content_type = value.strip()
        else:
            pairs.append((name, value.strip()))
    if len(pairs) > PROPERTIES:
        raise Refusal("quota", f"a message has at most {PROPERTIES} headers")
    return Headers(pairs, block), content_type or None


def write_headers(message: Message) -> bytes:
    """Return the block of a message; empty if it has no headers. What no header can say is left out."""
    properties = message.properties
    block: bytes = getattr(properties, "block", b"")
    if block or (not properties and message.content_type is None):
        return block
    pairs = [("Content-Type", message.content_type)] if message.content_type is not None else []
    if properties:
        pairs += pairs_of(properties)
    return encode_headers(pairs)


def encode_headers(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Return the block of these headers; empty if there are none that can be said."""
    lines = [f"{name}: {value}\r\n" for name, value in pairs if _NAME.fullmatch(name) and _VALUE.fullmatch(value)]
    try:
        return VERSION + b"\r\n" + "".join(lines).encode() + b"\r\n" if lines else b""
    except UnicodeEncodeError:  # a lone surrogate
        return b""


def is_plain(name: str, value: str) -> bool:
    """Return whether a header says a property as it is."""
    known = _NAME.fullmatch(name) is not None and _VALUE.fullmatch(value) is not None and value.strip() == value
    return known and 0 < len(value) <= NAME_CHARACTERS if name == "Content-Type" else known
