"""The events of a client: a dialect decodes bytes into these, and the link acts on them in order.

An event with an answer carries a `tag`: whatever its dialect needs to encode the answer (a packet
identifier, an `id`). The link hands event and result to `Dialect.outcome`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

from mypy_extensions import mypyc_attr

from hubbub.errors import Refusal
from hubbub.history_request import HistoryRequest
from hubbub.publish import Publish, Request

FIELDS = "__slots__" if __file__.endswith(".py") else "__mypyc_attrs__"  # where a class keeps the names of its own
_QUIET: dict[str, tuple[Any, ...]] = {  # what few dialects set, and isn't shown at its default
    "qos": (0,), "retained": ("always",), "id": (None,), "clean_start": (True,), "session_expiry": (0.0, None),
    "will": (None, True), "will_delay": (0.0,), "receive_maximum": (None,), "session_present": (False,),
    "dropped": (0,), "resend_as_new": (False,), "after": (0,), "answers": (True,), "policy": (None,),
    "auth_method": (None,), "reauthenticate": (False,), "all_or_none": (False,), "history": (None,),
    "public_key": (None,),
}  # fmt: skip
_UNSAID = ("password", "auth_data", "challenge", "server_data")  # secrets, and what the hub itself sets


@mypyc_attr(allow_interpreted_subclasses=True)
class Event:
    """One command of a client."""

    __slots__ = ("tag",)

    def __init__(self, tag: Any = None) -> None:
        self.tag = tag

    def __repr__(self) -> str:
        names = dict.fromkeys([name for kind in type(self).__mro__ for name in getattr(kind, FIELDS, ())])
        these = [name for name in names if name not in _UNSAID and getattr(self, name) not in _QUIET.get(name, ())]
        shown = [f"{name}={getattr(self, name)!r}" for name in these]
        return f"{type(self).__name__}({', '.join(shown)})"


class PublishOnce(Event):
    """Publish `message`, a Publish or a QosPublish, once for each idempotency key of its client, `key`.

    A further one is answered like the first, within `--once`. The answer is that of the message itself: `outcome` gets
    the message and its result.

    key  str; the hub refuses an empty one, and one of more than limits.NAME_CHARACTERS characters
    """

    __slots__ = ("key", "message")

    def __init__(self, key: str, message: Publish) -> None:
        self.key = key
        self.message = message
        self.tag = message.tag


class Release(Event):
    """The number `dedup_id` is free again (PUBREL). The result is a bool: whether a message had that number."""

    __slots__ = ("dedup_id",)

    def __init__(self, dedup_id: int, tag: Any = None) -> None:
        self.dedup_id = dedup_id
        self.tag = tag


class Ack(Event):
    """The client acknowledges the in-flight message `id`.

    stage  one of STAGES: QoS 1 has "acknowledged" (PUBACK), or "returned": the message goes back to its work queue, and
           is dropped if it came from none; QoS 2 has "received" (PUBREC), then "completed" (PUBCOMP), or "rejected" (a
           PUBREC that refuses it)
    The result is a bool: whether a message with that id was in flight; or a Refusal, if it is at another stage.
    """

    STAGES: ClassVar[Sequence[str]] = ("acknowledged", "returned", "received", "completed", "rejected")
    __slots__ = ("id", "stage")

    def __init__(self, id: int, stage: str = "acknowledged", tag: Any = None) -> None:
        self.id = id
        self.stage = stage
        self.tag = tag


class Connect(Event):
    """The client logs in. The result is a str, its user name ("" for anonymous), or a Refusal.

    client                 str or None: the client identifier
    receive_maximum        int: messages of QoS 1 and 2 in flight to the client at once (MQTT 5.0 section 3.1.2.11.3);
                           None: this client has no persistent session
    clean_start            bool: an existing session ends first; session_expiry: seconds that one outlives its link
    will                   Publish or None: published when the link ends without Close(will=False), but not before
    will_delay             float: seconds, and not at all if the client is back by then
    session_present        bool, set before the outcome: an existing session goes on. sets an empty `client`
    dropped                int, set before the outcome: messages that the session has lost since the client last came
    resend_as_new          bool, connectors only: the server has no session, so in-flight messages are sent as new ones
    knows_receive_maximum  bool: the client has got limits.INFLIGHT_MESSAGES; otherwise it may send more at once
    auth_method            str or None: enhanced authentication, see AuthResponse (MQTT 5.0 section 4.12)
    auth_data              bytes: the client's first data for it; server_data: the server's last, set before the outcome
    challenge              set by the link: asks the client for an AuthResponse; reauthenticate: bool: it is logged in
    public_key             bytes or None: the Ed25519 key that the client has proved to have; empty: it has failed to
    """

    __slots__ = (
        "client", "user", "password", "token", "clean_start", "session_expiry", "will", "will_delay", "receive_maximum",
        "session_present", "dropped", "resend_as_new", "auth_method", "auth_data", "reauthenticate", "challenge",
        "server_data", "knows_receive_maximum", "public_key",
    )  # fmt: skip

    def __init__(
        self,
        client: str | None = None,
        user: str | None = None,
        password: str | None = None,
        token: str | None = None,
        tag: Any = None,
        clean_start: bool = True,
        session_expiry: float = 0.0,
        will: Publish | None = None,
        will_delay: float = 0.0,
        receive_maximum: int | None = None,
        resend_as_new: bool = False,
        auth_method: str | None = None,
        auth_data: bytes = b"",
        reauthenticate: bool = False,
        knows_receive_maximum: bool = True,
        public_key: bytes | None = None,
    ) -> None:
        self.public_key = public_key
        self.resend_as_new = resend_as_new
        self.knows_receive_maximum = knows_receive_maximum
        self.auth_method = auth_method
        self.auth_data = auth_data
        self.reauthenticate = reauthenticate
        self.challenge: Any = None
        self.server_data = b""
        self.clean_start = clean_start
        self.session_expiry = session_expiry
        self.will = will
        self.will_delay = will_delay
        self.receive_maximum = receive_maximum
        self.session_present = False
        self.dropped = 0
        self.client = client
        self.user = user
        self.password = password
        self.token = token
        self.tag = tag


class AuthResponse(Event):
    """The client's answer to a challenge of enhanced authentication, see `Dialect.challenge`.

    The result is a Refusal if there was no challenge; otherwise the Connect has the result.
    """

    __slots__ = ("auth_data",)

    def __init__(self, auth_data: bytes, tag: Any = None) -> None:
        self.auth_data = auth_data
        self.tag = tag


class Subscribe(Event):
    """Let what matches `filter` come. The result is None or a Refusal.

    filter    str; `$share/GROUP/FILTER` lets each message go to one of the group's members
    echo      bool: whether the client's own messages come back to it
    full      str or None: another overflow policy than the listener's
    options   hashable: whatever `Dialect.form` needs to know
    qos       0 to 2: the maximum QoS of messages to this client
    retained  "always", "never" or "new", which means: only for a new subscription (MQTT 5.0 section 3.8.3.1)
    id        hashable or None: the client's id of the subscription; None: the filter, so that it has one for each
    history   HistoryRequest or None: begin with messages of the history; then no retained messages come
    position  str: set without `history`, where it covers the filter: the position of the last message before
    answers   bool: whether the client may answer requests that come by it; else a request doesn't count on it
    policy    str or None: of a member of a group that gets requests alone, how it chooses one for each, see POLICIES
    """

    POLICIES: ClassVar[Sequence[str]] = ("single", "first", "last", "roundrobin", "random")
    __slots__ = (
        "filter", "echo", "full", "options", "qos", "retained", "id", "answers", "policy", "history", "position",
    )  # fmt: skip

    def __init__(
        self,
        filter: str,
        echo: bool = True,
        full: str | None = None,
        options: Hashable = None,
        tag: Any = None,
        qos: int = 0,
        retained: str = "always",
        id: Hashable = None,
        answers: bool = True,
        policy: str | None = None,
        history: HistoryRequest | None = None,
    ) -> None:
        self.answers = answers
        self.policy = policy
        self.qos = qos
        self.retained = retained
        self.history = history
        self.position = ""
        self.filter = filter
        self.echo = echo
        self.full = full
        self.options = options
        self.id = id
        self.tag = tag

    @property
    def key(self) -> Hashable:
        """What the subscription is called within its session."""
        return self.filter if self.id is None else self.id


class OpenQueue(Event):
    """Let the group `filter`, `$share/GROUP/TOPIC`, be a work queue from now on. The result is None or a Refusal.

    A work queue keeps what is published on its topic until a member has acknowledged it, as far as there is room.

    publishes  bool: the client is going to publish there, so it must have room; else it is going to subscribe
    """

    __slots__ = ("filter", "publishes")

    def __init__(self, filter: str, publishes: bool = False, tag: Any = None) -> None:
        self.filter = filter
        self.publishes = publishes
        self.tag = tag


class Unsubscribe(Event):
    """End the subscription `id`, or the one to exactly `filter` if `id` is None. The result is None or a Refusal.

    after  int: not before it has had that many messages, counted from its beginning; see `Dialect.counts`
    """

    __slots__ = ("after", "filter", "id")

    def __init__(self, filter: str, tag: Any = None, id: Hashable = None, after: int = 0) -> None:
        self.after = after
        self.filter = filter
        self.id = id
        self.tag = tag


class SubscriptionBatch(Event):
    """Subscribe, Unsubscribe and Fault events with one answer, which goes out before the retained messages.

    all_or_none  bool: if one is refused, the client gets none of the subscriptions
    The result is a list, with the result of each: a Refusal, or for Subscribe None and for Unsubscribe whether there
    was such a subscription.
    """

    __slots__ = ("events", "all_or_none")

    def __init__(
        self, events: Sequence[Subscribe | Unsubscribe | Fault], tag: Any = None, all_or_none: bool = False
    ) -> None:
        self.events = events
        self.all_or_none = all_or_none
        self.tag = tag


class Cancel(Event):
    """End the wait of a Request of this client: its result is a Refusal (timeout)."""

    __slots__ = ("request",)

    def __init__(self, request: Request) -> None:
        self.request = request
        self.tag = None


class ForPeer(Event):
    """Let the link of another client of the same dialect act on `events`; without a link nothing happens.

    peer  what that client's dialect object has as its `peer`
    """

    __slots__ = ("events", "peer")

    def __init__(self, peer: Any, events: Sequence[Answer | Close]) -> None:
        self.events = events
        self.peer = peer
        self.tag = None


class Fetch(Event):
    """Read the retained message of `topic`. The result is a Message, None if there is none, or a Refusal."""

    __slots__ = ("topic",)

    def __init__(self, topic: str, tag: Any = None) -> None:
        self.topic = topic
        self.tag = tag


class ReadPosition(Event):
    """Ask where the history ends. The result is a str, the position of its newest message, or a Refusal."""

    __slots__ = ()


class Ping(Event):
    """A sign of life; over UDP it renews the lease. The result is the number of subscriptions, an int."""

    __slots__ = ()


class Answer(Event):
    """Bytes that the dialect answers by itself, written at their place among the other answers."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.tag = None


class Notice(Event):
    """A notice for the operator about the peer: hubbub logs it, and shows it in the state of a connector.

    A listener logs each text once.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text
        self.tag = None


class Fault(Event):
    """A command that can't be acted on. The result is its Refusal, so that all are counted and worded alike."""

    __slots__ = ("refusal",)

    def __init__(self, refusal: Refusal, tag: Any = None) -> None:
        refusal.__traceback__ = refusal.__context__ = None  # whose frames hold the events that this is to be one of
        self.refusal, self.tag = refusal, tag


class Confirm(Event):
    """Proof that a UDP client is where it says: `token` is what the hub sent to that address."""

    __slots__ = ("token",)

    def __init__(self, token: str) -> None:
        self.token = token
        self.tag = None


class SwitchDialect(Event):
    """From here on the link speaks `dialect`, a Dialect class, from the bytes `head` on; `text` as in `receive`.

    greeted  bool: its greeting has been sent, so what it answers when it opens isn't
    """

    __slots__ = ("dialect", "greeted", "head", "text")

    def __init__(self, dialect: Any, head: bytes, text: bool | None = None, greeted: bool = False) -> None:
        self.dialect = dialect
        self.greeted = greeted
        self.head = head
        self.text = text
        self.tag = None


class Close(Event):
    """The end of the link: `data` is written first; `reason` is for the log and for a WebSocket's close frame.

    refusal   Refusal or None: why, where it is the client's fault
    will      whether the client's will is published, see Connect; session_expiry: replaces that of Connect, or None
    """

    __slots__ = ("reason", "data", "refusal", "will", "session_expiry")

    def __init__(
        self,
        reason: str,
        data: bytes = b"",
        refusal: Refusal | None = None,
        will: bool = True,
        session_expiry: float | None = None,
    ) -> None:
        self.will = will
        self.session_expiry = session_expiry
        self.reason = reason
        self.data = data
        self.refusal = refusal
        self.tag = None
