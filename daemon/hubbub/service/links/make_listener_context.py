"""Makes the place of a listener's or a connector's links from what the operator says of them."""

from __future__ import annotations

from hubbub.dialect import DialectContext, Text
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.hub import Hub
from hubbub.kernel.sessions.presence import Presence
from hubbub.service.config.settings import LinkConfig


def make_listener_context(config: LinkConfig, dialect_context: DialectContext, hub: Hub) -> ListenerContext:
    """Return the place of all links of `config`."""
    presence = None
    if config.presence is not None:
        presence = Presence(
            hub.turn, hub.presences, config.presence, config.silent, config.prefix, config.transport != "udp"
        )
    return ListenerContext(
        name=config.id,
        dialect_context=dialect_context,
        prefix=config.prefix,
        subscribe=config.subscribe,
        retain=config.retain,
        content_type=config.content_type,
        queue=config.queue,
        full=config.full,
        stall=config.stall,
        idle=config.idle,
        user=config.user,
        hello=_unit(config.hello, config.transport),
        answer=config.answer,
        rate=config.rate,
        changed=config.changed,
        presence=presence,
    )


def _unit(data: bytes, transport: str) -> bytes:
    """Return what is sent as one unit: text on a WebSocket, if it is UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return data
    return Text(data) if transport == "websocket" else data
