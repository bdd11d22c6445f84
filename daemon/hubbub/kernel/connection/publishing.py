"""What a link does for messages of QoS 1 and 2, for those with an idempotency key, and for their acknowledgements."""

from __future__ import annotations

from functools import partial
from typing import Any

from hubbub.errors import Refusal
from hubbub.events import Ack, PublishOnce, Release
from hubbub.kernel.connection.faults import guarded
from hubbub.kernel.ingress.idempotency import attempt_of
from hubbub.publish import Publish, QosPublish


def answer_stored(link: Any, event: Any, result: Any) -> None:
    """Answer an event that may have changed what the store keeps of the client's session, once that is safe."""
    if link.client is not None and link.client.state.recorded:
        link.egress.hold(link.client.state.store.commits)
    link.answer(event, result)


def answer_publish(link: Any, event: Publish, receivers: int) -> None:
    """Answer a message; if a durable store or the stream of a cluster keeps it, once it is safe there."""
    hub = link.hub
    if hub.router.is_shared(event):
        link.egress.hold_for_stream()
    elif hub.turn.commits.open and (event.retain or hub.router.is_durable(event.topic)):
        link.egress.hold(hub.turn.commits)
    answer_stored(link, event, receivers)


def on_qos_publish(link: Any, event: QosPublish) -> None:
    """Publish a message of QoS 1 or 2, once for each `dedup_id`."""
    event.sender = link.session
    client, dedup_id, policy = link.client, event.dedup_id, link.access.policy
    numbered = dedup_id is not None and client is not None
    if event.expires is not None and came_too_late(link, event):
        link.answer(event, 0)
        return
    try:
        if numbered and not client.is_new(dedup_id):
            answer_stored(link, event, 1)  # it was published when it came first
            return
        if numbered and _is_looked_for(link, event):
            return
        if link.hub.turn.commits.refuses and link.hub.router.needs_store(
            ("" if policy is None else policy.mount) + event.topic
        ):
            link.hub.turn.commits.check()
        receivers = link.hub.router.publish(event) if policy is None else policy.publish(event, link)
        if numbered:
            client.state.receive(dedup_id)
            answer_publish(link, event, receivers)
        elif event.tag is not None:
            answer_publish(link, event, receivers)
    except Refusal as error:
        link.answer(event, error)


def _is_looked_for(link: Any, event: QosPublish) -> bool:
    """Have a message be looked for that another node may have published. Returns whether it is."""
    owners, key = link.hub.clients.owners, link.client.state.key
    if owners is None or not owners.doubts(key, event.dedup_id):
        return False
    link.inbound.blocked += 1
    topic = link.egress.mount + event.topic
    owners.look_for(key, topic, event.dedup_id, partial(guarded, link, _looked, event))
    return True


def _looked(link: Any, event: QosPublish, found: bool | Refusal) -> None:
    """It is known whether a message was published."""
    link.inbound.blocked -= 1
    if not link.active or link.client is None:
        return
    if isinstance(found, Refusal):
        link.answer(event, found)
    elif found:
        link.client.state.receive(event.dedup_id)
        answer_publish(link, event, 1)
    else:
        on_qos_publish(link, event)
    link.go_on()


def came_too_late(link: Any, event: QosPublish) -> bool:
    """Set `message_expiry` of a message with `expires`. Returns whether it has expired already."""
    assert event.expires is not None
    event.message_expiry = event.expires - link.hub.turn.wall()
    return event.message_expiry <= 0


def on_publish_once(link: Any, event: PublishOnce) -> None:
    """Publish a message unless its client has published it already, under the same key."""
    message, client, commits = event.message, link.client, link.hub.turn.commits
    message.sender = link.session
    dedup_id = message.dedup_id if isinstance(message, QosPublish) and client is not None else None
    if isinstance(message, QosPublish) and message.expires is not None and came_too_late(link, message):
        link.answer(message, 0)
        return
    try:
        if dedup_id is not None and not client.is_new(dedup_id):
            answer_stored(link, message, 1)
            return
        receivers, batch = published_once(link, event)
    except Refusal as error:
        link.answer(message, error)
        return
    if dedup_id is not None:
        client.state.receive(dedup_id)
    if message.tag is not None:
        if link.hub.router.is_shared(message, once=True):
            link.egress.hold_for_stream()
        if batch > commits.safe:
            link.egress.hold(commits)
        answer_stored(link, message, receivers)


def published_once(link: Any, event: PublishOnce) -> tuple[int, int]:
    """Publish a message if it is the first with its key. Raises Refusal.

    Returns how many sessions it went to, and the batch of the store that has its key.
    """
    message, hub, policy, keys = event.message, link.hub, link.access.policy, link.hub.idempotency
    attempt = attempt_of(event.key, message, link.session, link.egress.mount)
    first = keys.find(attempt)
    if first is not None:
        if policy is not None:
            policy.check(message)
        message.position = first.position
        return first.result, first.batch
    keys.check_room(attempt)
    hub.turn.commits.check()
    hub.router.once = attempt.identity
    try:
        receivers: int = hub.router.publish(message) if policy is None else policy.publish(message, link)
    except Refusal as error:
        keys.refused(attempt, error)
        raise
    finally:
        hub.router.once = b""
    keys.published(attempt, receivers, message.position)
    return receivers, hub.turn.commits.open


def on_release(link: Any, event: Release) -> None:
    """Free the packet identifier of a QoS 2 message."""
    client = link.client
    known = client is not None and event.dedup_id in client.state.received
    if client is not None:
        client.state.release(event.dedup_id)
    answer_stored(link, event, known)


def on_ack(link: Any, event: Ack) -> None:
    """Acknowledge an in-flight message."""
    found = link.client is not None and link.client.delivery.ack(event.id, event.stage)
    answer_stored(link, event, found)
