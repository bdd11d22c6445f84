"""What the control socket's commands do in a running daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hubbub.errors import ConfigError, Refusal
from hubbub.kernel.connection.link import Link
from hubbub.kernel.steps import spread
from hubbub.service.control import status
from hubbub.service.control.control_socket import Command, ControlProtocol, Request
from hubbub.service.control.link_selector import LinkSelector
from hubbub.service.metrics.link_sums import Sums, sum_up
from hubbub.service.tracing.traces import Tracing

_log = Logger(namespace="hubbub.control")
_KICKED = Refusal("not-authorized", "an operator closed this link")


def commands(running: Any) -> Mapping[str, Command]:
    """Return the commands that a daemon knows, by name."""

    def show(request: Request, caller: ControlProtocol) -> None:
        sum_up(
            running.hub.turn, status.contexts_of(running), partial(_show, running, caller, bool(request.get("links")))
        )

    def reload(request: Request, caller: ControlProtocol) -> None:
        caller.setTimeout(None)  # it takes what it takes
        running.reload().addCallbacks(
            lambda what: caller.finish(changed=what), lambda failure: _refused(failure, caller)
        )

    def close(request: Request, caller: ControlProtocol) -> None:
        kick(running, request).addCallback(lambda count: caller.finish(kicked=count))

    def metrics(request: Request, caller: ControlProtocol) -> None:
        page: Deferred[Any] = maybeDeferred(running.metrics_page.page, "/metrics", "")
        page.addCallbacks(
            lambda found: caller.finish(text=found[2].decode()), lambda failure: _refused(failure, caller)
        )

    def around(request: Request, caller: ControlProtocol) -> None:
        status.look_around(running).addCallback(lambda found: caller.finish(**found))

    return {
        "status": show,
        "cluster": around,
        "metrics": metrics,
        "reload": reload,
        "kick": close,
        "trace": Tracing(running).begin,
    }


def kick(running: Any, request: Mapping[str, Any]) -> Deferred[int]:
    """Close the links that a request names, some in each turn. Fires with their number. Raises ConfigError."""
    choice, chosen = LinkSelector(running, request), _chosen(request)
    there = status.links_of(running) if "link" not in chosen else iter([running.links.find(chosen["link"])])
    kicked: Deferred[int] = Deferred()

    def close() -> Iterator[None]:
        count = 0
        for link in there:
            if link is not None and link.active and choice.has(link) and _is_meant(link, chosen):
                link.close("kicked", _KICKED)
                count += 1
            yield
        _log.info("kicked {count} links", count=count)
        kicked.callback(count)

    spread(running.hub.turn, "kicks", close())
    return kicked


def _show(running: Any, caller: ControlProtocol, links: bool, sums: Sums) -> None:
    caller.stream(_status(running, links, sums))


def _status(running: Any, links: bool, sums: Sums) -> Iterator[Mapping[str, object]]:
    yield {"status": status.status(running, sums)}
    if links:
        for link in status.links_of(running):
            yield status.link(link)


def _refused(failure: Failure, caller: ControlProtocol) -> None:
    if not failure.check(ConfigError):
        _log.failure("a command failed", failure)
    caller.refuse(failure.getErrorMessage())


_CHOICES: Mapping[str, Callable[[Link], object]] = {
    "link": lambda link: link.session.id,
    "user": lambda link: link.session.user,
    "client": lambda link: link.session.client,
}


def _chosen(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a request says of each link. Raises ConfigError if it says nothing."""
    chosen = {name: request[name] for name in _CHOICES if request.get(name) is not None}
    if not chosen and request.get("host") is None and request.get("listener") is None:
        raise ConfigError("name what to close: a link, or --user, --client, --host or --listener")
    return chosen


def _is_meant(link: Link, chosen: Mapping[str, Any]) -> bool:
    return all(_CHOICES[name](link) == value for name, value in chosen.items())
