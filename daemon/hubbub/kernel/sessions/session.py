"""What the hub knows of one client: its identity, its rights, its subscriptions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from sys import intern
from typing import Any, Protocol

from hubbub.identity import Identity
from hubbub.message import Message
from hubbub.publish import Publish
from hubbub.topics import check_topic

_NO_GROUPS: frozenset[str] = frozenset()  # one for all: an empty frozenset takes 216 bytes
REPLIES = "$reply/"  # each request has an unguessable topic below it


class Rights(Protocol):
    """What one client may do. Topics and filters are the hub's; the first two raise Refusal (not-authorized)."""

    def publish(self, topic: str) -> None: ...
    def subscribe(self, filter: str) -> None: ...
    def receives(self, topic: str) -> bool: ...
    def overlaps(self, filter: str) -> bool: ...


class Voucher(Protocol):
    """Tells whether the TLS certificate that a client has shown would be taken now.

    certificates  that one and those that came with it, DER
    """

    @property
    def certificates(self) -> tuple[bytes, ...]: ...
    def __call__(self) -> bool: ...


class EarlierVoucher:
    """The Voucher of a client of an earlier process.

    vouches  attribute: tells whether its certificates would be taken now; until a listener can be asked they would
    """

    def __init__(self, certificates: tuple[bytes, ...]) -> None:
        self.certificates = certificates
        self.vouches: Callable[[tuple[bytes, ...]], bool] = bool

    def __call__(self) -> bool:
        return self.vouches(self.certificates)


class SingleDelivery(Protocol):
    """The link of a session."""

    def send(self, message: Message) -> bool:
        """Deliver one message to this client alone. False: it can't be sent."""


class Session:
    """One client as the hub knows it. Handlers see it as a `message.Sender`.

    id      the number of its link in logs, `hubbub status` and `hubbub kick`; 0: it has none
    rights  what it may do; None: everything
    groups, grants, expires, holds, mark  results of its login, see identity.Identity; it has one where `holds` is set
    vouched  tells whether the TLS certificate that it has shown would be taken now, a Voucher; None: it has shown none
    revoked  whether it may do nothing here any more
    left     whether it has left the hub; its subscriptions may still be ending
    link    delivers messages to this client alone; None: it has gone, or has no link
    levels  the sum of the levels of its filters with wildcards
    subscriptions  its routing.subscription.Subscription objects by id; None: it never had one
    successor  the session of the same client that has taken over these subscriptions, or is doing so; or None
    """

    __slots__ = (
        "id", "host", "port", "transport", "listener", "client", "user", "rights", "subscriptions", "levels", "link",
        "groups", "grants", "expires", "holds", "mark", "vouched", "revoked", "left", "successor",
    )  # fmt: skip

    def __init__(self, host: str, port: int, transport: str, listener: str, user: str | None = None) -> None:
        self.id = 0
        self.host = intern(host)  # gateways and proxies have many links
        self.port = port
        self.transport = transport
        self.listener = listener
        self.client = ""
        self.user = user
        self.rights: Rights | None = None
        self.groups = _NO_GROUPS
        self.grants: Mapping[str, tuple[str, ...]] | None = None
        self.expires: float | None = None
        self.holds: Callable[[], bool] | None = None
        self.mark = ""
        self.vouched: Voucher | None = None
        self.revoked = False
        self.left = False
        self.subscriptions: dict[Hashable, Any] | None = None
        self.levels = 0
        self.successor: Session | None = None
        self.link: SingleDelivery | None = None

    def __str__(self) -> str:
        where = f"{self.host}:{self.port}" if self.port else self.host
        return f"{self.listener} {where}" + (f" ({self.user})" if self.user else "")

    def admit(self, identity: Identity) -> None:
        """Take the result of a login."""
        self.user = identity.user
        self.groups = identity.groups
        self.grants = identity.grants
        self.expires = identity.expires
        self.holds = identity.holds
        self.mark = identity.mark

    def is_valid(self, now: float) -> bool:
        """Return whether the client would be let in at Unix seconds `now`, as far as its login tells."""
        if self.revoked or (self.expires is not None and now >= self.expires):
            return False
        return (self.holds is None or self.holds()) and (self.vouched is None or self.vouched())

    def heir(self) -> Session:
        """Return the last of its successors, or itself."""
        found: Session = self
        while found.successor is not None:
            found = found.successor
        return found

    def double(self) -> Session:
        """Return a session of the same client without a link."""
        double = Session(self.host, self.port, self.transport, self.listener, self.user)
        double.client, double.groups, double.grants = self.client, self.groups, self.grants
        double.expires, double.holds, double.mark, double.vouched, double.revoked = (
            self.expires, self.holds, self.mark, self.vouched, self.revoked,
        )  # fmt: skip
        return double

    def fields(self) -> dict[str, str]:
        """Return the fields of templates."""
        return {
            "id": self.listener,
            "host": self.host,
            "port": str(self.port),
            "user": self.user or "",
            "client": self.client,
        }


def mounted(event: Publish, mount: str) -> None:
    """Put a mount point before the topics of a message. Raises BadTopic."""
    if not event.topic.startswith(REPLIES):
        event.topic = check_topic(mount + event.topic)
    if event.reply_to and not event.reply_to.startswith(REPLIES):
        event.reply_to = check_topic(mount + event.reply_to)


def permit(event: Publish, rights: Rights, retain: bool) -> None:
    """Check that a client may publish a message, whose topics are the hub's. Raises Refusal (not-authorized)."""
    if event.topic.startswith(REPLIES):
        return
    rights.publish(event.topic)
    if event.reply_to and retain and not event.reply_to.startswith(REPLIES):
        rights.publish(event.reply_to)  # nothing checks it again once it is retained
