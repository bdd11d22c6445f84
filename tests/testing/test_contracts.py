"""The contract suites: what is shipped keeps to them."""

from __future__ import annotations

import zlib

from hubbub import Message
from hubbub.dialects.json import Json
from hubbub.dialects.lines import Lines
from hubbub.dialects.raw import Raw
from hubbub.testing import DialectContract, HandlerContract
from hubbub_plugins.chat import Chat
from hubbub_plugins.clock import Clock
from hubbub_plugins.gelf import Gelf
from hubbub_plugins.graphite import Graphite
from hubbub_plugins.influx import Influx
from hubbub_plugins.nmea import Nmea
from hubbub_plugins.route import Route
from hubbub_plugins.statsd import Statsd
from hubbub_plugins.syslog import Syslog
from hubbub_plugins.upper import Upper

PORT = b"$GPGLL,4916.45,N,12311.12,W,225444,A*31\r\n"


class TestLines(DialectContract):
    dialect = Lines
    samples = [
        (b"PUB a/b 21.5\n", ["Publish a/b '21.5'"]),
        (b"SUB a/#\r\n", ["Subscribe a/#"]),
        (b"req a/b what now\n", ["Request a/b 'what now' timeout=2.0"]),
        (b"PING\n", ["Ping"]),
        (b"AUTH ada secret\n", ["Connect user='ada' password=..."]),
        (b"what\n", ["Fault bad-command: no such command; HELP lists them"]),
        (b"UNSUB a/#\n", ["Unsubscribe a/#"]),
    ]


class TestJson(DialectContract):
    dialect = Json
    samples = [
        (b'{"op":"publish","topic":"a","data":21.5}\n', ["Publish a '21.5' content_type='application/json'"]),
        (b'{"op":"subscribe","topic":"a/#","parse":true,"id":1}\n', ["Subscribe a/# options=(False, True) tag=1"]),
        (b'{"op":"request","topic":"a","data":"x","id":"q"}\n', ["Request a 'x'"]),
        (b'{"op":"ping"}\n', ["Ping"]),
    ]


class TestRawLength(DialectContract):
    dialect = Raw
    options = {"length": "u16be"}
    topic = "plant/7"
    transports = ("tcp",)
    samples = [(b"\0\3abc", ["Publish plant/7 'abc'"]), (b"\0\0", ["Publish plant/7 ''"])]
    round_trip = [Message("plant/7", b"21.5"), Message("plant/7", b"")]


class TestRawEnd(DialectContract):
    dialect = Raw
    options = {"end": "crlf"}
    topic = "plant/7"
    transports = ("tcp", "udp")
    samples = [(b"T=21.5\r\n", ["Publish plant/7 'T=21.5'"])]
    round_trip = [Message("plant/7", b"21.5"), Message("plant/7", b"")]


class TestRawUnits(DialectContract):
    dialect = Raw
    topic = "plant/7"
    transports = ("udp",)
    samples = [(b"T=21.5", ["Publish plant/7 'T=21.5'"])]
    round_trip = [Message("plant/7", b"21.5")]


class TestRawWebSocket(TestRawUnits):
    transports = ("websocket",)
    samples = [(b"T=21.5", ["Publish plant/7 'T=21.5' content_type='application/octet-stream'"])]


class TestRawSize(DialectContract):
    dialect = Raw
    options = {"size": 3}
    topic = "plant/7"
    transports = ("tcp", "udp")
    samples = [(b"abc", ["Publish plant/7 'abc'"])]
    round_trip = [Message("plant/7", b"abc")]


class TestSyslog(DialectContract):
    dialect = Syslog
    samples = [(b"<13>Oct 11 22:14:15 box su: hello\n", ["Publish syslog/box/su/notice 'hello'"])]


class TestNmea(DialectContract):
    dialect = Nmea
    samples = [(PORT, ["Publish GP/GLL"])]


class TestStatsd(DialectContract):
    dialect = Statsd
    samples = [(b"api.hits:1|c|@0.1\n", ["Publish statsd/api.hits '1'"])]


class TestGraphite(DialectContract):
    dialect = Graphite
    samples = [(b"web1.load 0.75 1700000000\n", ["Publish graphite/web1.load '0.75'"])]


class TestGraphitePickle(DialectContract):
    dialect = Graphite
    transports = ("tcp",)
    samples = [(b"\0\0\0\x0c]U\x01aK\x01K\x05\x86\x86a.", ["Publish graphite/a '5'"])]


class TestGelf(DialectContract):
    dialect = Gelf
    samples = [
        (b'{"host":"box","short_message":"hello","level":5}\0\n', ["Publish gelf/box/notice"]),
        (b'{"host":"box"}\n', ["Fault bad-payload: a message has a short_message"]),
    ]


class TestGelfDatagrams(DialectContract):
    dialect = Gelf
    options = {"format": "text"}
    transports = ("udp", "websocket")
    samples = [
        (zlib.compress(b'{"host":"box","short_message":"hello"}'), ["Publish gelf/box/- 'hello'"]),
        (b'\x1e\x0fabcdefgh\0\1{"host":"box","short_message":"hi"}', ["Publish gelf/box/- 'hi'"]),
    ]


class TestInflux(DialectContract):
    dialect = Influx
    options = {"format": "text"}
    samples = [
        (b"load,host=web1 short=0.75,procs=7i 1700000000000000000\n", ["Publish influx/load 'load,host=web1"]),
        (b'log text="two\nlines"\n', ["Publish influx/log 'log text=\"two\\nlines\"'"]),
    ]


class TestUpper(HandlerContract):
    handler = Upper


class TestClock(HandlerContract):
    handler = Clock


class TestChat(HandlerContract):
    handler = Chat


class TestRoute(HandlerContract):
    handler = Route
    options = {"from": "plant/+/raw", "to": "dash/{1}", "pick": "/temp", "at-most": "1/s"}
