"""This node's connection to the NATS servers of its cluster.

    connection.publish("orders.new", b"...")                    at most once, and nothing says whether it arrived
    end = connection.subscribe("orders.>", on_message)          on_message(Received), in the reactor; end() ends it
    answer = await connection.request("$JS.API.INFO", b"")      also the server's own, such as status 503

What it promises:

- All is called in the reactor's thread, and never waits. What is written leaves at the end of the turn, in the order of
  the calls; one connection carries everything, so the server sees one order.
- A subscription stands until it is ended, whatever happens to servers: on each new connection it is made again, in the
  order in which they were made, some in each turn. What is published while there is no connection doesn't arrive.
- A message comes once for each subscription that matches; what this connection itself published never comes back.
- `joined` of the watchers is called when a server has accepted the login, with the first subscriptions on their way;
  `left` when a connection that had joined is lost. Requests that wait then fail with NoAnswer, a TimeoutError: whether
  the server has acted on them isn't known.
- Servers are dialled in turn, at once until all have been tried, then after growing waits, until `stop`.
- Callers bound what they publish; live messages look at `has_room` before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger, LogLevel

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.kernel.steps import spread
from hubbub.kernel.turn import Turn
from hubbub.nats_protocol.connect import Info
from hubbub.nats_protocol.headers import encode_headers
from hubbub.nats_protocol.plain import PlainReader
from hubbub.service.cluster.requests import NoAnswer, PendingRequests
from hubbub.service.cluster.server_link import ServerLink
from hubbub.service.cluster.wire import NO_HEADERS, ConnectionWatcher, Received, Take, headers_of
from hubbub.service.config.cluster import ClusterConfig
from hubbub.service.config.remote import Remote
from hubbub.service.links.connector_log import ConnectorLog
from hubbub.service.links.dial import Attempt, check_files, dial_stream, why
from hubbub.service.links.dialler import Dialler
from hubbub.transports.dial import DialFactory, Lost

MAX_LINE = 4_096  # bytes of the longest line that nats-server takes, with its end
_NUMBERS = 32  # bytes of the operation and the numbers in one


class NatsSubscription:
    """A subscription at the NATS servers. `sid` is its number, which only grows."""

    __slots__ = ("line", "live", "sid", "subject", "take", "_connection")

    def __init__(self, connection: NatsConnection, sid: bytes, subject: str, queue: str, take: Take) -> None:
        self.live = False  # it brings live messages alone
        self.line = b"SUB %b\r\n" % b" ".join([*filter(None, (subject.encode(), queue.encode())), sid])
        self.sid = sid
        self.subject = subject
        self.take = take
        self._connection = connection

    def end(self) -> None:
        """End it: no message of it is handed over any more."""
        self._connection.end(self)


class NatsConnection:
    """See above.

    config    where it connects, and as which node
    dropped   messages that were published and not sent
    refusal   what the server refused last, or ""
    plain     attribute: reads plain live messages, or None
    watchers  attribute: called when it has joined, and when it has left
    """

    log = Logger(namespace="hubbub.cluster")

    def __init__(self, reactor: Any, turn: Turn, config: ClusterConfig) -> None:
        try:
            check_files(config.remote)
        except ConfigError as error:
            raise ConfigError(f"{config.spec}: {error}") from None
        self.config = config
        self.dropped = 0
        self.refusal = ""
        self.plain: PlainReader | None = None
        self.watchers: list[ConnectionWatcher] = []
        self._dialler = Dialler(reactor, config.remote, self._begin, self._ended)
        self._gone: Deferred[None] | None = None
        self._joined: ServerLink | None = None
        self._last_sid = 0
        self._link: ServerLink | None = None
        self._reactor = reactor
        self._reason = ""
        self._requests = PendingRequests(reactor)
        self._subscriptions: dict[bytes, NatsSubscription] = {}
        self._state_log = ConnectorLog(reactor, "cluster")
        self._turn = turn
        self.subscribe(self._requests.inbox, self._requests.arrived)

    # Its state

    @property
    def joined(self) -> bool:
        """Whether a server has accepted this node."""
        return self._joined is not None

    @property
    def remote(self) -> Remote:
        """The server that it is connected to, or dials, or that is next."""
        return self._dialler.remote

    @property
    def info(self) -> Info | None:
        """What the server says of itself."""
        return None if self._joined is None else self._joined.info

    @property
    def lag(self) -> float | None:
        """Seconds of the last round trip to the server; None: there was none yet."""
        return None if self._joined is None else self._joined.lag

    @property
    def max_payload(self) -> int:
        """Bytes of a message with its headers that the server takes; 0 without a server."""
        return 0 if self.info is None else self.info.max_payload

    @property
    def waiting(self) -> int:
        """Bytes that wait for the server."""
        return 0 if self._joined is None else self._joined.waiting

    @property
    def state(self) -> str:
        """`joined`, `connecting: REASON` or `stopped`."""
        if self.joined:
            return "joined"
        if not self._dialler.running:
            return "stopped"
        return f"connecting: {self._reason}" if self._reason else "connecting"

    # Messages

    @property
    def has_room(self) -> bool:
        """Whether live messages may be written."""
        return self._joined is not None and self._joined.waiting <= limits.CLUSTER_BUFFER

    def write(self, data: bytes) -> None:
        """Send whole operations, each of them one that the server takes (service.cluster.server_link)."""
        if self._joined is not None:
            self._joined.write(data)

    def publish(self, subject: str, payload: bytes, reply: str = "", headers: Mapping[str, str] = NO_HEADERS) -> None:
        """Publish a message. What can't be sent, without a connection or because it is too long, is counted.

        Nothing is sent to the subject "": who has asked wants no answer.
        """
        if not subject:
            return
        block = encode_headers(headers.items()) if headers else b""
        to = f"{subject} {reply}".encode() if reply else subject.encode()
        if self._joined is None or len(to) + _NUMBERS > MAX_LINE or len(block) + len(payload) > self.max_payload:
            self.dropped += 1
        elif block:
            size = len(block)
            self._joined.write(b"HPUB %b %d %d\r\n%b%b\r\n" % (to, size, size + len(payload), block, payload))
        else:
            self._joined.write(b"PUB %b %d\r\n%b\r\n" % (to, len(payload), payload))

    def request(
        self,
        subject: str,
        payload: bytes,
        headers: Mapping[str, str] = NO_HEADERS,
        timeout: float = limits.CLUSTER_REQUEST_SECONDS,
    ) -> Deferred[Received]:
        """Publish a request. The Deferred fires with the first answer, or fails with NoAnswer within `timeout` seconds.

        Where there is no subscriber the server answers with status 503.
        """
        if self._joined is None:
            return fail(NoAnswer("the cluster isn't joined"))
        try:
            reply, done = self._requests.add(timeout)
        except NoAnswer as error:
            return fail(error)
        self.publish(subject, payload, reply, headers)
        return done

    # Subscriptions

    def subscribe(self, subject: str, received: Callable[[Received], object], queue: str = "") -> Callable[[], None]:
        """Have messages on a subject, which may have wildcards, handed to `received`. Returns what ends that.

        queue  of all subscribers with the same subject and queue one gets each message
        """

        def take(subject: bytes, reply: bytes, block: bytes, payload: bytes) -> None:
            received(Received(subject.decode(), payload, reply.decode(), headers_of(block)))

        return self.listen(subject, take, queue).end

    def listen(self, subject: str, take: Take, queue: str = "") -> NatsSubscription:
        """Have messages on a subject handed to `take` as they come, undecoded."""
        self._last_sid += 1
        made = NatsSubscription(self, b"%d" % self._last_sid, subject, queue, take)
        self._subscriptions[made.sid] = made
        if self._joined is not None:
            self._joined.write(made.line)
        return made

    def end(self, subscription: NatsSubscription, at_once: bool = True) -> None:
        """End a subscription, unless it has ended; if not `at_once`, `forget` follows behind a `fence`."""
        if subscription.sid in self._subscriptions:
            if self._joined is not None:
                self._joined.write(b"UNSUB %b\r\n" % subscription.sid)
            if at_once or self._joined is None:
                self.forget(subscription)

    def forget(self, subscription: NatsSubscription) -> None:
        """Hand over no message of a subscription any more."""
        self._subscriptions.pop(subscription.sid, None)

    def fence(self, then: Callable[[], object]) -> None:
        """Call `then` once all has come that the server sent before it acted on what is written now.

        Without a connection it is called at once; if the connection is lost meanwhile, it isn't called.
        """
        if self._joined is None:
            then()
        else:
            self._joined.ping(then)

    def _subscribe_again(self, link: ServerLink) -> Iterator[None]:
        for count, one in enumerate(list(self._subscriptions.values()), 1):
            if link is not self._joined:
                return
            if one.sid in self._subscriptions:
                link.write(one.line)
            if count % limits.CLUSTER_FILTERS_AT_ONCE == 0:
                yield

    # Reports of its link (server_link.Owner)

    def accepted(self) -> None:
        """A server has accepted the login."""
        assert self._link is not None
        self._joined, self._reason = self._link, ""
        self._dialler.connected()
        info = self._link.info or Info()
        where = f"{self.remote} ({info.server_name}, NATS {info.version})"
        self._state_log.tell(f"joined as {self.config.name} at {where}", LogLevel.info)
        spread(self._turn, "cluster", self._subscribe_again(self._link))
        for watcher in self.watchers:
            watcher.joined()

    def is_live(self, sid: bytes) -> bool:
        """Return whether a subscription brings live messages alone."""
        subscription = self._subscriptions.get(sid)
        return subscription is not None and subscription.live

    def arrived(self, sid: bytes, subject: bytes, reply: bytes, headers: bytes, payload: bytes) -> None:
        """A message is there; one of a subscription that has ended is dropped."""
        subscription = self._subscriptions.get(sid)
        if subscription is not None:
            try:
                subscription.take(subject, reply, headers, payload)
            except Exception:  # noqa: BLE001  one message costs no other
                self.log.failure("a message on {subject} failed", subject=subscription.subject)

    def refused(self, text: str) -> None:
        """The server refuses something."""
        if text != self.refusal:
            self.refusal = text
            self.log.warn("cluster: {remote} refuses: {text}", remote=str(self.remote), text=text)  # noqa: G010

    # Dialling

    def start(self) -> None:
        """Dial, and go on until `stop`."""
        self._dialler.start()

    def stop(self) -> Deferred[None]:
        """Dial no more, and end the connection once what waits is sent; the Deferred fires when it has ended."""
        self._state_log.stop()
        self._dialler.stop()
        if self._joined is None:
            return succeed(None)
        self._joined.close()
        self._gone = Deferred()
        return self._gone

    def _begin(self, remote: Remote, lost: Lost) -> tuple[Attempt, Deferred[Any]]:
        def make_attempt(tls: Any) -> Attempt:
            return DialFactory(self._make_link, lost, tls)

        return dial_stream(self._reactor, remote, make_attempt, self.config.handshake_first)

    def _make_link(self, wire: Any, host: str, port: int) -> ServerLink:
        self._link = ServerLink(self._reactor, self._turn, self.config, self, wire)
        return self._link

    def _ended(self, lost: Remote, problem: BaseException | str) -> None:
        link, self._link = self._link, None
        joined, self._joined = self._joined, None
        self._reason = f"{lost}: {why((link is not None and link.why) or problem, lost)}"
        if self._dialler.running:
            state = "not joined" if joined is None else "left"
            self._state_log.tell(f"{state}: {self._reason}; {self.remote} is next")
        if joined is not None:
            self._requests.fail_all("the connection to the cluster was lost")
            for watcher in self.watchers:
                watcher.left()
        if self._gone is not None:
            gone, self._gone = self._gone, None
            gone.callback(None)
