"""What clients may do: each script is played to two brokers, which have to answer the same."""

from __future__ import annotations

from hubbub_plugins.mqtt.packets import (
    V5,
    Ack,
    Pingreq,
    Publish,
    Subscribe,
    Subscription,
    Unsubscribe,
)
from hubbub_plugins.mqtt.properties import PUBACK, PUBCOMP, PUBREC, PUBREL
from interop.mqtt_play import Scene
from interop.mqtt_script import BOTH, kept, released, said, script


@script(*BOTH)
async def each_quality_to_each_quality(s: Scene) -> None:
    ears = [await s.ear(Subscription(filter=s.t("#"), qos=qos), name=f"ear{qos}") for qos in range(3)]
    client = await s.client()
    for qos in range(3):
        await client.send(said(s, "a", b"%d" % qos, qos))
    await client.send(Ack(kind=PUBREL, id=1))
    await ears[1].ack()
    await ears[1].ack()
    await ears[2].ack()
    await ears[2].ack(PUBREC)
    await ears[2].ack(PUBCOMP)


@script(*BOTH)
async def without_subscribers(s: Scene) -> None:
    client = await s.client()
    for qos in range(3):
        await client.send(said(s, "nobody", qos=qos), *released(qos))


@script(*BOTH)
async def quality_2_again_before_pubrel(s: Scene) -> None:
    await s.ear()
    client = await s.client()
    await client.send(said(s, "a", qos=2, id=5))
    await client.send(said(s, "a", qos=2, id=5, dup=True))
    await client.send(Ack(kind=PUBREL, id=5))
    await client.send(Ack(kind=PUBREL, id=5))
    await client.send(said(s, "a", b"new", qos=2, id=5), Ack(kind=PUBREL, id=5))


@script(*BOTH)
async def quality_2_again_on_a_new_link(s: Scene) -> None:
    await s.ear()
    client = await s.client(**kept(s.version))
    await client.send(said(s, "a", qos=2, id=5))
    await client.vanish()
    client = await s.client(**kept(s.version))
    await client.send(said(s, "a", qos=2, id=5, dup=True))
    await client.send(Ack(kind=PUBREL, id=5))


@script(*BOTH)
async def quality_1_again(s: Scene) -> None:
    await s.ear(Subscription(filter=s.t("#"), qos=0))
    client = await s.client()
    for dup in (False, True):
        await client.send(said(s, "a", qos=1, id=5, dup=dup))


@script(*BOTH)
async def acknowledgements_of_what_wasnt_sent(s: Scene) -> None:
    client = await s.client()
    for kind in (PUBREL, PUBACK, PUBCOMP, PUBREC):
        await client.send(Ack(kind=kind, id=9))
        if not client.open:
            client = await s.client()


@script(*BOTH)
async def pings(s: Scene) -> None:
    client = await s.client()
    await client.send(Pingreq(), Pingreq())


@script(*BOTH)
async def retained_messages_come_and_go(s: Scene) -> None:
    client = await s.client()
    await client.send(said(s, "a", b"0", retain=True), said(s, "b", b"1", 1, retain=True))
    await s.ear(name="first")
    await client.send(said(s, "a", b"", retain=True), said(s, "b", b"passes"))
    await s.ear(name="second")
    await client.send(said(s, "b", b"", 1, retain=True))
    await s.ear(name="third")


@script(*BOTH)
async def subscribing_again(s: Scene) -> None:
    client = await s.client()
    await client.send(said(s, "a", b"kept", 2, retain=True), Ack(kind=PUBREL, id=1))
    for qos in (0, 1, 0):
        await client.send(Subscribe(id=qos + 1, subscriptions=[Subscription(filter=s.t("a"), qos=qos)]))
    await client.send(said(s, "a", qos=1))


@script(*BOTH)
async def several_filters(s: Scene) -> None:
    wishes = [("a", 2), ("b/#", 0), ("+/c", 1), ("d/+/e", 2)]
    await s.ear(*(Subscription(filter=s.t(filter), qos=qos) for filter, qos in wishes))
    client = await s.client()
    for topic in ("a", "b", "b/x/y", "x/c", "c", "d/x/e", "d/e", "A"):
        await client.send(said(s, topic, qos=1))


@script(*BOTH)
async def unsubscribing(s: Scene) -> None:
    ear = await s.ear(Subscription(filter=s.t("a")), Subscription(filter=s.t("b")), Subscription(filter=s.t("+")))
    await ear.send(Unsubscribe(id=7, filters=[s.t("a"), s.t("unknown"), s.t("+")]))
    client = await s.client()
    await client.send(said(s, "a"), said(s, "b"))
    await ear.send(Unsubscribe(id=8, filters=[s.t("unknown")]))


@script(*BOTH)
async def dollar_topics(s: Scene) -> None:
    name = s.name
    ear = await s.ear(Subscription(filter=f"+/{name}/#"), Subscription(filter=f"$own/{name}/+"))
    client = await s.client()
    await client.send(Publish(topic=f"$own/{name}/a"), Publish(topic=f"x/{name}/a"))
    await ear.send(Unsubscribe(id=2, filters=[f"$own/{name}/+"]))
    await client.send(Publish(topic=f"$own/{name}/a"))


@script(*BOTH)
async def topics_with_empty_levels(s: Scene) -> None:
    await s.ear(Subscription(filter=s.t("/")), Subscription(filter=s.t("+/+/x")), Subscription(filter=s.t("a//b")))
    client = await s.client()
    await client.send(said(s, "/"), said(s, "//x"), said(s, "a//b"), said(s, "a/b"), said(s, ""))


@script(V5)
async def properties_go_through(s: Scene) -> None:
    await s.ear()
    client = await s.client()
    more = {
        "payload_format_indicator": 1,
        "content_type": "text/plain",
        "response_topic": "re",
        "correlation_data": b"\0\1",
        "user_property": [("b", "1"), ("a", "2"), ("b", "1"), ("", "")],
        "message_expiry_interval": 60,
    }
    for qos in range(3):
        await client.send(said(s, "a", qos=qos, properties=more, retain=qos == 0), *released(qos))
    await s.ear(name="late")


@script(V5)
async def retain_handling(s: Scene) -> None:
    client = await s.client()
    await client.send(said(s, "a", retain=True))
    for handling in (2, 1, 0, 1, 2):
        await client.send(Subscribe(id=1, subscriptions=[Subscription(filter=s.t("a"), retain_handling=handling)]))
    await s.ear(Subscription(filter=s.t("a"), retain_handling=1))


@script(V5)
async def retain_as_published(s: Scene) -> None:
    await s.ear(Subscription(filter=s.t("as"), retain_as_published=True), Subscription(filter=s.t("not")))
    client = await s.client()
    for topic in ("as", "not"):
        await client.send(said(s, topic, retain=True), said(s, topic))


@script(V5)
async def no_local(s: Scene) -> None:
    client = await s.client()
    wishes = [Subscription(filter=s.t("a"), no_local=True), Subscription(filter=s.t("b"))]
    await client.send(Subscribe(id=1, subscriptions=wishes), said(s, "a"), said(s, "b"), said(s, "a", qos=1))


@script(V5)
async def subscription_identifiers(s: Scene) -> None:
    ear = await s.client("ear")
    for number, filter in ((1, "a"), (268_435_455, "b")):
        properties = {"subscription_identifier": number}
        await ear.send(Subscribe(id=1, subscriptions=[Subscription(filter=s.t(filter), qos=1)], properties=properties))
    client = await s.client()
    await client.send(said(s, "a"), said(s, "b", qos=1))
    await ear.send(Subscribe(id=1, subscriptions=[Subscription(filter=s.t("a"))]))
    await client.send(said(s, "a"))


@script(*BOTH)
async def overlapping_filters(s: Scene) -> None:
    await s.ear(Subscription(filter=s.t("a/b"), qos=0), Subscription(filter=s.t("a/#"), qos=2))
    client = await s.client()
    await client.send(said(s, "a/b", qos=1))


@script(V5)
async def aliases(s: Scene) -> None:
    await s.ear()
    client = await s.client()
    await client.send(said(s, "a", properties={"topic_alias": 3}))
    await client.send(Publish(topic="", payload=b"y", properties={"topic_alias": 3}))
    await client.send(said(s, "b", properties={"topic_alias": 3}))
    await client.send(Publish(topic="", payload=b"z", qos=1, id=1, properties={"topic_alias": 3}))


@script(V5)
async def receive_maximum_of_the_client(s: Scene) -> None:
    ear = await s.ear(properties={"receive_maximum": 2})
    client = await s.client()
    for n in range(5):
        await client.send(said(s, "a", b"%d" % n, 1))
    await client.send(said(s, "a", b"zero"))
    for _ in range(5):
        await ear.ack()


@script(V5)
async def maximum_packet_size_of_the_client(s: Scene) -> None:
    await s.ear(properties={"maximum_packet_size": 100})
    client = await s.client()
    for qos in range(3):
        await client.send(said(s, "a", b"x" * 100, qos), *released(qos))
        await client.send(said(s, "a", b"short", qos), *released(qos))


@script(V5)
async def a_message_that_the_client_refuses(s: Scene) -> None:
    ear = await s.ear(**kept(V5))
    client = await s.client()
    await client.send(said(s, "a", qos=1), said(s, "b", qos=2, id=2), Ack(kind=PUBREL, id=2))
    await ear.ack(PUBACK, 0x97)
    await ear.ack(PUBREC, 0x97)
    await ear.vanish()
    await s.client("ear", **kept(V5))


@script(V5)
async def a_share_of_one(s: Scene) -> None:
    ear = await s.ear(Subscription(filter=f"$share/g/{s.t('a')}", qos=1))
    client = await s.client()
    for qos in range(3):
        await client.send(said(s, "a", qos=qos), *released(qos))
    await ear.send(Unsubscribe(id=2, filters=[f"$share/g/{s.t('a')}"]))
    await client.send(said(s, "a"))
