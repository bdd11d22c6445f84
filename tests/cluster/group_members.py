"""Members of a group at several nodes, and who publishes for them."""

from __future__ import annotations

from cluster.mqtt_nodes import output, subscribe
from cluster.nodes import passed
from hubbub_plugins.mqtt import packets
from mqtt_client import PUBACK, PUBCOMP, PUBREC, PUBREL, subscription

GROUP = "$share/g/x/+"


class Member:
    """A client in the group; it acknowledges what comes, unless it is `lazy`."""

    def __init__(self, client, lazy=False):
        self.client = client
        self.ids = {}
        self.got = []
        self.lazy = lazy

    @classmethod
    async def of(cls, node, name, qos=1, lazy=False, **more):
        client = await node.client(name, **more)
        await subscribe(client, subscription(GROUP, qos))
        return cls(client, lazy)

    def look(self):
        """Read what has come; return the payloads of all that did."""
        self.take(self.client.output())
        return self.got

    def take(self, found):
        for one in found:
            if isinstance(one, packets.Publish):
                self.got.append(one.payload)
                self.ids[one.payload] = one.id
                if not self.lazy and one.qos:
                    self.take(self.client.ack(PUBACK if one.qos == 1 else PUBREC, one.id))
            elif isinstance(one, packets.Ack) and one.kind == PUBREL:
                self.take(self.client.ack(PUBCOMP, one.id))


async def publish(client, numbers, qos=1):
    """Publish, and wait until all is acknowledged."""
    for number in numbers:
        client.publish(f"x/{number % 3}", b"%d" % number, qos=qos, id=number + 1)
    await output(client, len(numbers))


def one_at_a_time():
    """How a client asks for a session that has one message in flight."""
    return {"clean": False, "properties": {"session_expiry_interval": 100, "receive_maximum": 1}}


def payloads(first, last):
    return sorted(b"%d" % number for number in range(first, last))


async def got_by(members, wanted):
    """Wait until these members have, together, all that is wanted; each of it once."""
    await passed(lambda: sum([len(one.look()) for one in members]) >= len(wanted))
    assert sorted(payload for one in members for payload in one.look()) == wanted
