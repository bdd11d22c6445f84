"""Keeps outbound links up: dials, hands the wire to a link, and dials again when it is lost."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from hubbub import limits
from hubbub.dialect import DialectContext
from hubbub.errors import ConfigError
from hubbub.kernel.connection.link import Link
from hubbub.kernel.connection.wire import Wire
from hubbub.kernel.hub import Hub
from hubbub.kernel.sessions.session import Session
from hubbub.service.config.remote import Remote
from hubbub.service.config.settings import ConnectorConfig
from hubbub.service.links.connector_log import ConnectorLog
from hubbub.service.links.dial import Attempt, check_files, dial_stream, open_datagrams, resolve, tls_options, why
from hubbub.service.links.listener_context import make_listener_context
from hubbub.service.links.retries import Retries
from hubbub.service.plugins.dialect_plan import DialectPlan, plan
from hubbub.service.plugins.discovery import Plugins
from hubbub.transports.dial import DialFactory, DialledDatagrams, Losses
from hubbub.transports.websocket_client import DialledWebSocketFactory


def is_address(host: str) -> bool:
    """Tell whether it is an IP address, and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class Connector:
    """One outbound link. Planned when it is made, which raises ConfigError; dialled from `start` to `stop`.

    place   where its link lives, one at a time
    state   what it is doing, in words
    losses  over UDP what it has lost
    """

    def __init__(self, reactor: Any, config: ConnectorConfig, plugins: Plugins, hub: Hub) -> None:
        self.config = config
        self.hub = hub
        pull, push = config.pull, config.push
        dialect_context = DialectContext(
            config.transport,
            config.max_message,
            config.topic,
            config.role,
            pull,
            push=push,
            secure=config.remote.secure,
        )
        self.context = make_listener_context(config, dialect_context, hub)
        self.context.notice = self._note
        self.dialect_plan = self._plan(plugins)
        try:
            check_files(config.remote)
        except ConfigError as error:
            raise ConfigError(f"{config.spec}: {error}") from None
        self.losses = Losses()
        self._running = False
        self._reactor = reactor
        self._retries = Retries(config.remote)
        self._tries = 0  # counts all, so that what an old one tells is known as such
        self._attempt: Attempt | None = None
        self._dialling: Deferred[Any] | None = None
        self._timer: Any = None  # for the next try; of a UDP link that is up, for the next look at its name
        self._up_at: float | None = None
        self._last: Link | None = None  # that was up
        self._since = ""
        self._reason = ""
        self._notes: list[str] = []  # what is to be known of the link that is up
        self._noted: list[str] = []  # and was of the one before
        self._state_log = ConnectorLog(reactor, config.id)

    def _plan(self, plugins: Plugins) -> DialectPlan:
        config = self.config
        dialect_plan = plan(config, self.context.dialect_context, plugins, self.hub.turn.fail)
        can_pull = dialect_plan.first.can_pull and config.transport != "udp"
        for key in ("pull", "push"):
            if getattr(config, key) and not can_pull:
                says = f"{key}= is for a dialect that can subscribe, lines, json, mqtt or nats, not over UDP"
                raise ConfigError(f"{config.spec}: {says}")
        if config.subscribe is not None and dialect_plan.first.has_sessions:
            raise ConfigError(f"{config.spec}: what goes out in {config.dialect} is named with push=FILTER,...")
        return dialect_plan

    @property
    def remote(self) -> Remote:
        """The server that is dialled, or was the last."""
        return self._retries.remote

    @property
    def state(self) -> str:
        """`connecting`, `connected since TIME`, `waiting N s: REASON` or `stopped`."""
        if self._up_at is not None:
            return "; ".join([f"connected since {self._since}", *self._notes])
        if not self._running:
            return "stopped"
        if self._timer is not None and self._reason:
            left = max(1, math.ceil(self._timer.getTime() - self._reactor.seconds()))
            return f"waiting {left} s: {self._reason}"
        return "connecting"

    def start(self, delay: float = 0.0) -> None:
        """Dial, `delay` seconds from now, and go on until `stop`."""
        self._running = True
        self._stand()
        if self.context.presence is not None:
            self.context.presence.watch(self.config.id)
        self._timer = self._reactor.callLater(delay, self._dial)

    def _stand(self) -> None:
        """Keep what is published for the other side from now on, where the dialect has a session that does."""
        first, context, remote = self.dialect_plan.first, self.context, self.config.remote
        persistent_session = first.persistent_session(context.dialect_context, context.name)
        if persistent_session is not None:
            event, wishes = persistent_session
            session = Session(remote.host, remote.port, context.dialect_context.transport, context.name, context.user)
            self.hub.clients.stand(context, session, event, wishes, context.full or first.full)

    def forget(self) -> None:
        """It won't be back: keep nothing for the other side."""
        self.hub.clients.dismiss(self.context)

    def stop(self) -> None:
        """Dial no more, and close the link once what waits is sent."""
        self.halt()
        for link in list(self.context.links):
            link.close("shutdown")

    def halt(self) -> None:
        """Dial no more; a link that is there stays."""
        self._running = False
        self._state_log.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._dialling is not None:
            self._dialling.cancel()
        if self._attempt is not None and self._up_at is None:
            self._attempt.abort()  # it shakes hands yet

    # One try

    def _dial(self) -> None:
        self._timer = None
        self._reason = ""
        self._tries += 1
        lost = partial(self._lost, self._tries)
        if self.config.transport == "udp":
            self._dialling = resolve(self._reactor, self.remote.host)
            self._dialling.addCallback(self._open_datagrams, lost)
        else:
            remote = self.remote
            tls_later = remote.kind == "tls" and not self.dialect_plan.first.handshake_first
            try:
                self._attempt = self._make_attempt(lost, tls_options(remote) if tls_later else None)
                secure = remote.secure and not tls_later
                self._dialling = dial_stream(self._reactor, remote, self._attempt, secure)
            except ConfigError as error:  # a certificate that was good at the start
                self._lost(self._tries, error)
                return
        self._dialling.addCallbacks(self._dialled, self._failed, errbackArgs=(self._tries,))

    def _make_attempt(self, lost: Any, tls: Any) -> Attempt:
        if self.config.transport != "websocket":
            return DialFactory(self._link, lost, tls)
        first = self.dialect_plan.first
        url = self.remote.values["url"]
        return DialledWebSocketFactory(
            url, first.subprotocols, self.dialect_plan.longest, self._link, lost, self._reactor
        )

    def _open_datagrams(self, addresses: list[str], lost: Any) -> None:
        remote = self.config.remote
        protocol = DialledDatagrams(self._link, lost, self.losses)
        open_datagrams(self._reactor, remote, addresses[0], self.config.rcvbuf, protocol)
        if not is_address(remote.host):
            self._look_later()

    def _dialled(self, result: object) -> None:
        self._dialling = None

    def _failed(self, failure: Failure, attempt: int) -> None:
        self._dialling = None
        if failure.check(CancelledError) is None:
            self._lost(attempt, failure.value or "")

    def _link(self, wire: Wire, host: str, port: int) -> Link | None:
        """The wire is there: make its link. None where its dialect can't be made, and the wire is cut."""
        try:
            link = Link(self.hub, self.context, wire, self.dialect_plan.first, host, port)
        except Exception as error:  # noqa: BLE001  a plugin's dialect
            self.hub.turn.fail(error)
            wire.abort()
            return None
        self._last = link
        self._noted, self._notes = self._notes, []
        self._up_at = self._reactor.seconds()
        self._since = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._state_log.tell(f"connected to {self.remote}")
        return link

    def _note(self, text: str) -> None:
        """The other side wants an operator to know something."""
        if text not in self._notes:
            self._notes = [*self._notes, text][-limits.CONNECTOR_NOTICES :]
            if text not in self._noted:
                self._state_log.tell(text)

    def _lost(self, attempt: int, problem: BaseException | str) -> None:
        """That try is over; wait, then try again."""
        if attempt != self._tries:
            return
        self._attempt = None
        self._tries += 1
        up_at, self._up_at = self._up_at, None
        if not self._running:
            return
        if up_at is not None:
            self._retries.lasted(self._reactor.seconds() - up_at)
        last, self._last = self._last, None
        self._reason = why(_refusal_of(last) or problem, self.remote)
        if self._timer is not None:
            self._timer.cancel()
        lost, wait = self.remote, self._retries.next()
        self._timer = self._reactor.callLater(wait, self._dial)
        if lost == self.remote:
            self._state_log.tell(f"{self._reason}; {lost} is dialled again")
        else:
            self._state_log.tell(f"{lost}: {self._reason}; {self.remote} is dialled next")

    # The name of a UDP link

    def _look_later(self) -> None:
        if self._running:
            self._timer = self._reactor.callLater(limits.RESOLVE_SECONDS, self._look)

    def _look(self) -> None:
        """Look whether the name means another address now."""
        self._timer = None
        looking = resolve(self._reactor, self.remote.host)
        looking.addCallbacks(partial(self._resolved, self._tries), lambda failure: self._look_later())

    def _resolved(self, attempt: int, addresses: list[str]) -> None:
        if attempt != self._tries:
            return
        links = [link for link in self.context.links if link.session.host not in addresses]
        for link in links:
            link.close("its name means another address")
        if not links:
            self._look_later()


def _refusal_of(link: Link | None) -> str:
    """Return why the hub has ended a link, or ""."""
    return "" if link is None or link.shutdown.refusal is None else link.shutdown.refusal.reason
