#!/usr/bin/env bash
# 1. PyPI aio-statsd 0.2.9.
# 2. `increment` of a StatsD client counts: `name:1|c`, as in every other client, and as its own DogStatsdClient does.
# 3. StatsdClient.increment("hits", 1) writes `hits:+1|g`, the change of a gauge. Only `counter` writes `|c`.
# 4. A receiver that takes rates from counters shows nothing for this client, and a gauge named like the counter of
#    another client drifts upwards for ever. A daemon should keep the type in the topic or the message and not merge
#    both under the name.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install aio-statsd==0.2.9

timeout 60 "$python" - <<'EOF'
import asyncio
import socket

import aio_statsd


async def sent_by(make, receiver):
    client = make(host="127.0.0.1", port=receiver.getsockname()[1])
    await client.connect()
    client.increment("hits", 1)
    data = await asyncio.get_running_loop().sock_recv(receiver, 4096)
    await client.close()
    return data


async def main():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        plain = await sent_by(aio_statsd.StatsdClient, receiver)
        dog = await sent_by(aio_statsd.DogStatsdClient, receiver)
    print("StatsdClient", plain, "DogStatsdClient", dog)
    assert plain == b"hits:+1|g"
    assert dog == b"hits:1|c"


asyncio.run(main())
EOF
