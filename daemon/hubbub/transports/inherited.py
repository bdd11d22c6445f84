"""The sockets that systemd, or a supervisor, has opened and handed over (sd_listen_fds(3)). They stay theirs:
connections that come while hubbub starts anew wait in them, and nothing here shuts one down, or removes its file.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet import endpoints, unix
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from hubbub import limits
from hubbub.errors import ConfigError

_FAMILIES = {"INET": socket.AF_INET, "INET6": socket.AF_INET6, "UNIX": socket.AF_UNIX}
_KINDS = {socket.SOCK_STREAM: "streams", socket.SOCK_DGRAM: "UDP"}


def handed_over() -> list[tuple[str, int]]:
    """Return name and number of each descriptor, in order; a name may be there for several, "" where it has none."""
    # Twisted takes them out of the environment when it is first imported; no other process can see them.
    given = endpoints._SystemdParser._sddaemon
    return list(zip(given._names, given.inheritedDescriptors(), strict=True)) or [("", one) for one in _NAMELESS]


def _nameless(environment: Path = Path("/proc/self/environ")) -> Sequence[int]:
    """Return the descriptors that come without names, as systemd-socket-activate hands them over.

    Twisted takes them for none. Their number is still in the environment that the process was started with.
    """
    try:
        given = dict(one.partition(b"=")[::2] for one in environment.read_bytes().split(b"\0"))
        count = int(given[b"LISTEN_FDS"]) if int(given[b"LISTEN_PID"]) == os.getpid() else 0
    except (OSError, KeyError, ValueError):
        return ()
    return range(_FIRST, _FIRST + count)


_FIRST = 3  # SD_LISTEN_FDS_START
_NAMELESS = _nameless()  # before twistd forks


def name_for(listener: str) -> str:
    """Return under which name a supervisor hands over the socket of a listener."""
    return f"hubbub-worker.{listener}"


def of_listener(listener: str) -> socket.socket | None:
    """Return a duplicate of the socket that a supervisor has handed over for a listener, or None."""
    name = name_for(listener)
    return next((_duplicate(number) for given, number in handed_over() if given == name), None)


def take(values: Mapping[str, str], kind: socket.SocketKind) -> socket.socket:
    """Return a duplicate of the socket that an endpoint `systemd:` names by `index` or `name`, and of the `domain`.

    One unit may give the sockets of both kinds one name: `kind` tells them apart. Raises ConfigError.
    """
    what = f"index={values['index']}" if "index" in values else f"name={values['name']}"
    named = [
        number
        for at, (name, number) in enumerate(handed_over())
        if (str(at) == values["index"] if "index" in values else name == values["name"])
    ]
    if not named:
        raise ConfigError(f"systemd has handed over no socket with {what}")
    found = [one for one in map(_duplicate, named) if one is not None]
    fits = (kind, _FAMILIES[values["domain"]])
    fitting = [one for one in found if (one.type, one.family) == fits != (socket.SOCK_DGRAM, socket.AF_UNIX)]
    if len(fitting) == 1:
        chosen = fitting[0]
    for one in found:
        if len(fitting) != 1 or one is not chosen:
            one.close()
    if not fitting:
        raise ConfigError(f"the socket of systemd with {what} isn't for {_KINDS[kind]}, domain={values['domain']}")
    if len(fitting) > 1:
        raise ConfigError(f"systemd has handed over {len(fitting)} sockets with {what}; say which with index=")
    return chosen


def _duplicate(number: int) -> socket.socket | None:
    try:
        os.set_inheritable(number, False)  # no child of a plugin holds it open
        return socket.socket(fileno=os.dup(number))
    except OSError:
        return None


def listen_stream(reactor: Any, found: socket.socket, factory: IProtocolFactory) -> IListeningPort:
    """Accept connections on a stream socket that was handed over, and close this copy of it."""
    with found:  # the port gets a duplicate
        found.setblocking(False)
        port: Any
        if found.family != socket.AF_UNIX:
            port = reactor.adoptStreamPort(found.fileno(), found.family, factory)
        else:  # Twisted's own way would set the mode of the file, and remove it in the end
            port = unix.Port._fromListeningDescriptor(reactor, found.fileno(), factory)
            port._bindPath = b"\0"
            port.backlog = limits.BACKLOG
            port.startListening()
            port._shouldShutdown = False
    listening: IListeningPort = port
    return listening
