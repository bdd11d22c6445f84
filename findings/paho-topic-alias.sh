#!/usr/bin/env bash
# 1. PyPI paho-mqtt 2.2.0 and gmqtt 0.8.0, npm mqtt 5.16.0 (MQTT.js).
# 2. A client of MQTT 5 that announces a topic alias maximum lets the server write a number in place of a topic that it
#    has written once. A library that has the option puts the topic back before it hands a message on.
# 3. paho-mqtt announces it and does not: from the second message on a topic is the empty string, and the program has to
#    keep a table of its own by `message.properties.TopicAlias`. Callbacks by filter (message_callback_add) are not
#    called at all. MQTT.js and gmqtt put the topic back.
# 4. A setting that saves bytes makes messages lose their names, at one broker and not at the next, as brokers differ in
#    whether and when they use aliases. A client that shows messages without a topic has asked for aliases.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install paho-mqtt==2.2.0 gmqtt==0.8.0
npm_install mqtt@5.16.0

cat >"$work/aliases.js" <<'EOF_JS'
const options = { protocolVersion: 5, properties: { topicAliasMaximum: 10 } };
const client = require('mqtt').connect(`mqtt://127.0.0.1:${process.argv[2]}`, options);
client.on('message', (topic) => console.log(topic));
EOF_JS
cd "$work"
timeout 60 "$python" - <<'EOF'
import asyncio
import queue
import subprocess
import threading

import gmqtt
import paho.mqtt.client as mqtt
from mqtt5_server import accept, listen, packet
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

TOPIC = b"plant/press1/temperature"
ALIAS = bytes((3, 0x23, 0, 1))  # the length of the properties, topic alias, 1
topics = queue.Queue()
nodes = []


def begin(client, port):
    wishes = Properties(PacketTypes.CONNECT)
    wishes.TopicAliasMaximum = 10
    client.connect("127.0.0.1", port, properties=wishes)
    client.loop_start()


def paho(port):
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "c", protocol=mqtt.MQTTv5)
    client.on_message = lambda _client, _data, message: topics.put(message.topic)
    begin(client, port)


def paho_by_filter(port):
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "c", protocol=mqtt.MQTTv5)
    client.message_callback_add("plant/#", lambda *_: topics.put("by filter"))
    client.on_message = lambda *_: topics.put("by none")
    begin(client, port)


def gmqtt_(port):
    async def run():
        client = gmqtt.Client("c", topic_alias_maximum=10)
        client.on_message = lambda _client, topic, *_: topics.put(topic)
        await client.connect("127.0.0.1", port)
        await asyncio.sleep(60)

    threading.Thread(target=asyncio.run, args=(run(),), daemon=True).start()


def mqtt_js(port):
    node = subprocess.Popen(["node", "aliases.js", str(port)], stdout=subprocess.PIPE, text=True)
    threading.Thread(target=lambda: [topics.put(line.rstrip("\n")) for line in node.stdout], daemon=True).start()
    nodes.append(node)


found = {}
for client in (paho, paho_by_filter, gmqtt_, mqtt_js):
    listener, port = listen()
    client(port)
    link, _, _ = accept(listener)
    for name in (TOPIC, b"", b""):
        link.sendall(packet(0x30, bytes((0, len(name))) + name + ALIAS + b"21.5"))
    found[client.__name__] = [topics.get(timeout=20) for _ in range(3)]
    print(client.__name__, found[client.__name__])
for node in nodes:
    node.kill()
right = TOPIC.decode()
assert found == {
    "paho": [right, "", ""],
    "paho_by_filter": ["by filter", "by none", "by none"],
    "gmqtt_": [right] * 3,
    "mqtt_js": [right] * 3,
}
EOF
