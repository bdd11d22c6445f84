#!/usr/bin/env bash
# 1. PyPI paho-mqtt 2.2.0.
# 2. A client of MQTT 5 may leave its name empty: the server assigns one in CONNACK (3.2.2.3.7). A client that asks for a
#    session of an hour, and connects again by itself, comes back under the name that it has got, to that session.
# 3. It comes back with an empty name each time, without clean start and with the hour, and gets one more name and one
#    more session. Its subscriptions are gone unless on_connect makes them again, and what was published meanwhile is
#    lost, though both sides did what was asked.
# 4. A device on a bad link leaves a session behind each time, which collects messages for an hour for nobody. A server
#    has to bound the sessions of one address or user, not only those of one name; a program has to choose its name.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install paho-mqtt==2.2.0

timeout 60 "$python" - <<'EOF'
import socket

import paho.mqtt.client as mqtt
from mqtt5_server import accept, listen
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

ASSIGNED = b"\x12\0\x04fred"

listener, port = listen()
hour = Properties(PacketTypes.CONNECT)
hour.SessionExpiryInterval = 3600
client = mqtt.Client(CallbackAPIVersion.VERSION2, "", protocol=mqtt.MQTTv5)
client.reconnect_delay_set(0.05, 0.05)
assigned = []
client.on_connect = lambda _client, _data, _flags, _reason, properties: assigned.append(properties.AssignedClientIdentifier)
client.connect("127.0.0.1", port, clean_start=False, properties=hour)
client.loop_start()
names = []
for _ in range(3):
    link, name, coming = accept(listener, ASSIGNED)
    names.append(name)
    link.shutdown(socket.SHUT_WR)
    assert not list(coming)
    link.close()
client.loop_stop()
print("names in three CONNECTs", names, "assigned", assigned)
assert names == [b""] * 3
assert assigned == ["fred"] * 3
EOF
