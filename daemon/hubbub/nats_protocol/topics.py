"""The topics of subjects as one link wrote them."""

from __future__ import annotations

from hubbub import limits
from hubbub.errors import BadTopic
from hubbub.nats_protocol.subjects import topic_of


class Topics(dict[bytes, str]):
    """Topics by subject, so that each is parsed once. Bounded. Looking one up raises BadTopic."""

    __slots__ = ()

    def __missing__(self, subject: bytes) -> str:
        try:
            topic = topic_of(subject.decode())
        except UnicodeDecodeError:
            raise BadTopic("a subject is UTF-8") from None
        if len(subject) <= limits.TOPIC_TABLE_BYTES:
            if len(self) >= limits.TOPIC_TABLE:
                self.clear()
            self[subject] = topic
        return topic
