"""Makes the place of a listener's or a connector's links from what the operator says of them."""

from __future__ import annotations

from hubbub.dialect import Setting
from hubbub.kernel.hub import Hub
from hubbub.kernel.presence import Presence
from hubbub.kernel.wire import Place
from hubbub.service.config import LinkConfig


def make_place(config: LinkConfig, setting: Setting, hub: Hub) -> Place:
    """Return the place of all links of `config`."""
    presence = None
    if config.presence is not None:
        presence = Presence(hub, config.presence, config.silent, config.prefix, config.transport != "udp")
    return Place(
        name=config.id,
        setting=setting,
        prefix=config.prefix,
        subscribe=config.subscribe,
        retain=config.retain,
        content_type=config.content_type,
        queue=config.queue,
        full=config.full,
        stall=config.stall,
        idle=config.idle,
        user=config.user,
        answer=config.answer,
        rate=config.rate,
        changed=config.changed,
        presence=presence,
    )
