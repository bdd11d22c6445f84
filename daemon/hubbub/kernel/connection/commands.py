"""What a link does for each event but a plain Publish. Each function is given the link and the event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from hubbub import limits
from hubbub.errors import BadFilter, Refusal
from hubbub.events import (
    Ack,
    Answer,
    AuthResponse,
    Cancel,
    Close,
    Confirm,
    Connect,
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
from hubbub.kernel.connection import authentication, subscription_batch, unread
from hubbub.kernel.connection.faults import guarded
from hubbub.kernel.connection.publishing import (
    answer_publish,
    answer_stored,
    on_ack,
    on_publish_once,
    on_qos_publish,
    on_release,
)
from hubbub.kernel.routing.batch import Batch
from hubbub.kernel.sessions.session import REPLIES
from hubbub.kernel.steps import spread
from hubbub.message import Message
from hubbub.publish import Announcement, PartialReply, Publish, QosPublish, Request, SelectivePublish
from hubbub.topics import check_topic, unshared


def say(link: Any, data: bytes | Close) -> None:
    """Send what the dialect has encoded; a Close ends the link."""
    if isinstance(data, Close):
        on_close(link, data)
    elif data:
        link.egress.write(data)


# Subscriptions


def on_subscribe(link: Any, event: Subscribe) -> None:
    """Subscribe; the retained messages follow the answer."""
    if is_unproven(link, event):
        return
    try:
        link.access.authorize()
        retained = link.subscribe(event)
    except Refusal as error:
        link.answer(event, error)
        return
    answer_stored(link, event, None)
    send_retained(link, event, retained)


def send_retained(link: Any, event: Subscribe, batches: Iterator[Batch | None]) -> None:
    """Send the retained messages of a subscription."""
    if link.client is not None and event.qos:
        link.client.delivery.send_retained(batches, event)
    else:
        link.egress.retained(batches)


def on_unsubscribe(link: Any, event: Unsubscribe) -> None:
    """End a subscription."""
    if is_unproven(link, event):
        return
    try:
        link.access.authorize()
        link.egress.unsubscribe(link.egress.id_of(event), link.client, event.after)
    except Refusal as error:
        link.answer(event, error)
    else:
        answer_stored(link, event, None)


def on_subscription_batch(link: Any, event: SubscriptionBatch) -> None:
    """Subscribe and unsubscribe several times, with one answer."""
    spread(link.hub.turn, "filters", subscription_batch.work_on(link, event, _answer_batch, send_retained))


def _answer_batch(link: Any, event: SubscriptionBatch, results: list[Any]) -> None:
    answer_stored(link, event, results)
    link.spend(len(results))


def on_fetch(link: Any, event: Fetch) -> None:
    """Answer with a retained message."""
    if is_unproven(link, event):
        return
    try:
        link.access.authorize()
        link.answer(event, link.egress.fetch(event.topic))
    except Refusal as error:
        link.answer(event, error)


def on_open_queue(link: Any, event: OpenQueue) -> None:
    """Open a work queue, for a client that may do there what it is going to."""
    try:
        link.access.authorize()
        name = link.egress.filter_in_hub(event.filter)
        topic, rights = check_topic(unshared(name)), link.session.rights
        if name == topic:
            raise BadFilter("a work queue is the group of a topic, $share/GROUP/TOPIC")
        if rights is not None:
            (rights.publish if event.publishes else rights.subscribe)(topic)
        link.hub.clients.open_queue(name, event.publishes)
    except Refusal as error:
        link.answer(event, error)
    else:
        answer_stored(link, event, None)


# Messages


def on_request(link: Any, event: Request) -> None:
    """Publish a request; the answer follows when it has a reply."""
    if is_unproven(link, event):
        return
    event.sender = link.session
    waiting: set[Request] | None = link.requests
    if waiting is None:
        link.requests = waiting = set()
    try:
        link.access.authorize()
        if len(waiting) >= limits.REQUESTS_PER_LINK:
            raise Refusal("quota", f"{limits.REQUESTS_PER_LINK} requests of this link wait for a reply already")
        if link.access.policy is not None:
            link.access.policy.admit(event, link)
        link.hub.requests.request(event, partial(guarded, link, replied, event))
    except Refusal as error:
        link.answer(event, error)
    else:
        waiting.add(event)
        link.inbound.blocked += event.blocking


def on_cancel(link: Any, event: Cancel) -> None:
    """Wait no longer for a reply."""
    link.hub.requests.cancel(event.request.reply_to)


def replied(link: Any, event: Request, result: Message | Refusal) -> None:
    """A request has its reply, or a Refusal, or a part of its reply."""
    if type(result) is PartialReply:
        link.answer(event, result)
        return
    link.requests.discard(event)
    link.answer(event, result)
    if event.blocking:
        link.inbound.blocked -= 1
        link.go_on()
    else:
        link.shutdown.finish_if_done(link)


def on_selective_publish(link: Any, event: SelectivePublish) -> None:
    """Publish a message to some sessions."""
    event.sender = link.session
    try:
        policy = link.access.policy
        receivers = link.hub.router.publish_any(event) if policy is None else policy.publish(event, link)
        if event.tag is not None:
            answer_publish(link, event, receivers)
    except Refusal as error:
        link.answer(event, error)


def on_partial_reply(link: Any, event: Publish) -> None:
    """Publish a part of a reply, or what a dialect publishes when its link has gone."""
    event.sender = link.session
    try:
        if link.access.policy is None:
            link.hub.router.publish(event)
        else:
            link.access.policy.publish(event, link)
    except Refusal as error:
        link.answer(event, error)


def depart(link: Any) -> None:
    """The link has gone: publish what its dialect says of that, and what is much of it in later turns."""
    spread(link.hub.turn, "ends", _departing(link))


def _departing(link: Any) -> Iterator[None]:
    try:
        for event in link.dialect.closed():
            if link.session.revoked and _is_last_word(event):
                continue  # neither has such a client a will
            if type(event) is Publish:
                on_partial_reply(link, event)
            else:
                ACTIONS[type(event)](link, event)
            yield
    except Exception as error:  # noqa: BLE001  a plugin's dialect
        link.hub.turn.fail(error, link.session)


def _is_last_word(event: Any) -> bool:
    """Return whether an event is a message of the client itself, and no reply that others wait for."""
    return isinstance(event, Publish) and not isinstance(event, Announcement) and not event.topic.startswith(REPLIES)


def on_announcement(link: Any, event: Announcement) -> None:
    """Publish what the dialect says about its clients."""
    event.topic = link.egress.mount + event.topic
    link.hub.router.publish_to(event, event.chosen)


def on_for_peer(link: Any, event: ForPeer) -> None:
    """Let another link act on events."""
    other = event.peer.link
    if other is None or not other.active or other.dialect.name != link.dialect.name:
        return
    if len(other.inbound) < limits.PENDING_EVENTS:
        other.act(event.events)
    else:  # it doesn't read its answers
        other.cut("full")


# The link itself


def is_unproven(link: Any, event: Any) -> bool:
    """Ask for a proof of the address if one is needed and wasn't given."""
    if link.egress.proven:
        return False
    data = link.dialect.confirm(event, link.wire.proof.token())
    if data:
        link.egress.write(data)
    return True


def on_read_position(link: Any, event: ReadPosition) -> None:
    """Answer where the history ends."""
    if is_unproven(link, event):
        return
    try:
        link.access.authorize()
        link.answer(event, link.egress.history().end)
    except Refusal as error:
        link.answer(event, error)


def on_ping(link: Any, event: Ping) -> None:
    """Answer a ping."""
    subscriptions = len(link.session.subscriptions or ())
    if not subscriptions or not is_unproven(link, event):
        link.answer(event, subscriptions)


def on_answer(link: Any, event: Answer) -> None:
    """Write the bytes of the dialect."""
    link.egress.write(event.data)


def on_fault(link: Any, event: Fault) -> None:
    """Answer a command that can't be acted on."""
    link.answer(event, event.refusal)


def on_notice(link: Any, event: Notice) -> None:
    """Report a notice about the other side."""
    if link.context.notice is not None:
        link.context.notice(event.text)


def on_confirm(link: Any, event: Confirm) -> None:
    """Check the proof of an address."""
    if link.wire.proof is not None:
        link.egress.proven = link.wire.proof.check(event.token)


def on_switch_dialect(link: Any, event: SwitchDialect) -> None:
    """Speak another dialect."""
    link.speak(event.dialect)
    link.outbox.evict()
    link.outbox.full = link.context.full or link.dialect.full
    link.access.subscribe_by_listener(link)
    last_received = link.timeouts.last_received
    opening = link.dialect.opened(last_received)
    link.act([one for one in opening if type(one) is not Answer] if event.greeted else opening)
    if unread.is_much(link, event.head):
        unread.receive(link, ((event.head, event.text),))
    elif event.head:
        link.act(link.dialect.receive(event.head, last_received, event.text))


def on_connect(link: Any, event: Connect) -> None:
    """Log in."""
    authentication.connect(link, event)


def on_auth_response(link: Any, event: AuthResponse) -> None:
    """Go on with a login."""
    authentication.respond(link, event)


def on_close(link: Any, event: Close) -> None:
    """Close the link."""
    if event.refusal is not None:
        link.count_refused(event.refusal)
    if link.client is not None:
        if event.session_expiry is not None:
            link.client.state.expiry = min(event.session_expiry, limits.SESSION_SECONDS)
        link.release_client(event.will)
    link.shutdown.finish(link, event.reason, event.refusal, event.data)


Action = Callable[[Any, Any], None]

ACTIONS: dict[type, Action] = {
    Subscribe: on_subscribe,
    Unsubscribe: on_unsubscribe,
    OpenQueue: on_open_queue,
    Request: on_request,
    QosPublish: on_qos_publish,
    PublishOnce: on_publish_once,
    SelectivePublish: on_selective_publish,
    Announcement: on_announcement,
    PartialReply: on_partial_reply,
    Cancel: on_cancel,
    ForPeer: on_for_peer,
    Release: on_release,
    Ack: on_ack,
    SubscriptionBatch: on_subscription_batch,
    Fetch: on_fetch,
    Connect: on_connect,
    AuthResponse: on_auth_response,
    Ping: on_ping,
    ReadPosition: on_read_position,
    Answer: on_answer,
    Fault: on_fault,
    Notice: on_notice,
    Confirm: on_confirm,
    SwitchDialect: on_switch_dialect,
    Close: on_close,
}
