"""Scripts of wills, takeovers and sessions; see interop.mqtt_script."""

from __future__ import annotations

from hubbub_plugins.mqtt.packets import (
    V5,
    Ack,
    Disconnect,
    Pingreq,
    Subscribe,
    Subscription,
    Will,
)
from hubbub_plugins.mqtt.properties import PUBCOMP, PUBREC, PUBREL
from interop.mqtt_play import Scene
from interop.mqtt_script import BOTH, kept, said, script


@script(*BOTH)
async def a_will_when_the_link_breaks(s: Scene) -> None:
    await s.ear()
    client = await s.client(will=Will(topic=s.t("w"), payload=b"gone", qos=1))
    await client.vanish()


@script(*BOTH)
async def a_will_when_the_client_breaks_the_protocol(s: Scene) -> None:
    await s.ear()
    client = await s.client(will=Will(topic=s.t("w"), payload=b"gone"))
    await client.send(b"\0\0")


@script(*BOTH)
async def a_will_that_is_retained(s: Scene) -> None:
    client = await s.client(will=Will(topic=s.t("w"), payload=b"gone", qos=2, retain=True))
    await client.vanish()
    await s.ear()
    await s.client("d", will=Will(topic=s.t("w"), payload=b"", retain=True))


@script(*BOTH)
async def no_will_after_disconnect(s: Scene) -> None:
    await s.ear()
    client = await s.client(will=Will(topic=s.t("w"), payload=b"gone"))
    await client.send(Disconnect())


@script(V5)
async def a_will_after_disconnect_0x04(s: Scene) -> None:
    await s.ear()
    client = await s.client(will=Will(topic=s.t("w"), payload=b"gone"))
    await client.send(Disconnect(code=4))


@script(V5)
async def a_will_after_disconnect_0x80(s: Scene) -> None:
    await s.ear()
    client = await s.client(will=Will(topic=s.t("w"), payload=b"gone"))
    await client.send(Disconnect(code=0x80))


@script(*BOTH)
async def a_will_with_a_wildcard(s: Scene) -> None:
    await s.client(will=Will(topic=s.t("#"), payload=b"gone"))


@script(V5)
async def a_will_with_a_delay(s: Scene) -> None:
    ear = await s.ear()
    will = Will(topic=s.t("w"), payload=b"gone", properties={"will_delay_interval": 100})
    for _ in range(2):
        client = await s.client(will=will, properties={"session_expiry_interval": 200}, clean=False)
        await client.vanish()
    await s.client(clean=True)
    await ear.send(b"")


@script(V5)
async def a_will_with_properties(s: Scene) -> None:
    await s.ear()
    more = {"content_type": "t", "user_property": [("b", "1"), ("a", "2"), ("b", "1")], "payload_format_indicator": 1}
    client = await s.client(will=Will(topic=s.t("w"), payload=b"gone", properties=more))
    await client.vanish()


@script(*BOTH)
async def takeover(s: Scene) -> None:
    await s.ear()
    old = await s.client("old", client=s.name, will=Will(topic=s.t("w"), payload=b"gone"))
    await s.client("new", client=s.name)
    await old.send(b"\xc0\0")


@script(*BOTH)
async def takeover_of_a_session(s: Scene) -> None:
    await s.ear(name="old", client=s.name, **kept(s.version))
    await s.client("new", client=s.name, **kept(s.version))
    client = await s.client()
    await client.send(said(s, "a", qos=1))


@script(*BOTH)
async def a_session_collects(s: Scene) -> None:
    wishes = [Subscription(filter=s.t("a"), qos=2), Subscription(filter=s.t("zero"), qos=0)]
    ear = await s.ear(*wishes, **kept(s.version))
    await ear.vanish()
    client = await s.client()
    for qos in range(3):
        await client.send(said(s, "a", b"%d" % qos, qos, id=qos + 1))
    await client.send(Ack(kind=PUBREL, id=3), said(s, "zero", qos=1, id=9))
    ear = await s.client("ear", **kept(s.version))
    await ear.ack()
    await ear.ack(PUBREC)
    await ear.ack(PUBCOMP)
    await ear.send(Disconnect())
    await s.client("ear", clean=True)


@script(*BOTH)
async def what_flies_is_sent_again(s: Scene) -> None:
    ear = await s.ear(**kept(s.version))
    client = await s.client()
    for n, qos in enumerate((1, 2, 2)):
        await client.send(said(s, "a", b"%d" % n, qos, id=n + 1), Ack(kind=PUBREL, id=n + 1) if qos == 2 else b"")
    await ear.send(Ack(kind=PUBREC, id=ear.flight[1].id))
    await ear.vanish()
    await s.client("ear", **kept(s.version))


@script(*BOTH)
async def no_identifier(s: Scene) -> None:
    client = await s.client(client="")
    await client.send(Subscribe(id=1, subscriptions=[Subscription(filter=s.t("a"))]), said(s, "a"))


@script(*BOTH)
async def a_long_identifier(s: Scene) -> None:
    await s.client(client=s.name + "x" * 200)


@script(*BOTH)
async def no_keep_alive(s: Scene) -> None:
    client = await s.client(keep_alive=0)
    await client.send(Pingreq())


@script(*BOTH)
async def a_keep_alive_that_passes(s: Scene) -> None:
    client = await s.client(keep_alive=1)
    await client.ends()


@script(*BOTH)
async def goodbye(s: Scene) -> None:
    client = await s.client()
    await client.send(Disconnect(), said(s, "a"))


@script(V5)
async def a_session_that_is_ended_by_disconnect(s: Scene) -> None:
    for interval in (50, 0):
        client = await s.client(**kept(V5))
        await client.send(Disconnect(properties={"session_expiry_interval": interval}))
    await s.client(**kept(V5))
