"""What the events of a dialect must look like, so that a link can act on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from inspect import getattr_static
from typing import Any

from hubbub import limits
from hubbub.errors import CODES, Refusal
from hubbub.events import (
    Ack,
    Answer,
    AuthResponse,
    Cancel,
    Close,
    Confirm,
    Connect,
    Event,
    Fault,
    Fetch,
    ForPeer,
    Notice,
    OpenQueue,
    Ping,
    PublishOnce,
    ReadPosition,
    Release,
    Subscribe,
    SubscriptionBatch,
    SwitchDialect,
    Unsubscribe,
)
from hubbub.history_request import HistoryRequest
from hubbub.kernel.connection.overflow import POLICIES
from hubbub.message import Message
from hubbub.publish import Announcement, PartialReply, Publish, QosPublish, Request, SelectivePublish
from hubbub.topics import check_topic

_QOS, _RETAINED = (0, 1, 2), ("always", "never", "new")
_AN_ID = f"an int of 1 to {limits.PACKET_IDS}"
_NO_PART = ("sender", "time", "hops", "retained")  # what the hub fills in


def faults(events: object, longest: int) -> Iterator[str]:
    """Yield a sentence for each thing that is wrong with what `receive`, `eof` or `timeout` returned.

    longest  bytes of payload that the listener takes, `max-message=`
    """
    if not isinstance(events, list):
        yield f"it returns {type(events).__name__}; return a list of events, [] for none"
        return
    for at, event in enumerate(events):
        check = _CHECKS.get(type(event))
        if check is None:
            known = ", ".join(sorted(kind.__name__ for kind in _CHECKS if kind is not SwitchDialect))
            yield f"{type(event).__name__} is no event; a link acts on exactly these, no subclasses: {known}"
            continue
        yield from check(event, longest)
        if type(event) is Close and at + 1 < len(events):
            yield "there are events behind a Close, and nothing is acted on after it; end the list there"


def plain(value: Any) -> Any:
    """Turn an event, or anything in one, into what can be compared with ==."""
    if isinstance(value, BaseException):
        return type(value).__name__, plain(value.args)
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, Event | Message) or vars(object)["__eq__"] is getattr_static(value, "__eq__", None):
        own = [vars(kind).get("__slots__", vars(kind).get("__mypyc_attrs__", ())) for kind in type(value).__mro__]
        names = [name for found in own for name in found]
        names += list(getattr(value, "__dict__", ()))
        if names:
            fields = {name: plain(getattr(value, name, None)) for name in names if name not in _NO_PART}
            return type(value).__name__, fields
    return value


def _wrong(event: Any, name: str, fine: bool, expected: str) -> Iterator[str]:
    if not fine:
        written = repr(getattr(event, name))
        shown = written if len(written) <= limits.SHOWN_CHARACTERS else written[: limits.SHOWN_CHARACTERS] + "..."
        yield f"{type(event).__name__}.{name} is {shown}; it must be {expected}"


def _topic(event: Any, name: str) -> Iterator[str]:
    topic = getattr(event, name)
    if not isinstance(topic, str):
        yield from _wrong(event, name, False, "a str")
        return
    try:
        check_topic(topic)
    except Refusal as refusal:
        yield from _wrong(
            event, name, False, f"a valid topic ({refusal.reason}); check_topic of hubbub.topics and Template help"
        )


def _publish(event: Publish, longest: int) -> Iterator[str]:
    yield from _topic(event, "topic")
    if event.reply_to is not None:
        yield from _topic(event, "reply_to")
    yield from _wrong(event, "payload", isinstance(event.payload, bytes), "bytes")
    if isinstance(event.payload, bytes) and len(event.payload) > longest:
        yield (
            f"{type(event).__name__}.payload has {len(event.payload)} bytes where the listener takes {longest}; "
            "compare with context.max_message, and return a Fault or Close(too-long)"
        )
    yield from _wrong(event, "retain", isinstance(event.retain, bool), "a bool")
    kind = event.content_type
    fine = kind is None or (isinstance(kind, str) and len(kind) <= limits.NAME_CHARACTERS)
    yield from _wrong(event, "content_type", fine, f"None or a str of at most {limits.NAME_CHARACTERS} characters")
    yield from _wrong(
        event, "properties", _are_properties(event.properties), f"None or at most {limits.PROPERTIES} str by str"
    )


def _qos_publish(event: QosPublish, longest: int) -> Iterator[str]:
    yield from _publish(event, longest)
    yield from _wrong(event, "qos", event.qos in _QOS, "0, 1 or 2")
    yield from _wrong(event, "dedup_id", event.dedup_id is None or _is_id(event.dedup_id), f"None or {_AN_ID}")
    yield from _wrong(
        event, "message_expiry", event.message_expiry is None or _is_time(event.message_expiry), "None or seconds"
    )
    about = event.correlation
    fine = about is None or (isinstance(about, bytes) and len(about) <= limits.CORRELATION_BYTES)
    yield from _wrong(event, "correlation", fine, f"None or at most {limits.CORRELATION_BYTES} bytes")


def _publish_once(event: PublishOnce, longest: int) -> Iterator[str]:
    yield from _wrong(event, "key", isinstance(event.key, str), "a str")
    if type(event.message) not in (Publish, QosPublish):
        yield from _wrong(event, "message", False, "a Publish or a QosPublish")
    else:
        yield from _CHECKS[type(event.message)](event.message, longest)


def _is_id(value: object) -> bool:
    return isinstance(value, int) and 1 <= value <= limits.PACKET_IDS


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and value >= 0


def _release(event: Release, longest: int) -> Iterator[str]:
    yield from _wrong(event, "dedup_id", _is_id(event.dedup_id), _AN_ID)


def _ack(event: Ack, longest: int) -> Iterator[str]:
    yield from _wrong(event, "id", isinstance(event.id, int), "the int that `frame_qos` was given")
    yield from _wrong(event, "stage", event.stage in Ack.STAGES, f"one of {', '.join(Ack.STAGES)}")


def _are_properties(properties: Any) -> bool:
    if properties is None:
        return True
    if not isinstance(properties, Mapping) or len(properties) > limits.PROPERTIES:
        return False
    return all(isinstance(one, str) for pair in properties.items() for one in pair)


def _request(event: Request, longest: int) -> Iterator[str]:
    yield from _publish(event, longest)
    fine = isinstance(event.timeout, int | float) and 0 <= event.timeout <= limits.REQUEST_SECONDS_MAX
    yield from _wrong(event, "timeout", fine, f"seconds, at most {limits.REQUEST_SECONDS_MAX:g}")
    yield from _wrong(event, "blocking", isinstance(event.blocking, bool), "a bool")


def _subscribe(event: Subscribe, longest: int) -> Iterator[str]:
    yield from _wrong(event, "filter", isinstance(event.filter, str), "a str")
    yield from _wrong(event, "echo", isinstance(event.echo, bool), "a bool")
    yield from _wrong(event, "full", event.full in (None, *POLICIES), f"None or one of {', '.join(POLICIES)}")
    yield from _wrong(event, "qos", event.qos in _QOS, "0, 1 or 2")
    yield from _wrong(event, "retained", event.retained in _RETAINED, f"one of {', '.join(_RETAINED)}")
    policies = (None, *Subscribe.POLICIES)
    yield from _wrong(event, "policy", event.policy in policies, f"one of {', '.join(map(str, policies))}")
    if event.history is not None:
        yield from _history(event, event.history)
    try:
        hash(event.options)
    except TypeError:
        yield from _wrong(event, "options", False, "hashable, as a tuple is: subscriptions are grouped by it")


def _history(event: Subscribe, asked: HistoryRequest) -> Iterator[str]:
    after, since, last = asked.after, asked.since, asked.last
    one = sum(given is not None for given in (after, since, last)) == 1
    yield from _wrong(event, "history", one, "a HistoryRequest with one of after, since and last")
    yield from _wrong(event, "history", after is None or isinstance(after, str), "after a str")
    fine = since is None or (isinstance(since, int | float) and 0 <= since < math.inf)
    yield from _wrong(event, "history", fine, "since a number of seconds")
    fine = last is None or (isinstance(last, int) and last >= 0)
    yield from _wrong(event, "history", fine, "last a number of messages")


def _open_queue(event: OpenQueue, longest: int) -> Iterator[str]:
    yield from _wrong(event, "filter", isinstance(event.filter, str), "a str")
    yield from _wrong(event, "publishes", isinstance(event.publishes, bool), "a bool")


def _unsubscribe(event: Unsubscribe, longest: int) -> Iterator[str]:
    yield from _wrong(event, "filter", isinstance(event.filter, str), "a str")
    yield from _wrong(event, "after", isinstance(event.after, int) and event.after >= 0, "a number of messages")


def _subscription_batch(event: SubscriptionBatch, longest: int) -> Iterator[str]:
    for one in event.events:
        if type(one) not in (Subscribe, Unsubscribe, Fault):
            yield f"SubscriptionBatch has a {type(one).__name__} in it; it is for Subscribe, Unsubscribe and Fault"
            continue
        yield from _CHECKS[type(one)](one, longest)


def _fetch(event: Fetch, longest: int) -> Iterator[str]:
    yield from _wrong(event, "topic", isinstance(event.topic, str), "a str")


def _connect(event: Connect, longest: int) -> Iterator[str]:
    for name in ("client", "user", "password", "token", "auth_method"):
        value = getattr(event, name)
        if value is not None and not isinstance(value, str):
            yield f"Connect.{name} is {type(value).__name__}; it must be a str or None"
    yield from _wrong(event, "auth_data", isinstance(event.auth_data, bytes), "bytes")
    fine = event.public_key is None or (isinstance(event.public_key, bytes) and len(event.public_key) in (0, 32))
    yield from _wrong(event, "public_key", fine, "None, or the 32 bytes of a key, or empty")
    for name in ("session_expiry", "will_delay"):
        yield from _wrong(event, name, _is_time(getattr(event, name)), "seconds, 0.0 for none")
    window = event.receive_maximum
    fine = window is None or (isinstance(window, int) and window > 0)
    yield from _wrong(event, "receive_maximum", fine, "None, or how many messages may be on their way at once")
    if event.will is not None:
        if type(event.will) not in (Publish, QosPublish):
            yield from _wrong(event, "will", False, "None, a Publish or a QosPublish")
        else:
            yield from _CHECKS[type(event.will)](event.will, longest)
    if window is None and (event.will is not None or event.session_expiry):
        yield "Connect has a will or an expiry and no receive_maximum; a persistent session has one"


def _refusal(event: Any, name: str = "refusal") -> Iterator[str]:
    refusal = event.refusal
    if not isinstance(refusal, Refusal):
        yield from _wrong(event, name, False, "a Refusal(code, reason)")
        return
    if refusal.code not in CODES:
        yield f"a Refusal has the code {refusal.code!r}; it must be one of {' '.join(sorted(CODES))}"
    yield from _sentence("a Refusal's reason", refusal.reason)


def _sentence(what: str, text: object) -> Iterator[str]:
    if not isinstance(text, str) or not text or not text.isprintable():
        yield f"{what} is {text!r:.80}; it must be one line of text for a person"


def _auth_response(event: AuthResponse, longest: int) -> Iterator[str]:
    yield from _wrong(event, "auth_data", isinstance(event.auth_data, bytes), "bytes")


def _notice(event: Notice, longest: int) -> Iterator[str]:
    yield from _sentence("Notice.text", event.text)


def _fault(event: Fault, longest: int) -> Iterator[str]:
    yield from _refusal(event)


def _close(event: Close, longest: int) -> Iterator[str]:
    yield from _sentence("Close.reason", event.reason)
    yield from _wrong(event, "data", isinstance(event.data, bytes), "bytes, b'' for none")
    yield from _wrong(event, "will", isinstance(event.will, bool), "a bool")
    yield from _wrong(
        event, "session_expiry", event.session_expiry is None or _is_time(event.session_expiry), "None or seconds"
    )
    if event.refusal is not None:
        yield from _refusal(event)


def _answer(event: Answer, longest: int) -> Iterator[str]:
    yield from _wrong(event, "data", isinstance(event.data, bytes), "bytes")


def _confirm(event: Confirm, longest: int) -> Iterator[str]:
    yield from _wrong(event, "token", isinstance(event.token, str), "a str")


def _nothing(event: Any, longest: int) -> Iterator[str]:
    return iter(())


_CHECKS: dict[type, Callable[[Any, int], Iterator[str]]] = {
    Publish: _publish,
    QosPublish: _qos_publish,
    PublishOnce: _publish_once,
    SelectivePublish: _publish,
    Announcement: _publish,
    PartialReply: _publish,
    Cancel: _nothing,
    ForPeer: _nothing,
    Release: _release,
    Ack: _ack,
    SubscriptionBatch: _subscription_batch,
    Fetch: _fetch,
    Request: _request,
    Subscribe: _subscribe,
    Unsubscribe: _unsubscribe,
    OpenQueue: _open_queue,
    Connect: _connect,
    AuthResponse: _auth_response,
    Notice: _notice,
    Ping: _nothing,
    ReadPosition: _nothing,
    Answer: _answer,
    Fault: _fault,
    Confirm: _confirm,
    SwitchDialect: _nothing,
    Close: _close,
}
