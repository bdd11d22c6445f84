"""The heads of earlier requests of a connection: what comes again, byte by byte, means the same again.

A client with keep-alive sends its requests with one head. Only twisted.web parses heads; this repeats what came of it.
"""

from __future__ import annotations

from hubbub import limits
from hubbub.http import TOPICS, HttpRequest

_END = b"\r\n\r\n"


class KnownHeads:
    """What the heads of a connection have been parsed to, for one resource and one user."""

    def __init__(self) -> None:
        self._known: dict[bytes, HttpRequest] = {}
        self._resource: object = None

    def forget(self) -> None:
        """Another user has the connection."""
        self._known.clear()

    def learn(self, piece: bytes, unit: HttpRequest, resource: object) -> None:
        """Remember a request that publishes, where it came in one piece and is all of it; `resource` has read it."""
        at = piece.find(_END) + len(_END)
        if at > limits.KNOWN_HEAD_BYTES or piece[at:] != unit or unit.method not in ("POST", "PUT"):
            return
        if not unit.path.startswith(TOPICS) or unit.repeat or b"\nexpect:" in piece[:at].lower():
            return
        if self._resource is not resource or len(self._known) >= limits.KNOWN_HEADS:
            self._known.clear()
        self._resource = resource
        self._known[piece[:at]] = unit

    def read(self, piece: bytes, resource: object) -> HttpRequest | None:
        """Return the request that a piece is, or None: it has to be parsed."""
        if self._resource is not resource:
            return None
        at = piece.find(_END) + len(_END)
        known = self._known.get(piece[:at])
        if known is None or len(piece) - at != len(known):
            return None
        unit = HttpRequest.made(known.method, known.path, known.query, known.headers, piece[at:])
        unit.plan = known.plan
        return unit
