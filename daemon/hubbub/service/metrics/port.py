"""The endpoint of `--metrics`: the pages of metrics."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.web.resource import Resource
from twisted.web.server import Request

from hubbub import limits
from hubbub.errors import ConfigError, Refusal
from hubbub.option import shown
from hubbub.service.config.endpoint import STREAMS, split, take
from hubbub.service.config.reloadable import Commit
from hubbub.service.config.settings import Settings
from hubbub.service.links.listener import now, sentence
from hubbub.transports.http.channel import HttpSite
from hubbub.transports.http.origin import is_for_us
from hubbub.transports.http.pages import Pages, page, plain


class MetricsPort:
    """One endpoint, such as `tcp:9100`, on loopback where it names no interface. Making it raises ConfigError.

    names  attribute: of this machine, beside its addresses and localhost
    """

    def __init__(self, spec: str, pages: Pages, names: Container[str] = ()) -> None:
        self.names = names
        self.spec = spec
        self.port: IListeningPort | None = None
        self.pages = pages
        try:
            self._endpoint, rest = take(split(spec), STREAMS)
            if rest:
                raise ConfigError(f"unknown key {shown(rest[0][0])}=")
        except ConfigError as error:
            raise ConfigError(f"--metrics {shown(spec)}: {error}") from None

    def listen(self, reactor: Any) -> None:
        """Bind. Raises ConfigError."""
        site = HttpSite(_Root(self), reactor, acquire=self._acquire)
        self._open = 0
        try:
            self.port = now(serverFromString(reactor, self._endpoint.text).listen(site))
        except Exception as error:
            raise ConfigError(f"--metrics {shown(self.spec)}: can't listen: {sentence(error)}") from error

    def close(self) -> Deferred[Any]:
        """Listen no more."""
        port, self.port = self.port, None
        return maybeDeferred(port.stopListening) if port is not None else maybeDeferred(lambda: None)

    def _acquire(self, host: str) -> Any:
        if self._open >= limits.METRICS_CONNECTIONS:
            raise Refusal("unavailable", f"{limits.METRICS_CONNECTIONS} connections are open already")
        self._open += 1
        return self._release

    def _release(self) -> None:
        self._open -= 1


class MetricsEndpoint:
    """The port of `--metrics` as the settings have it now: one or none. Making it raises ConfigError."""

    def __init__(self, reactor: Any, settings: Settings, pages: Pages) -> None:
        self._reactor = reactor
        self._pages = pages
        self._port = self._make(settings)

    def _make(self, settings: Settings) -> MetricsPort | None:
        return MetricsPort(settings.metrics, self._pages, settings.origins) if settings.metrics else None

    def listen(self) -> None:
        """Bind. Raises ConfigError."""
        if self._port is not None:
            self._port.listen(self._reactor)

    def close(self) -> Deferred[Any]:
        """Listen no more."""
        return maybeDeferred(lambda: None if self._port is None else self._port.close())

    def prepare(self, settings: Settings) -> Commit:
        """Bind the port of changed settings (service.config.reloadable.Prepare)."""
        port = self._port
        if settings.metrics != (port and port.spec):
            port = self._make(settings)
            if port is not None:
                port.listen(self._reactor)

        def commit() -> Iterator[str]:
            if port is not self._port:
                self.close()
                self._port = port
                yield "metrics moved"
            if port is not None:
                port.names = settings.origins

        return commit


class _Root(Resource):
    """The pages, and nothing else."""

    isLeaf = True

    def __init__(self, port: MetricsPort) -> None:
        super().__init__()
        self._port = port

    def render(self, request: Request) -> bytes | int:
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader("allow", "GET, HEAD")
            return plain(request, 405, "Metrics can only be read.")
        if not is_for_us(request, self._port.names):
            return plain(request, 403, "This host isn't known by that name; start hubbub with --origin NAME.")
        found = page(request, self._port.pages)
        if found is None:
            return plain(request, 404, "There are /metrics, /healthz and /readyz.")
        return found
