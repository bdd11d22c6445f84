#!/usr/bin/env bash
# 1. PyPI paho-mqtt 2.2.0.
# 2. publish() before connect() answers with a code: either the message is kept for the connection, or it is refused.
# 3. It answers MQTT_ERR_NO_CONN in both cases and for good: the QoS 1 message is kept, sent, and acknowledged
#    (on_publish is called with its id), while its is_published() and wait_for_publish() raise "not currently
#    connected". The QoS 0 message with the same code is gone.
# 4. A program that publishes again on the error sends the QoS 1 message twice. A daemon sees such doubles with two
#    packet ids, not with DUP: only an id inside the message can join them.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install paho-mqtt==2.2.0

timeout 60 "$python" - <<'EOF'
import socket
import threading

from paho.mqtt.client import MQTT_ERR_NO_CONN, CallbackAPIVersion, Client

received = b""


def broker(listener):
    """Accept CONNECT, and acknowledge the one QoS 1 PUBLISH that comes."""
    global received
    connection, _ = listener.accept()
    connection.recv(4096)
    connection.sendall(b"\x20\x02\x00\x00")
    received = connection.recv(4096)
    connection.sendall(b"\x40\x02\x00\x02")
    connection.recv(4096)
    connection.close()


published = threading.Event()
client = Client(CallbackAPIVersion.VERSION2, client_id="early")
client.on_publish = lambda client, data, packet_id, reason, properties: published.set()
gone = client.publish("t", "gone", qos=0)
kept = client.publish("t", "kept", qos=1)
assert (gone.rc, kept.rc, kept.mid) == (MQTT_ERR_NO_CONN, MQTT_ERR_NO_CONN, 2)

listener = socket.create_server(("127.0.0.1", 0))
thread = threading.Thread(target=broker, args=[listener], daemon=True)
thread.start()
client.connect("127.0.0.1", listener.getsockname()[1])
client.loop_start()
assert published.wait(20), "the QoS 1 message was not acknowledged"
try:
    kept.is_published()
except RuntimeError as error:
    print(received, "was acknowledged;", error)
else:
    raise AssertionError("is_published() answered")
finally:
    client.disconnect()
    client.loop_stop()
assert b"kept" in received and b"gone" not in received
EOF
