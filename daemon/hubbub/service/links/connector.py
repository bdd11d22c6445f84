"""Keeps outbound links up: dials, hands the wire to a link, and dials again when it is lost."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel

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
from hubbub.service.links.dial import Attempt, check_files, dial_stream, open_datagrams, resolve, why
from hubbub.service.links.dialler import Dialler
from hubbub.service.links.make_listener_context import make_listener_context
from hubbub.service.plugins.dialect_plan import DialectPlan, plan
from hubbub.service.plugins.discovery import Plugins
from hubbub.transports.dial import DialFactory, DialledDatagrams, Losses, Lost
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
        self._reactor = reactor
        self._dialler = Dialler(reactor, config.remote, self._begin, self._ended)
        self._look_timer: Any = None  # of a UDP link that is up, for the next look at its name
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
            raise ConfigError(f"{config.spec}: with {config.dialect}, push=FILTER,... names the messages to send")
        return dialect_plan

    @property
    def remote(self) -> Remote:
        """The server that is dialled or connected, or is next."""
        return self._dialler.remote

    @property
    def state(self) -> str:
        """`connecting`, `connected since TIME`, `waiting N s: REASON` or `stopped`."""
        dialler = self._dialler
        if dialler.up_at is not None:
            return "; ".join([f"connected since {self._since}", *self._notes])
        if not dialler.running:
            return "stopped"
        if dialler.left is not None and self._reason:
            return f"waiting {max(1, math.ceil(dialler.left))} s: {self._reason}"
        return "connecting"

    def start(self, delay: float = 0.0) -> None:
        """Dial, `delay` seconds from now, and go on until `stop`."""
        self._stand()
        if self.context.presence is not None:
            self.context.presence.watch(self.config.id)
        self._dialler.start(delay)

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
        self._state_log.stop()
        self._look_no_more()
        self._dialler.stop()

    # One attempt

    def _begin(self, remote: Remote, lost: Lost) -> tuple[Attempt | None, Deferred[Any]]:
        if self.config.transport == "udp":
            return None, resolve(self._reactor, remote.host).addCallback(self._open_datagrams, lost)
        handshake_first = self.dialect_plan.first.handshake_first
        return dial_stream(self._reactor, remote, partial(self._make_attempt, lost), handshake_first)

    def _make_attempt(self, lost: Lost, tls: Any) -> Attempt:
        if self.config.transport != "websocket":
            return DialFactory(self._link, lost, tls)
        first = self.dialect_plan.first
        url = self.remote.values["url"]
        return DialledWebSocketFactory(
            url, first.subprotocols, self.dialect_plan.longest, self._link, lost, self._reactor
        )

    def _open_datagrams(self, addresses: list[str], lost: Lost) -> None:
        remote = self.config.remote
        protocol = DialledDatagrams(self._link, lost, self.losses)
        open_datagrams(self._reactor, remote, addresses[0], self.config.rcvbuf, protocol)
        if not is_address(remote.host):
            self._look_later()

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
        self._dialler.connected()
        self._since = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._state_log.tell(f"connected to {self.remote}", LogLevel.info)
        return link

    def _note(self, text: str) -> None:
        """The other side wants an operator to know something."""
        if text not in self._notes:
            self._notes = [*self._notes, text][-limits.CONNECTOR_NOTICES :]
            if text not in self._noted:
                self._state_log.tell(text)

    def _ended(self, lost: Remote, problem: BaseException | str) -> None:
        self._look_no_more()
        last, self._last = self._last, None
        self._reason = why(_refusal_of(last) or problem, lost)
        if not self._dialler.running:
            return
        if lost == self.remote:
            self._state_log.tell(f"{self._reason}; {lost} is dialled again")
        else:
            self._state_log.tell(f"{lost}: {self._reason}; {self.remote} is dialled next")

    # The name of a UDP link

    def _look_later(self) -> None:
        if self._dialler.running and self._last is not None:
            self._look_timer = self._reactor.callLater(limits.RESOLVE_SECONDS, self._look)

    def _look_no_more(self) -> None:
        if self._look_timer is not None:
            self._look_timer.cancel()
            self._look_timer = None

    def _look(self) -> None:
        """Look whether the name means another address now."""
        self._look_timer = None
        link = self._last
        looking = resolve(self._reactor, self.remote.host)
        looking.addCallbacks(partial(self._resolved, link), lambda failure: self._look_again(link))

    def _resolved(self, link: Link | None, addresses: list[str]) -> None:
        if link is not None and link is self._last and link.session.host not in addresses:
            link.close("its name means another address")
        else:
            self._look_again(link)

    def _look_again(self, link: Link | None) -> None:
        if link is self._last:
            self._look_later()


def _refusal_of(link: Link | None) -> str:
    """Return why the hub has ended a link, or ""."""
    return "" if link is None or link.shutdown.refusal is None else link.shutdown.refusal.reason
