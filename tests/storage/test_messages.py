"""What a message carries outlives the process, in a queue and as a retained message."""

from __future__ import annotations

import pytest

from mqtt_client import V5, kept, subscription
from storage.test_faults import Process

PROPERTIES = {
    "payload_format_indicator": 1,
    "content_type": "text/plain",
    "response_topic": "back",
    "correlation_data": b"\0\xff",
    "user_property": [("k", "1"), ("k", "2")],
}


@pytest.mark.parametrize("properties", [PROPERTIES, {"payload_format_indicator": 0}, {}])
def test_each_property(tmp_path, properties):
    process = Process(tmp_path / "state", "process", None)
    process.away("away", "a")
    process.client("w").publish("a", b"1", qos=1, id=1, retain=True, properties=properties)
    process.settle()
    process.store.stop()
    later = Process(tmp_path / "state", "process", None)
    (queued,) = later.client("away", **kept(V5)).first
    _, retained = later.client("new").subscribe(subscription("a"))
    assert queued.properties == retained.properties == properties
    later.store.stop()
