#!/usr/bin/env bash
# 1. PyPI paho-mqtt 2.2.0 and gmqtt 0.8.0, npm mqtt 5.16.0 (MQTT.js).
# 2. In MQTT 5 a server's CONNACK tells a client what it may do: at most so many messages at once (receive maximum),
#    no QoS above a maximum, no retained messages, and how often it has to ping (server keep alive). A client of
#    version 5 that reads CONNACK obeys all four, as it must (3.2.2.3, 4.9), or refuses to publish.
# 3. All three obey the keep alive. None obeys the rest: ten retained messages of QoS 2 go out at once to a server that
#    takes five, of QoS 1 at most, and none retained. Only gmqtt heeds the receive maximum, in a way of its own: it does
#    not wait, its publish() raises OverflowError, one message early.
# 4. A server can't count on what it has announced. If it cuts who exceeds it, as the specification suggests, it cuts the
#    usual clients in a burst: what is in flight has to survive that, and the excess that is taken needs a bound.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install paho-mqtt==2.2.0 gmqtt==0.8.0
npm_install mqtt@5.16.0

cat >"$work/burst.js" <<'EOF'
const client = require('mqtt').connect(`mqtt://127.0.0.1:${process.argv[2]}`, { protocolVersion: 5 });
client.on('connect', () => {
    for (let number = 0; number < 10; number++) client.publish('t', String(number), { qos: 2, retain: true });
});
EOF
cd "$work"
timeout 60 "$python" - <<'EOF'
import asyncio
import subprocess
import threading

import gmqtt
import paho.mqtt.client as mqtt
from mqtt5_server import PINGREQ, PUBLISH, accept, listen
from paho.mqtt.enums import CallbackAPIVersion

LIMITS = bytes((0x21, 0, 5, 0x24, 1, 0x25, 0, 0x13, 0, 1))  # receive maximum, maximum QoS, retain available, keep alive
RETAINED_AT_2 = PUBLISH << 4 | 2 << 1 | 1
errors = []


def paho(port):
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "c", protocol=mqtt.MQTTv5)
    client.on_connect = lambda *_: [client.publish("t", str(number), 2, True) for number in range(10)]
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client.loop_stop


def gmqtt_(port):
    async def run():
        client = gmqtt.Client("c")
        await client.connect("127.0.0.1", port)
        try:
            for number in range(10):
                client.publish("t", str(number), 2, True)
        except OverflowError as error:
            errors.append(str(error))
        await asyncio.sleep(60)

    threading.Thread(target=asyncio.run, args=(run(),), daemon=True).start()
    return lambda: None


def mqtt_js(port):
    return subprocess.Popen(["node", "burst.js", str(port)]).kill


def sent_before_a_ping(client):
    """Return the messages that come before the ping that the server's keep alive of 1 s asks for."""
    listener, port = listen()
    stop = client(port)
    link, _, coming = accept(listener, LIMITS)
    heads = []
    for head, _ in coming:
        if head >> 4 == PINGREQ:
            break
        heads.append(head)
    link.close()
    listener.close()
    stop()
    return heads


for client, count in ((mqtt_js, 10), (paho, 10), (gmqtt_, 4)):
    heads = sent_before_a_ping(client)
    print(f"{client.__name__}: {len(heads)} messages, first bytes {set(map(hex, heads))}, then a ping")
    assert heads == [RETAINED_AT_2] * count
print("gmqtt:", *errors)
assert len(errors) == 1
EOF
