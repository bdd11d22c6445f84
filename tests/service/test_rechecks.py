"""After a reload each client gets its new rights in its turn. What they are: tests/unit/test_permissions_links.py."""

from __future__ import annotations

from hubbub import limits
from hubbub.dialects.lines import Lines
from hubbub.service.auth.rechecks import Recheck
from hubbub_plugins.mqtt import Mqtt
from mqtt_client import V5, Client, kept, subscription
from unit.test_permissions_links import permissions

EACH = 100  # subscriptions


def test_links_and_sessions_with_many_subscriptions_are_looked_at_in_steps(world):
    listener, speaks_mqtt = world.listen("tcp", Lines), world.listen("tcp", Mqtt)
    devices = [listener.connect() for _ in range(5)]
    for device in devices:
        device.say(b"".join(b"SUB a/%d\nSUB b/%d\n" % (n, n) for n in range(EACH // 2)))
    away = Client(speaks_mqtt)
    away.connect("away", **kept(V5))
    away.subscribe(*[subscription(f"{'ab'[n % 2]}/{n}", 1) for n in range(EACH)])
    away.end.vanish()
    world.turn()
    assert world.hub.subscriptions.count == 6 * EACH
    rights = listener.context.rights = permissions("subscribe a/#").of
    for client in world.hub.clients.without_link():
        client._rights = rights
    done = []
    Recheck(world.hub, [listener.context], lambda session: True).start().addCallback(done.append)
    assert world.hub.subscriptions.count > 5 * EACH
    assert not done
    world.turn()
    assert world.hub.subscriptions.count == 3 * EACH
    assert [one.subscriptions for one in done] == [3 * EACH]
    assert world.hub.turn.scheduler.deferred["permissions"] > 6 * EACH // limits.PIECES_AT_ONCE
    assert {device.received().count(b"ERR not-authorized you may no longer receive b/") for device in devices} == {
        EACH // 2
    }


def test_a_subscription_that_is_made_meanwhile_stays(world):
    listener = world.listen("tcp", Lines)
    device = listener.connect()
    device.say(b"".join(b"SUB b/%d\n" % n for n in range(200)))
    listener.context.rights = permissions("subscribe b/199").of
    Recheck(world.hub, [listener.context], lambda session: True).start()
    (link,) = listener.context.links
    link.receive(b"UNSUB b/199\nSUB b/199\n")
    world.turn()
    assert list(link.session.subscriptions) == ["b/199"]
