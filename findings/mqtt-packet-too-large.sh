#!/usr/bin/env bash
# 1. PyPI paho-mqtt 2.2.0, npm mqtt 5.16.0 (MQTT.js).
# 2. A server of MQTT 5 says in CONNACK how long a packet may be. A client must not send a longer one (3.2.2.3.6); at
#    the latest when DISCONNECT says 0x95, "packet too large", it drops the message and tells its publisher.
# 3. Both send it all the same, and again, first of all, on each connection that follows: each is cut for it. What was
#    published behind it with QoS 1 waits for ever. That the link ends with 0x95 is reported, which message it was isn't.
# 4. One message too long shuts a device out until its program starts anew, with a login and the whole message each
#    time. A server can't help it by its answer; its operator raises the limit, or finds the message by its publisher.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install paho-mqtt==2.2.0
npm_install mqtt@5.16.0

cat >"$work/long.js" <<'EOF'
const client = require('mqtt').connect(`mqtt://127.0.0.1:${process.argv[2]}`, { protocolVersion: 5, reconnectPeriod: 50 });
client.publish('t', 'x'.repeat(500), { qos: 1 });
client.publish('t', 'short', { qos: 1 });
EOF
cd "$work"
timeout 60 "$python" - <<'EOF'
import socket
import subprocess

import paho.mqtt.client as mqtt
from mqtt5_server import PUBLISH, accept, listen, packet
from paho.mqtt.enums import CallbackAPIVersion

AT_MOST_100 = bytes((0x27, 0, 0, 0, 100))
TOO_LARGE = packet(0xE0, b"\x95\0")


def paho(port):
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "c", protocol=mqtt.MQTTv5)
    client.reconnect_delay_set(0.05, 0.05)
    client.connect("127.0.0.1", port)
    client.publish("t", b"x" * 500, 1)
    client.publish("t", b"short", 1)
    client.loop_start()
    return client.loop_stop


def mqtt_js(port):
    return subprocess.Popen(["node", "long.js", str(port)]).kill


def firsts(client, connections):
    """Return the length of the first message on each connection."""
    listener, port = listen()
    stop = client(port)
    lengths = []
    for _ in range(connections):
        link, _, coming = accept(listener, AT_MOST_100)
        lengths.append(next(len(body) for head, body in coming if head >> 4 == PUBLISH))
        link.sendall(TOO_LARGE)
        link.shutdown(socket.SHUT_WR)
        assert all(head >> 4 for head, _ in coming)  # until the client closes
        link.close()
    listener.close()
    stop()
    return lengths


for client in (paho, mqtt_js):
    lengths = firsts(client, 5)
    print(f"{client.__name__}: the first message on each of five connections has {lengths} bytes")
    assert min(lengths) > 500
EOF
