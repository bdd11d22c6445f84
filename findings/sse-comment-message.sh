#!/usr/bin/env bash
# 1. PyPI sseclient 0.0.27 and httpx-sse 0.4.3, npm eventsource-parser 3.1.1 (the parser of eventsource).
# 2. A server keeps a quiet stream of events alive with a comment, a line that begins with a colon (HTML standard, 9.2.7),
#    and sets a position with an `id:` alone. Neither is an event: without data none is dispatched (9.2.6).
# 3. In sseclient a comment and the empty line behind it are a message with empty data. In httpx-sse they are too, once an
#    event has had an id, and the message has that id again. An `id:` alone is one in both. A comment without an empty
#    line behind it is no message in any of them.
# 4. Programs that parse each message as JSON fail after the first quiet seconds, and those that count messages count the
#    keep-alives. A server should end its comments with one line end, and a payload that may be empty needs a name.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install sseclient==0.0.27 httpx-sse==0.4.3 httpx==0.28.1 requests==2.34.2
npm_install eventsource-parser@3.1.1

cd "$work"
printf ': alive\n\ndata: one\n\n' >comment
printf 'id: 6\ndata: first\n\n: alive\n\ndata: one\n\n' >later
printf 'id: 6\ndata: first\n\n: alive\ndata: one\n\n' >line
printf 'id: 7\n\ndata: one\n\n' >id
cat >parse.mjs <<'EOF'
import { readFileSync } from 'node:fs';
import { createParser } from 'eventsource-parser';

const read = (name) => {
    const found = [];
    createParser({ onEvent: (event) => found.push(event.data) }).feed(readFileSync(name, 'utf8'));
    return found;
};
console.log(JSON.stringify(Object.fromEntries(['comment', 'later', 'line', 'id'].map((name) => [name, read(name)]))));
EOF
node parse.mjs >by_parser
timeout 60 "$python" - <<'EOF'
import http.server
import json
import threading

import httpx
from httpx_sse import connect_sse
from sseclient import SSEClient

NAMES = ("comment", "later", "line", "id")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def guess_type(self, path):
        return "text/event-stream"

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"


def up_to_one(events):
    """Return the data up to the message `one`: sseclient would connect again behind it."""
    found = []
    for event in events:
        found.append(event.data)
        if event.data == "one":
            return found


found = {"sseclient": {name: up_to_one(SSEClient(url + name)) for name in NAMES}, "httpx-sse": {}}
with httpx.Client() as client:
    for name in NAMES:
        with connect_sse(client, "GET", url + name) as source:
            found["httpx-sse"][name] = up_to_one(source.iter_sse())
with open("by_parser") as file:
    found["eventsource-parser"] = json.load(file)
for library, data in found.items():
    print(library, data)
one, with_empty, both, three = ["one"], ["", "one"], ["first", "one"], ["first", "", "one"]
assert found == {
    "sseclient": {"comment": with_empty, "later": three, "line": both, "id": with_empty},
    "httpx-sse": {"comment": one, "later": three, "line": both, "id": with_empty},
    "eventsource-parser": {"comment": one, "later": both, "line": both, "id": one},
}
EOF
