#!/usr/bin/env bash
# 1. PyPI paho-mqtt 2.2.0.
# 2. A client with a session that has had PUBREC for a message of QoS 2 goes on with PUBREL after it connects again (MQTT
#    3.1.1, section 4.3.3, MQTT-4.4.0-1): the broker may have forgotten the packet identifier already.
# 3. After one failed try to connect it does not: the second try takes the message for one that was never sent, and
#    publishes it again, without DUP.
# 4. A broker that restarts gets messages of QoS 2 twice from such clients, however well it keeps its state. A test of
#    "exactly once" with this client fails for a reason that isn't the broker's.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install paho-mqtt==2.2.0

timeout 60 "$python" - <<'EOF'
import socket
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

PUBLISH, PUBREL = 3, 6


def packets(link):
    """Yield (kind, body) of the packets that come; they are short."""
    stream = link.makefile("rb")
    while head := stream.read(2):
        yield head[0] >> 4, stream.read(head[1])


def accept(listener, session):
    link, _ = listener.accept()
    coming = packets(link)
    next(coming)
    link.sendall(bytes((0x20, 2, session, 0)))
    return link, coming


def sent_after(failed_tries):
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    failures, enough = [], threading.Event()

    def failed(client, data):
        failures.append(1)
        if len(failures) >= failed_tries:
            enough.set()

    client = mqtt.Client(CallbackAPIVersion.VERSION2, "c", clean_session=False)
    client.on_connect_fail = failed
    client.reconnect_delay_set(0.05, 0.05)
    client.connect_async(*address)
    client.loop_start()
    link, coming = accept(listener, 0)
    client.publish("t", b"once", qos=2)
    kind, body = next(coming)
    link.sendall(bytes((0x50, 2)) + body[3:5])  # PUBREC, with the identifier behind the topic
    assert next(coming)[0] == PUBREL
    if failed_tries:
        listener.close()
        link.shutdown(socket.SHUT_RDWR)
        assert enough.wait(20)
        listener = socket.create_server(address)
    else:
        link.shutdown(socket.SHUT_RDWR)
    link, coming = accept(listener, 1)
    kind, _ = next(coming)
    client.disconnect()
    client.loop_stop()
    return kind


at_once, later = sent_after(0), sent_after(2)
print("sent first after a lost link:", {PUBREL: "PUBREL", PUBLISH: "PUBLISH"}[at_once])
print("and after two failed tries:  ", {PUBREL: "PUBREL", PUBLISH: "PUBLISH"}[later])
assert (at_once, later) == (PUBREL, PUBLISH)
EOF
