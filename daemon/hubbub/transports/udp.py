"""UDP: datagrams of any source, and the addresses that a link is kept for.

There is no connection, so no source address is trusted. A datagram of an unknown address gets a link of its own, which
ends with it; the answer has at most limits.AMPLIFICATION times its bytes. A client that validates its address, or one
of the networks in `peers=`, may subscribe and request: its link is kept for limits.LEASE_SECONDS. Each validation, or
each datagram of a trusted peer, renews that lease. A signed datagram has a link of its user, so its rights never become
those of other senders at that address, or of senders that forge it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from itertools import groupby
from typing import Any, Protocol

from twisted.internet.error import MessageLengthError
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from hubbub import limits
from hubbub.dialect import Dialect
from hubbub.errors import Refusal
from hubbub.events import Fault
from hubbub.hashed_counter import HashedCounter
from hubbub.identity import Identity
from hubbub.transports.proof import Tokens, epoch
from hubbub.transports.signed import Signatures

_HEADERS = 28  # bytes around a datagram's payload: IPv4 (RFC 791) and UDP (RFC 768)

Address = tuple[Any, ...]
"""As the socket knows it: host and port, and for IPv6 flow and scope."""


class DatagramLink(Protocol):
    """What UDP needs of a link, a kernel.connection.datagram_link.DatagramLink."""

    @property
    def lease(self) -> float | None: ...
    @property
    def last_received(self) -> float: ...
    def renew(self, until: float) -> None: ...
    def admit(self, identity: Identity) -> None: ...
    def act(self, events: Iterable[Any]) -> None: ...
    def start(self) -> None: ...
    def begin_datagram(self) -> bool: ...
    def receive(self, data: bytes) -> None: ...
    def receive_units(self, units: Sequence[tuple[bytes, bool | None]]) -> None: ...
    def set_alarm(self) -> None: ...
    def lost(self) -> None: ...


class Peer:
    """The wire of one link (see kernel.connection.datagram_link.Peer): one address that speaks one dialect.

    key      the dialect's name, the address, and the user that signs, or "": a dialect that is loaded anew doesn't part
             a client from its link
    proof    itself, or None for a trusted address
    checked  whether the link has to be asked before it receives a datagram
    """

    __slots__ = (
        "proof", "checked", "link", "key", "dialect", "host", "port", "started", "since", "_protocol", "_free", "_left",
    )  # fmt: skip

    link: DatagramLink

    def __init__(
        self, protocol: UDPProtocol, dialect: type[Dialect], address: Address, trusted: bool, user: str = ""
    ) -> None:
        self.key = (dialect.name, address, user)
        self.dialect = dialect
        self.host = plain(address[0])
        self.port = address[1]
        self.proof = None if trusted else self
        self.checked = not trusted
        self.started = False
        self.since = 0.0  # when its turn to be forgotten was put off, see UDPProtocol._remember
        self._protocol = protocol
        self._free = trusted and protocol.answers
        self._left = (0, 0)  # what may still answer a datagram without proof: payload, and the same with headers

    def allow(self, size: int) -> None:
        """Bound what a datagram of `size` bytes is answered with unless it brings a proof."""
        if self.proof is not None and self._protocol.answers:
            self._left = (limits.AMPLIFICATION * size, limits.AMPLIFICATION * (size + _HEADERS))

    # The wire

    def wrapper(self, dialect: type[Dialect]) -> None:
        """Return None: a datagram has no frame around its unit."""
        return

    def write(self, data: bytes) -> bool:
        """Send one datagram. False: it couldn't be sent. What may not be sent is dropped and counted."""
        if not self._free and not self._spend(len(data)):
            return True
        return self._protocol.send(data, self.key[1])

    def _spend(self, size: int) -> bool:
        payload, whole = self._left
        payload, whole = payload - size, whole - size - _HEADERS
        if payload < 0 or whole < 0:
            self._protocol.withheld += 1
            return False
        self._left = (payload, whole)
        return True

    def affords(self, frames: Sequence[bytes]) -> bool:
        """Whether these may answer a datagram without a proof, from an address that was validated."""
        return not self._free or all(self._spend(len(frame)) for frame in frames)

    def reading(self, on: bool) -> None:
        """Datagrams come as they come; `begin_datagram` bounds what waits."""
        self.checked = self.proof is not None or not on

    def unsent(self) -> int:
        """Nothing waits: a datagram is sent at once, or not."""
        return 0

    def there(self) -> bool:
        """A datagram client never ends its input."""
        return True

    def ping(self) -> bool:
        """A client renews its lease itself."""
        return False

    def close(self, reason: str, refusal: Refusal | None) -> None:
        """Forget the link."""
        self._protocol.forget(self)

    def abort(self) -> None:
        """Forget the link."""
        self._protocol.forget(self)

    # What its link asks

    def token(self) -> str:
        """Return what shows that the client gets what is sent to its address."""
        return self._protocol.tokens.token(self.host, self.port, self._protocol.now())

    def check(self, token: str) -> bool:
        """Tell whether the client has shown that; a proof renews the lease, too many wrong ones make the hub silent."""
        known = self.link.lease is not None
        good = self._protocol.tokens.check(self.host, self.port, token, self._protocol.now(), known)
        if good and self._protocol.answers:
            self._free = True
            self.renew()
        elif good is None and not self._free:
            self._left = (0, 0)
        return bool(good)

    def renew(self) -> None:
        """Let the subscriptions live on."""
        if self.link.lease is not None:
            self.link.renew(self._protocol.now() + limits.LEASE_SECONDS)

    def hold(self) -> None:
        """Keep the link. Raises Refusal (unavailable)."""
        if self.link.lease is None:
            self._protocol.hold(self)

    def may_report_error(self) -> bool:
        """Whether a bad datagram may be answered."""
        return self._protocol.may_report_error(self)


class UDPProtocol(DatagramProtocol):
    """One UDP port.

    new_link  wire, dialect, host, port -> the link that the wire serves
    choose    datagram -> the dialect that it speaks, or None
    now       tells the monotonic time in seconds
    peers     networks whose source addresses are trusted, besides loopback
    answers   whether anything is ever sent: not on a port of a multicast group
    admit     datagrams in a row, host -> those of them that are read; None: all
    signatures  opens signed datagrams; None: no user has a key

    dropped (too much waits before it), withheld (not sent to an unproven address), unsent (the kernel
    wouldn't) are counted in datagrams; failed in exceptions; sent_bytes without headers.
    """

    noisy = False
    log = Logger(namespace="hubbub.udp")

    def __init__(
        self,
        new_link: Callable[[Any, type[Dialect], str, int], DatagramLink],
        choose: Callable[[bytes], type[Dialect] | None],
        now: Callable[[], float],
        peers: Iterable[IPv4Network | IPv6Network],
        secret: bytes,
        answers: bool = True,
        signatures: Signatures | None = None,
        admit: Callable[[list[bytes], str], list[bytes]] | None = None,
    ) -> None:
        self.now = now
        self.sent_bytes = 0
        self._admit = admit
        self.signatures = signatures
        self.tokens = Tokens(secret)
        self.answers = answers
        self.dropped = self.withheld = self.unsent = self.failed = 0
        self._new_link = new_link
        self._choose = choose
        self.peers = tuple(peers)
        self._errors = HashedCounter(secret, b"errors", limits.TOKEN_FAILURE_TABLE)
        self._known: dict[tuple[Any, Address, str], Peer] = {}
        self._idle: dict[Peer, None] = {}  # of these the trusted peers without a lease, oldest first
        self._held = 0  # the others

    def datagrams_received(self, datagrams: list[bytes], addr: Address) -> None:
        """Take datagrams that came in a row from one address; a trusted peer's are acted on together."""
        if self._admit is not None:
            datagrams = self._admit(datagrams, addr[0])
        if self.signatures is not None and any(datagram.startswith(b"SIGN ") for datagram in datagrams):
            for datagram in datagrams:
                self.datagramReceived(datagram, addr)
            return
        for dialect, run in groupby(datagrams, self._choose):
            peer = self._known.get((dialect and dialect.name, addr, ""))
            if peer is None or peer.checked:
                for datagram in run:
                    self.datagramReceived(datagram, addr)
                continue
            try:
                link = peer.link
                link.receive_units([(datagram, None) for datagram in run])
                if link.lease is not None:
                    link.renew(link.last_received + limits.LEASE_SECONDS)
            except Exception:  # noqa: BLE001  whatever goes wrong with some datagrams, the next ones are heard
                self._failed(addr)

    def datagramReceived(self, datagram: bytes, addr: Address) -> None:
        try:
            signed = self.signatures.open(datagram) if self.signatures is not None else None
            sender, content = signed or (None, datagram)
            known = sender if isinstance(sender, Identity) else None
            dialect = self._choose(content)
            peer = self._known.get((dialect and dialect.name, addr, known.user if known else ""))
            if peer is None:
                if dialect is None:
                    return
                peer = self._make_peer(dialect, addr, len(datagram), known)
            elif peer.checked and not self._ready(peer, len(datagram)):
                return
            link = peer.link
            if isinstance(sender, Refusal):
                link.act([Fault(sender)])
                return
            link.receive(content)
            if link.lease is not None and peer.proof is None:
                link.renew(link.last_received + limits.LEASE_SECONDS)
        except Exception:  # noqa: BLE001  whatever goes wrong with one datagram, the next one is heard
            self._failed(addr)

    def _make_peer(self, dialect: type[Dialect], address: Address, size: int, identity: Identity | None) -> Peer:
        peer = Peer(self, dialect, address, self._is_trusted(plain(address[0])), identity.user if identity else "")
        peer.allow(size)
        peer.link = self._new_link(peer, dialect, peer.host, peer.port)
        if identity is not None:
            peer.link.admit(identity)
        if peer.proof is None:
            self._remember(peer)
        return peer

    def _ready(self, peer: Peer, size: int) -> bool:
        """Tell whether the link of a known peer takes the next datagram."""
        peer.allow(size)
        if peer.link.begin_datagram():
            return True
        self.dropped += 1
        return False

    def _is_trusted(self, host: str) -> bool:
        address = ip_address(host)
        return address.is_loopback or any(address in network for network in self.peers)

    # Peers that are remembered

    def _remember(self, peer: Peer) -> None:
        """Keep a trusted peer without a lease for its next datagram; the longest silent is evicted."""
        idle = self._idle
        while len(idle) >= limits.UDP_IDLE_PEERS:
            oldest = next(iter(idle))
            if oldest.link.last_received > oldest.since:
                oldest.since = oldest.link.last_received
                idle[oldest] = idle.pop(oldest)
            else:
                self.forget(oldest)
        peer.since = peer.link.last_received
        self._known[peer.key] = peer
        idle[peer] = None
        self._start(peer)

    def _start(self, peer: Peer) -> None:
        if not peer.started:
            peer.started = True
            try:
                peer.link.start()
            except Refusal as refusal:  # there is no room for what `subscribe=` says
                self.log.debug("{host} {port}: {reason}", host=peer.host, port=peer.port, reason=refusal.reason)

    def hold(self, peer: Peer) -> None:
        """Keep the link of `peer` for the time of a lease. Raises Refusal (unavailable)."""
        if not self.answers:
            raise Refusal("unavailable", "this port sends no answers, because it listens to a multicast group")
        if self._held >= limits.UDP_PEERS:
            raise Refusal("unavailable", f"{limits.UDP_PEERS} UDP clients are subscribed here already")
        if self._known.setdefault(peer.key, peer) is not peer:
            raise Refusal("unavailable", "an earlier datagram of yours is still being worked on")
        self._idle.pop(peer, None)
        self._held += 1
        peer.link.renew(self.now() + limits.LEASE_SECONDS)
        peer.link.set_alarm()
        self._start(peer)

    def forget(self, peer: Peer) -> None:
        """Let a link go, and all that it subscribed to."""
        if self._known.get(peer.key) is peer:
            del self._known[peer.key]
            if peer not in self._idle:
                self._held -= 1
            self._idle.pop(peer, None)
        peer.link.lost()

    def forget_idle_peers(self, current: Container[type[Dialect]]) -> None:
        """Forget peers whose dialect is no longer a `current` one, or whose address is no longer trusted."""
        for peer in list(self._idle):
            if peer.dialect not in current or not self._is_trusted(peer.host):
                self.forget(peer)

    def stopProtocol(self) -> None:
        for peer in list(self._known.values()):
            self.forget(peer)

    # What goes out

    def send(self, data: bytes, address: Address) -> bool:
        """Send one datagram, and tell whether the kernel took it."""
        if self.transport is None:
            return False
        try:
            self.transport.write(data, address)
        except (OSError, MessageLengthError):
            self.unsent += 1
            return False
        self.sent_bytes += len(data)
        return True

    def may_report_error(self, peer: Peer) -> bool:
        """Tell whether one more bad datagram of `peer` may be answered."""
        now = epoch(self.now())
        if peer.proof is None:
            return self._errors.add(f"{peer.host} {peer.port}", now) <= limits.UDP_ERRORS_TRUSTED
        return self._errors.add(peer.host, now) <= limits.UDP_ERRORS

    def _failed(self, address: Address) -> None:
        """Log an exception: the first with its traceback, then one line each time that their number has doubled."""
        self.failed += 1
        if self.failed == 1:
            self.log.failure("a datagram from {host} {port} failed", host=address[0], port=address[1])
        elif self.failed & (self.failed - 1) == 0:
            self.log.error("{failed} datagrams have failed", failed=self.failed)


def plain(host: str) -> str:
    """Write an IPv4 address that came through an IPv6 socket as IPv4 (RFC 4291 section 2.5.5.2)."""
    return host.removeprefix("::ffff:") if "." in host else host
