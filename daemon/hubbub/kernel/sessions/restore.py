"""Makes the session of a record: of an earlier process, or of another node."""

from __future__ import annotations

from hubbub.kernel.sessions.inflight import InflightMessage
from hubbub.kernel.sessions.records import (
    DeliveryRecord,
    SessionRecord,
    StoredSession,
    make_message,
    make_subscription,
)
from hubbub.kernel.sessions.session import EarlierVoucher, Session
from hubbub.kernel.sessions.state import PersistentSession
from hubbub.kernel.sessions.store import Store


def restore(stored: StoredSession, store: Store) -> PersistentSession:
    """Make the session of a record, in that store."""
    record, progress = stored.session, stored.progress
    session = PersistentSession(record.key, owner_of(record), store)
    session.number = stored.number
    session.begin_at(progress.next, progress.gaps)
    session.expiry, session.left, session.will_delay = record.expiry, record.left, record.will_delay
    session.max_bytes, session.full = record.max_bytes, record.full
    session.will = None if record.will is None else make_message(record.will)
    session.received, session.dropped = set(progress.received), progress.dropped
    for one in stored.subscriptions:
        wish = make_subscription(one)
        session.subscriptions[wish.key] = wish
    for delivery in stored.deliveries:
        _restore_delivery(session, delivery)
    session.have_paged(stored.paged)
    return session


def owner_of(record: SessionRecord) -> Session:
    """Return the client of a record, as it was last seen."""
    owner = Session(record.host, record.port, record.transport, record.listener, record.key[1])
    owner.client, owner.groups, owner.grants = record.key[2], record.groups, record.grants
    owner.expires = record.login_expires
    if record.login is not None:
        owner.holds, owner.mark = _unknown, record.login
    if record.certificates:
        owner.vouched = EarlierVoucher(record.certificates)
    return owner


def _unknown() -> bool:
    """Be the `holds` of a login of an earlier process, until its checker can be asked."""
    return True


def _restore_delivery(session: PersistentSession, record: DeliveryRecord) -> None:
    id, qos, share = record.way
    one = InflightMessage(record.message, session.wish(id, qos), qos, share)
    one.number, one.id, one.received, one.resent = record.number, record.packet_id, record.received, True
    if one.id:
        session.have_inflight(one)
    else:
        session.take(one)
