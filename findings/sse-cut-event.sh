#!/usr/bin/env bash
# 1. PyPI sseclient-py 1.9.0 with requests 2.34.2, httpx-sse 0.4.3 with httpx 0.28.1, npm eventsource 4.1.1.
# 2. A server-sent event ends with an empty line, and what stands behind the last one when a stream ends is dropped (HTML
#    standard, 9.2.6). A client that comes back with Last-Event-ID then gets that event whole.
# 3. sseclient-py gives out what there is, with the id that stands before it: where a stream ends in `id: 7`, `data: 12` of
#    1250, its program gets 12, goes on behind 7, and never sees 1250. The other two drop it, and get 1250. Only where the
#    answer is chunked, requests sees that it was cut, and raises an error before that.
# 4. A reading is wrong, looks like any other, and isn't corrected. A server should send streams chunked, to HTTP/1.1 at
#    least, and a program behind a gateway that ends its answers by closing should use payloads that show their own end.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install sseclient-py==1.9.0 requests==2.34.2 httpx-sse==0.4.3 httpx==0.28.1
npm_install eventsource@4.1.1

cat >"$work/values.mjs" <<'EOF'
import { EventSource } from 'eventsource';

const found = [];
const source = new EventSource(`http://127.0.0.1:${process.argv[2]}/`);
source.onmessage = (event) => {
    found.push(event.data);
    if (event.lastEventId === '8') {
        source.close();
        console.log(found.join(' '));
    }
};
EOF
cd "$work"
timeout 60 "$python" - <<'EOF'
import itertools
import socket
import subprocess
import threading

import httpx
import requests
from httpx_sse import connect_sse
from sseclient import SSEClient

VALUES = {6: "1248", 7: "1250", 8: "1251"}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n%b\r\n"


def event(id):
    return f"id: {id}\ndata: {VALUES[id]}\n\n".encode()


def serve(listener, chunked):
    """The first answer ends inside event 7; the next one goes on behind Last-Event-ID."""
    for connection in itertools.count():
        link, _ = listener.accept()
        request = b""
        while b"\r\n\r\n" not in request:
            request += link.recv(4096)
        last = [int(line[14:]) for line in request.lower().splitlines() if line.startswith(b"last-event-id:")]
        data = b"".join(event(id) for id in VALUES if not last or id > last[0])
        if connection == 0:
            data = event(6) + event(7)[:14]
        framed = b"%x\r\n%b\r\n" % (len(data), data) + b"0\r\n\r\n" * (connection > 0) if chunked else data
        link.sendall(HEAD % (b"Transfer-Encoding: chunked\r\n" if chunked else b"Connection: close\r\n") + framed)
        link.close()


def by_requests(url, last):
    return SSEClient(requests.get(url, stream=True, headers=last)).events()


def by_httpx(url, last):
    with httpx.Client() as client, connect_sse(client, "GET", url, headers=last) as source:
        yield from source.iter_sse()


def received(url, stream):
    """What a program gets that comes back with the id that it has seen last."""
    found, last = [], {}
    for _ in range(2):
        try:
            for one in stream(url, last):
                found.append(one.data)
                last = {"Last-Event-ID": one.id}
        except requests.RequestException as error:
            print(type(error).__name__)
    return found


def begin(chunked=False):
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener, chunked), daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/"


by_node = ["node", "values.mjs", begin().split(":")[2].strip("/")]
found = {
    "sseclient-py": received(begin(), by_requests),
    "sseclient-py, chunked": received(begin(chunked=True), by_requests),
    "httpx-sse": received(begin(), by_httpx),
    "eventsource": subprocess.run(by_node, capture_output=True, text=True).stdout.split(),
}
for name, values in found.items():
    print(name, values)
right = list(VALUES.values())
assert found.pop("sseclient-py") == ["1248", "12", "1251"]
assert all(values == right for values in found.values())
EOF
