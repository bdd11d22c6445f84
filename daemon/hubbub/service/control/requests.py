"""What the control socket's commands do in a running daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from hubbub.errors import ConfigError, Refusal
from hubbub.kernel.connection.link import Link
from hubbub.service.control import status
from hubbub.service.control.control_socket import Caller, Command, Request
from hubbub.service.control.link_selector import LinkSelector
from hubbub.service.tracing.traces import Tracing

_log = Logger(namespace="hubbub.control")
_KICKED = Refusal("not-authorized", "an operator has closed this link")


def commands(running: Any) -> Mapping[str, Command]:
    """Return the commands that a daemon knows, by name."""

    def show(request: Request, caller: Caller) -> None:
        caller.stream(_status(running, bool(request.get("links"))))

    def reload(request: Request, caller: Caller) -> None:
        caller.setTimeout(None)  # it takes what it takes
        running.reload().addCallbacks(
            lambda what: caller.finish(changed=what), lambda failure: _refused(failure, caller)
        )

    def close(request: Request, caller: Caller) -> None:
        caller.finish(kicked=kick(running, request))

    return {"status": show, "reload": reload, "kick": close, "trace": Tracing(running).begin}


def kick(running: Any, request: Mapping[str, Any]) -> int:
    """Close the links that a request names, and return how many. Raises ConfigError."""
    found = list(_chosen(running, request))
    for link in found:
        link.close("kicked", _KICKED)
    _log.info("kicked {count} links", count=len(found))
    return len(found)


def _status(running: Any, links: bool) -> Iterator[Mapping[str, object]]:
    yield {"status": status.status(running)}
    if links:
        for link in status.links_of(running):
            yield status.link(link)


def _refused(failure: Failure, caller: Caller) -> None:
    if not failure.check(ConfigError):
        _log.failure("the reload failed", failure)
    caller.refuse(failure.getErrorMessage())


_CHOICES: Mapping[str, Callable[[Link], object]] = {
    "link": lambda link: link.session.id,
    "user": lambda link: link.session.user,
    "client": lambda link: link.session.client,
}


def _chosen(running: Any, request: Request) -> Iterator[Link]:
    """Yield the links that a request means: all that it says has to hold. Raises ConfigError where it says nothing."""
    choice = LinkSelector(running, request)
    said = {name: request[name] for name in _CHOICES if request.get(name) is not None}
    if not said and request.get("host") is None and request.get("listener") is None:
        raise ConfigError("name what to close: a link, or --user, --client, --host or --listener")
    for link in status.links_of(running):
        if link.active and choice.has(link) and all(_CHOICES[name](link) == value for name, value in said.items()):
            yield link
