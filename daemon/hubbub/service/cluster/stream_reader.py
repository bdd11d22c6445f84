"""What comes from the cluster's stream: each message is published to the clients of this node, in its order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.kernel.hub import Hub
from hubbub.kernel.routing.cluster_router import ClusterRouter
from hubbub.kernel.routing.reserved import is_local
from hubbub.kernel.sessions.presence import PresenceMessage
from hubbub.kernel.sessions.session import Session
from hubbub.message import Message
from hubbub.nats_protocol.topics import Topics
from hubbub.publish import Publish, QosPublish
from hubbub.service.cluster.jetstream import StreamInfo
from hubbub.service.cluster.jetstream_errors import JetStreamError
from hubbub.service.cluster.numbers import Numbers
from hubbub.service.cluster.ordered_consumer import StreamMessage
from hubbub.service.cluster.stream_codec import decode, id_of, presence_of, set_expiry
from hubbub.service.cluster.stream_history import StreamHistory
from hubbub.service.cluster.stream_join import StreamNames
from hubbub.service.cluster.stream_pages import PageMessage

Trouble = Callable[[str, JetStreamError | None], object]
"""Is told that a part of the stream's work can't go on, and None when it can."""


class StreamReader:
    """Publishes messages of the stream here (ordered_consumer.Reader, stream_join.TakesRetained).

    own       messages of this node that haven't come back, by number: their publishers are known
    received_count  messages that have come
    late      the sequence up to which messages come to sessions of an earlier process alone
    history   attribute: is told of each message before it is published, or None
    wiped_by  attribute: is called with a stream that isn't the one that was read
    presence  attribute: is called with what a node says of a client's presence: topic, node, whether it is online
    found     attribute: is called with the number of each message of this node that comes back
    prefix    attribute: what the ids of these begin with, before the number
    has_read_all  whether all that was stored before the last interruption has been read
    numbers   those of the messages
    unfit     messages that couldn't be published here, such as retained ones beyond the limit of this node
    """

    def __init__(self, hub: Hub, names: StreamNames, session: Session, node: str, trouble: Trouble) -> None:
        self.own: dict[int, Message] = {}
        self.history: StreamHistory | None = None
        self.numbers = Numbers()
        self.received_count = 0
        self.unfit = 0
        assert isinstance(hub.router, ClusterRouter)
        self._early: Collection[tuple[str | None, str]] = ()
        self._hub = hub
        self.late = 0
        self._message = names.message.encode()
        self._node = node
        self._owner = names.owner.encode()
        self._retain = names.retain.encode()
        self._router = hub.router
        self._session = session
        self._topics = Topics()
        self._topics_there: set[str] = set()  # those with a retained message in the cluster, while this node joins
        self._trouble = trouble
        self.presence: Callable[[str, str, bool], object] = lambda topic, node, online: None
        self.found: Callable[[int], object] = lambda number: None
        self.prefix = b""
        self.has_read_all = False
        self.wiped_by: Callable[[StreamInfo], object] = lambda info: None

    def received(self, message: StreamMessage) -> None:
        self.received_count += 1
        number = self.numbers.reached(message.seq)
        if self.history is not None:
            self.history.reached(message.seq)
        if message.subject.startswith(self._owner):
            return
        try:
            found = self._message_of(message)
            if found is None:
                return
            if isinstance(found, QosPublish):
                found.number = number
            if message.seq > self.late:
                self._publish(found)
            else:  # what is retained is there, and the history has it
                self._router.publish_to(found, self._is_early)
        except Refusal:
            self.unfit += 1

    def catch_up(self, until: int, those: Collection[tuple[str | None, str]]) -> None:
        """Bring what the stream has up to sequence `until` to sessions of these users and clients alone.

        An earlier process had these sessions; others have come since.
        """
        self.late, self._early = until, those

    def _is_early(self, session: Session) -> bool:
        return (session.user, session.client) in self._early

    def _publish(self, message: Message) -> None:
        router = self._router
        try:
            router.publish_here(message)
        except Refusal:
            if not message.retain:
                raise
            self.unfit += 1
            message.retain = False  # its subscribers get it in any case
            router.publish_here(message)

    def _message_of(self, message: StreamMessage) -> Message | None:
        """Return a message of the stream as the hub's; None: it has expired, or no receiver here. Raises Refusal."""
        id = id_of(message.headers)
        own = None
        if id.startswith(self.prefix) and (digits := id[len(self.prefix) :]).isdigit():
            self.found(number := int(digits))
            own = self.own.pop(number, None)
        if own is None:
            if not self._is_wanted(message.subject):
                return None
            found = self.decode_stored(message.subject, message.payload, message.headers)
            self._note_presence(found, message.headers)
            return found
        own.path = self._node
        if not isinstance(own, QosPublish):
            if isinstance(own, PresenceMessage):
                self.presence(own.topic, self._node, own.payload == b"1")
        elif own.message_expiry is not None or own.expires is not None:
            return own if set_expiry(own, own.expires_at(), self._hub.turn.wall()) else None
        return own

    def _is_wanted(self, subject: bytes) -> bool:
        retain = subject.startswith(self._retain)
        return retain or self._router.is_wanted(self._topics[subject[len(self._message) :]], self._session)

    def decode(self, page: PageMessage) -> Publish | None:
        """Return a message that a page has; None: it has expired, or is for nodes alone. Raises Refusal."""
        subject = page.subject.encode()
        return None if subject.startswith(self._owner) else self.decode_stored(subject, page.payload, page.headers)

    def decode_stored(self, subject: bytes, payload: bytes, block: bytes) -> Publish | None:
        """Return a message of the stream that comes now; None: it has expired. Raises Refusal."""
        retain = subject.startswith(self._retain)
        topic = self._topics[subject[len(self._retain if retain else self._message) :]]
        if is_local(topic):
            raise Refusal("not-authorized", "that topic stays in its hub")
        found = decode(topic, payload, block, retain, self._hub.turn.wall())
        if found is not None:
            found.sender, found.path = self._session, id_of(block).partition(b"-")[0].decode(errors="replace")
        return found

    def _note_presence(self, message: Message | None, block: bytes) -> None:
        if message is not None and (node := presence_of(block)):
            self.presence(message.topic, node, message.payload == b"1")

    def retained(self, subject: str, payload: bytes, headers: bytes) -> None:
        try:
            found = self.decode_stored(subject.encode(), payload, headers)
            self._note_presence(found, headers)
            if found is not None:
                found.time = self._hub.turn.wall()
                self._hub.retained.keep(found)
                if found.payload:
                    self._topics_there.add(found.topic)
        except Refusal:
            self.unfit += 1

    def settle_retained(self, fresh: bool) -> Iterator[None]:
        """Go on with what the cluster has retained: what this node had from before alone is forgotten.

        If the stream is `fresh` it is published instead: this is the first node of a cluster.
        """
        there, self._topics_there = self._topics_there, set()
        for count, message in enumerate(self._hub.retained.match("#")):
            if message is not None and fresh:
                self._bring_along(message)
            elif message is not None and message.topic not in there:
                self._hub.retained.keep(Message(message.topic, b"", retain=True))
            if count % limits.RETAINED_AT_ONCE == 0:
                yield

    def _bring_along(self, message: Message) -> None:
        own = message.on(message.topic)
        own.retained = False
        try:
            self._hub.router.publish(own)
        except Refusal:
            self.unfit += 1

    def caught_up(self) -> None:
        self.has_read_all = True

    def wiped(self, info: StreamInfo) -> None:
        self.own.clear()
        self.numbers.wiped(info.epoch, info.state.last_seq)
        self.wiped_by(info)

    def failing(self, error: JetStreamError | None) -> None:
        self.has_read_all = False
        self._trouble("reading", error)
