"""plugins/stomp against what holds for every dialect."""

from __future__ import annotations

import pytest

from hubbub.testing import DialectContract
from hubbub_plugins.stomp import Stomp

BOTH = b"CONNECT\naccept-version:%b\nheart-beat:1000,1000\n\n\0"


class TestConnect(DialectContract):
    dialect = Stomp
    samples = [
        (b"STOMP\naccept-version:1.2\nhost:h\nlogin:ann\npasscode:a secret\n\n\0", ["Connect"]),
        (b"SEND\ndestination:a\nreceipt:1\n\n21.5\0\n", ["Publish a '21.5'"]),
        (b"DISCONNECT\nreceipt:2\n\n\0", ["Close"]),
    ]


class Contract(DialectContract):
    dialect = Stomp
    samples = [
        (b"SEND\ndestination:/topic/a/b\n\n21.5\0", ["Publish a/b '21.5'"]),
        (b"SEND\ndestination:a\ncontent-length:3\nk:v\n\n\0\n\0\0", ["Publish a"]),
        (b"\n\r\nSEND\r\ndestination:a\r\npersistent:true\r\nreceipt:1\r\n\r\nx\0", ["QosPublish a 'x'"]),
        (b"SUBSCRIBE\ndestination:a/#\nid:0\n\n\0", ["Subscribe a/#"]),
        (b"SUBSCRIBE\ndestination:/topic/a\nid:s 1\nreceipt:2\n\n\0\n", ["Subscribe a"]),
        (b"SUBSCRIBE\ndestination:a\nid:c\nack:client\n\n\0", ["Subscribe a qos=1"]),
        (
            b"SUBSCRIBE\ndestination:/queue/j\nid:q\nack:client-individual\n\n\0",
            ["OpenQueue", "Subscribe $share/queue/queue/j"],
        ),
        (b"SEND\ndestination:/queue/j\n\nx\0", ["OpenQueue $share/queue/queue/j", "QosPublish queue/j 'x'"]),
        (b"ACK\nid:1-1\nmessage-id:1-1\n\n\0NACK\nid:1-1\nmessage-id:1-1\nreceipt:3\n\n\0", ["Answer"]),
        (b"BEGIN\ntransaction:t\n\n\0", []),
        (b"SEND\ndestination:a\ntransaction:t\n\nx\0", []),
        (b"COMMIT\ntransaction:t\nreceipt:4\n\n\0", ["Publish a 'x'", "Answer"]),
        (b"BEGIN\ntransaction:t\n\n\0ABORT\ntransaction:t\n\n\0", []),
        (b"UNSUBSCRIBE\nid:0\n\n\0\n\n", ["Unsubscribe"]),
        (b"DISCONNECT\n\n\0", ["Close"]),
    ]


class TestStomp12(Contract):
    greeting = BOTH % b"1.2"


class TestStomp11(Contract):
    greeting = BOTH % b"1.1"


class TestStomp10(Contract):
    greeting = b"CONNECT\n\n\0"


@pytest.mark.parametrize("every", ["0", "999ms"])
def test_heart_beats_have_a_second_at_least(every):
    from hubbub import ConfigError
    from hubbub.option import configure

    with pytest.raises(ConfigError, match="expected 1s at least"):
        configure(Stomp, {"heart-beat": every})
