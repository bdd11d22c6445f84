"""Which session has a message of a group, where JetStream may have given it to several nodes.

A session says so by a message of the stream that has to be the first on its subject: only one of them can be it.
"""

from __future__ import annotations

from hubbub.service.cluster.jetstream import EXPECTED_SEQUENCE, JetStream
from hubbub.service.cluster.jetstream_errors import Conflict, Unavailable
from hubbub.service.cluster.pull_consumer import digest
from hubbub.service.cluster.stream_join import StreamNames


class MessageOwners:
    """The owners of messages of groups. They are in the stream for as long as the messages themselves."""

    def __init__(self, jetstream: JetStream, names: StreamNames) -> None:
        self._jetstream = jetstream
        self._names = names

    async def claim(self, group: str, seq: int, session: str, by: str = "") -> bool:
        """Have a session own a message, unless it has an owner. Returns whether this one is it. Raises JetStreamError.

        by  what the message was acknowledged by, as a session may have had it twice; "": any of these
        """
        subject, value = f"{self._names.owner}{digest(group)}.{seq}", f"{session} {by}".encode()
        try:
            await self._jetstream.publish(subject, value, {EXPECTED_SEQUENCE: "0"})
        except Conflict:
            found = await self._jetstream.last(self._names.messages, subject)
            if found is None:
                raise Unavailable("who has a message of a group isn't known yet") from None
            return found[1] == value or (not by and found[1].startswith(value))
        return True
