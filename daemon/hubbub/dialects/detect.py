"""auto: tells from its first bytes which dialect a link speaks.

The dialects are asked in the order of their priority, then name. One that claims the bytes gets the link; while the
best of them needs more bytes, they are kept, up to limits.DETECT_BYTES and for the time of a handshake. With no claim
it is the last of the candidates: lines.

Clients of some dialects wait for the server to speak. If one of these is `greeter`, its greeting goes to a client that
has said nothing for `greet` seconds; the client may go on in any dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from hubbub import limits
from hubbub.dialect import Dialect, DialectContext
from hubbub.events import Answer, Event, SwitchDialect
from hubbub.message import Message, Sender


class Auto(Dialect):
    """Whatever the first bytes say."""

    final = False
    candidates: ClassVar[Sequence[type[Dialect]]] = ()
    fallback: ClassVar[type[Dialect]]
    failed: ClassVar[Callable[[Exception], object]]
    greeter: ClassVar[type[Dialect] | None] = None
    greet: ClassVar[float] = limits.GREET_SECONDS

    def __init__(self, context: DialectContext, peer: Sender) -> None:
        super().__init__(context, peer)
        self._greet_at: float | None = None
        self._greeted = False
        self._head = b""

    @classmethod
    def among(
        cls,
        candidates: Sequence[type[Dialect]],
        fallback: type[Dialect],
        failed: Callable[[Exception], object] = lambda error: None,
        greeter: type[Dialect] | None = None,
        greet: float = limits.GREET_SECONDS,
    ) -> type[Auto]:
        """Make the Auto that chooses among `candidates`, and else takes `fallback`.

        failed   gets what `claims` raises, which counts as no
        greeter  whose greeting a client gets after `greet` seconds of silence; None: no client does
        """
        ordered = sorted(set(candidates) - {fallback}, key=lambda one: (-one.priority, one.name))
        attributes = {"candidates": tuple(ordered), "fallback": fallback, "failed": staticmethod(failed)}
        made = type("Auto", (cls,), {**attributes, "full": fallback.full, "greeter": greeter, "greet": greet})
        made.__doc__ = cls.__doc__
        return made

    @classmethod
    def max_unit(cls, context: DialectContext) -> int:
        return max(one.max_unit(context) for one in (*cls.candidates, cls.fallback))

    @classmethod
    def choose(cls, head: bytes, whole: bool = True) -> type[Dialect] | None:
        """Tell which dialect begins with `head`. None: more bytes are needed, unless `head` is `whole`."""
        for candidate in cls.candidates:
            try:
                claim = candidate.claims(head)
            except Exception as error:  # noqa: BLE001  a plugin's: it loses its claim, the others are asked
                cls.failed(error)
                continue
            if claim:
                return candidate
            if claim is None and not whole:
                return None
        return cls.fallback

    def opened(self, now: float) -> list[Event | Message]:
        if self.greeter is not None:
            self._greet_at = self.deadline = now + self.greet
        return []

    def receive(self, data: bytes, now: float, text: bool | None = None) -> list[Event | Message]:
        if self._greet_at is not None:
            self._greet_at = self.deadline = None
        self._head += data
        whole = not self.context.stream or len(self._head) >= limits.DETECT_BYTES
        head = self._head[: limits.DETECT_BYTES] if self.context.stream else self._head  # however a stream is cut
        dialect = self.choose(head, whole)
        if dialect is None:
            self.deadline = self.deadline or now + self.context.handshake
            return []
        return self._become(dialect, text)

    def timeout(self, now: float) -> list[Event | Message]:
        if self._greet_at is None:
            return self._become(self.fallback)
        assert self.greeter is not None
        self._greet_at, self._greeted = None, True
        return [Answer(self.greeter.greeting(self.context, self.peer))]

    def eof(self, now: float) -> list[Event | Message]:
        return self._become(self.choose(self._head) or self.fallback)

    def held(self) -> str:
        return f"{len(self._head)} bytes held, too few to detect the dialect" if self._head else ""

    def _become(self, dialect: type[Dialect], text: bool | None = None) -> list[Event | Message]:
        self.deadline = None
        return [SwitchDialect(dialect, self._head, text, self._greeted and dialect is self.greeter)]
