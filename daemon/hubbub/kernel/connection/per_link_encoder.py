"""The way to a link whose units are its own: what is encoded once for all is made this client's."""

from __future__ import annotations

from collections.abc import Callable

from hubbub.dialect import NeverDrop
from hubbub.events import Subscribe
from hubbub.kernel.connection.outbox import Outbox
from hubbub.kernel.sessions.session import Batch
from hubbub.message import Message


class PerLinkEncoder:
    """The box of a subscription whose dialect makes each unit its link's own, see `Dialect.frame_for_link`."""

    __slots__ = ("stream", "_deliver", "_outbox", "_sure", "_wish", "_wrap")

    def __init__(
        self,
        outbox: Outbox,
        deliver: Callable[[bytes, Message, Subscribe], bytes],
        wrap: Callable[[bytes], bytes] | None,
        wish: Subscribe,
    ) -> None:
        self._outbox = outbox
        self.stream = outbox.stream
        self._deliver = deliver
        self._wrap = wrap
        self._sure: list[int] = []  # which units of the last batch are not to be dropped
        self._wish = wish

    def own(self, batch: Batch) -> Batch:
        """The same messages in units of this link's own."""
        deliver, wish = self._deliver, self._wish
        frames = [deliver(frame, message, wish) for frame, message in zip(batch.frames, batch.messages, strict=True)]
        self._sure = [at for at, frame in enumerate(frames) if type(frame) is NeverDrop]
        if self._wrap is not None:
            frames = [self._wrap(frame) for frame in frames]
        return Batch(batch.messages, frames, self._outbox.stream, batch.full)

    def put(self, batch: Batch) -> None:
        """Take messages (kernel.sessions.session.Box)."""
        try:
            own = self.own(batch)
        except Exception as error:  # noqa: BLE001  a plugin's dialect, amid what others wait for
            self._outbox.fail(error)
            return
        if self._sure:
            self._put_each(own)
        else:
            self._outbox.put(own)

    def _put_each(self, batch: Batch) -> None:
        """Put messages of which some are never dropped."""
        sure, self._sure = self._sure, []
        for at, one in enumerate(batch.singles(self.stream)):
            if at in sure:
                self._outbox.answer(one.frames[0])
                self._outbox.sent += 1
            else:
                self._outbox.put(one)

    def room(self, message: Message) -> int:
        """Tell what would become of a message here."""
        return self._outbox.room(message)

    def miss(self, count: int) -> None:
        """Note that `count` messages could not be carried."""
        self._outbox.miss(count)
