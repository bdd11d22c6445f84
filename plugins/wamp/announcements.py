"""Events of the realm itself: `wamp.session.on_join` is the topic `$wamp/REALM/session/on_join`."""

from __future__ import annotations

from typing import Any

from hubbub import limits
from hubbub.publish import Announcement
from hubbub_plugins.wamp.arguments import payload_of
from hubbub_plugins.wamp.origin import META
from hubbub_plugins.wamp.realm import Realm


def announce(realm: Realm, name: str, args: list[Any]) -> list[Announcement]:
    """Return the event `wamp.NAME`."""
    payload, kind = payload_of([args], 0, limits.MESSAGE_BYTES)
    topic = realm.own + name.replace(".", "/")
    return [Announcement(topic, payload, realm.has, kind, META)]
