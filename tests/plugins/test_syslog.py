"""plugins/syslog: the examples of the RFCs, what is published of them, and the real `logger`."""

from __future__ import annotations

import json
import logging
import re
import socket
import subprocess

import pytest

from hubbub import DialectContext, Fault, Publish, Template
from hubbub.kernel.sessions.session import Session
from hubbub.option import configure
from hubbub_plugins.syslog import Syslog
from running import Daemon, LineClient

PEER = Session("192.0.2.9", 514, "udp", "logs")
MAX = 2000


def syslog(transport="udp", max_message=MAX, topic=None, **options):
    return configure(Syslog, options)(DialectContext(transport, max_message, topic and Template(topic)), PEER)


def read(frame, **more):
    (event,) = syslog(**more).receive(frame, 0)
    assert isinstance(event, Publish), event
    return event


def payloads(events):
    return [event.payload if isinstance(event, Publish) else type(event) for event in events]


# RFC 5424 section 6.5 and RFC 3164 section 5.4, then what is seen in the wild
SU = "'su root' failed for lonvick on /dev/pts/8"
EVENT = '[exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"]'
HOST = "mymachine.example.com"
EXAMPLES = [
    (f"<34>1 2003-10-11T22:14:15.003Z {HOST} su - ID47 - \ufeff{SU}", f"{HOST}/su/crit", SU),
    ("<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% Time", "192.0.2.1/myproc/notice", "%% Time"),
    (f"<165>1 2003-10-11T22:14:15.003Z {HOST} evntslog - ID47 {EVENT} \ufeffAn", f"{HOST}/evntslog/notice", "An"),
    (f'<165>1 2003-10-11T22:14:15.003Z {HOST} evntslog - ID47 {EVENT}[x@1 c="high"]', f"{HOST}/evntslog/notice", ""),
    ("<13>1 - - - - - -", "192.0.2.9/-/notice", ""),
    (f"<34>Oct 11 22:14:15 mymachine su: {SU}", "mymachine/su/crit", SU),
    ("Use the BFG!", "192.0.2.9/-/notice", "Use the BFG!"),
    ("<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!", "10.0.0.99/-/notice", "Use the BFG!"),
    ("<165>Aug 24 05:34:00 CST 1987 mymachine myproc[10]: %%", "mymachine/myproc/notice", "%%"),
    ("<0>1990 Oct 22 10:52:01 TZ-6 sc.example.org 10.1.2.3 s[0]: Hi", "sc.example.org/-/emerg", "10.1.2.3 s[0]: Hi"),
    ("<30>Oct 11 22:14:15 web postfix/smtpd[12]: ok", "web/postfix%2Fsmtpd/info", "ok"),
    ("<30>2026-11-22T10:43:24.348837+00:00 web cron[12]: ok", "web/cron/info", "ok"),
    ("<30>Oct 11 22:14:15 cron[12]: no host", "192.0.2.9/cron/info", "no host"),
    ("<30>Oct 11 22:14:15 cron: no host", "192.0.2.9/cron/info", "no host"),
    ("<30>Oct 11 22:14:15 fe80::1 cron: six", "fe80::1/cron/info", "six"),
    ("<14>http://example.org/ is down", "192.0.2.9/-/info", "http://example.org/ is down"),
    ("<191>last", "192.0.2.9/-/debug", "last"),
    ("<192>no PRI", "192.0.2.9/-/notice", "<192>no PRI"),
    ("<00>no PRI", "192.0.2.9/-/notice", "<00>no PRI"),
    ("<13", "192.0.2.9/-/notice", "<13"),
    ("<13>", "192.0.2.9/-/notice", ""),
    ("<13>2 - - - - - - x", "192.0.2.9/-/notice", "2 - - - - - - x"),
    ("<13>1 - - - - - [a b=c] x", "192.0.2.9/-/notice", "1 - - - - - [a b=c] x"),
    ('<13>1 - - - - - [a b="c"]x', "192.0.2.9/-/notice", '1 - - - - - [a b="c"]x'),
    ("<13>1 yesterday - - - - - x", "192.0.2.9/-/notice", "1 yesterday - - - - - x"),
    (f"<13>1 - {'h' * 256} - - - - x", "192.0.2.9/-/notice", f"1 - {'h' * 256} - - - - x"),
    ("<13>1 - $+#/% - - - - x", "%24%2B%23%2F%25/-/notice", "x"),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "topic", "text"), EXAMPLES)
def test_examples(frame, topic, text):
    event = read(frame.encode())
    assert (event.topic, event.payload.decode()) == (f"syslog/{topic}", text)
    assert event.content_type == "text/plain; charset=utf-8"
    raw = read(frame.encode(), format="raw")
    assert (raw.topic, raw.payload, raw.content_type) == (f"syslog/{topic}", frame.encode(), None)


def test_header_and_structured_data_are_properties():
    sent = r'<165>1 2003-10-11T22:14:15.003Z h app 8710 ID47 [o@1 ip="a" ip="b" q="\"\]\\\n"][empty] x'
    assert read(sent.encode()).properties == {
        "facility": "local4", "severity": "notice", "timestamp": "2003-10-11T22:14:15.003Z", "hostname": "h",
        "app": "app", "procid": "8710", "msgid": "ID47", "o@1.ip": "a,b", "o@1.q": r'"]\\n', "empty": "",
    }  # fmt: skip
    assert read(b"x").properties == {"facility": "user", "severity": "notice", "hostname": "192.0.2.9"}


def test_json():
    event = read(b'<13>1 - h - - - [o@1 ip="a" ip="b"] caf\xc3\xa9', format="json")
    assert event.content_type == "application/json"
    assert json.loads(event.payload) == {
        "facility": "user", "severity": "notice", "hostname": "h",
        "structured_data": {"o@1": {"ip": ["a", "b"]}}, "message": "café",
    }  # fmt: skip
    assert json.loads(read(b"\xff", format="json").payload)["base64"] == "/w=="


@pytest.mark.parametrize(
    ("frame", "text", "kind"),
    [
        (b"<14>caf\xe9", b"caf\xe9", None),  # Latin-1: as it came, and nobody is told that it is UTF-8
        (b"<14>a\0b\0", b"a\0b", "text/plain; charset=utf-8"),  # Python's SysLogHandler ends with NUL
        (b"<14>line\r\n", b"line", "text/plain; charset=utf-8"),
        (b"<13>1 - - - - - - \xef\xbb\xbf\xff", b"\xff", None),
        (b"<14>\xef\xbb\xbfx", b"\xef\xbb\xbfx", "text/plain; charset=utf-8"),  # a BOM of RFC 5424 alone
        (b'<13>1 - - - - - [a b="\xff"] x', b'1 - - - - - [a b="\xff"] x', None),
    ],
)
def test_odd_bytes(frame, text, kind):
    event = read(frame)
    assert (event.payload, event.content_type) == (text, kind)


def test_every_priority():
    words = {(event.properties["facility"], event.properties["severity"]) for event in map(read, PRIORITIES)}
    assert len(words) == 192
    assert ("kern", "emerg") in words
    assert ("local7", "debug") in words


PRIORITIES = [b"<%d>x" % number for number in range(192)]


def test_topic_of_the_listener():
    sent = b"<34>1 - h su 7 ID47 - x"
    assert read(sent, topic="log/{facility}/{procid}/{msgid}/{id}").topic == "log/auth/7/ID47/logs"


def test_so_many_properties():
    params = "".join(f' p{number}="{number}"' for number in range(100))
    event = read(f"<13>1 - - app - - [a@1{params}] x".encode(), format="json")
    assert len(event.properties) == 64
    assert event.properties["app"] == "app"
    assert len(json.loads(event.payload)["structured_data"]["a@1"]) == 100


def test_structured_data_has_a_bound():
    params = ' p="1"' * 12_000
    assert read(f"<13>1 - - - - - [a@1{params}] x".encode(), max_message=1 << 20).payload.startswith(b"1 - - -")


@pytest.mark.parametrize("transport", ["udp", "websocket"])
def test_a_unit_is_one_message(transport):
    assert payloads(syslog(transport).receive(b"<13>a\n<13>b", 0)) == [b"a\n<13>b"]
    assert payloads(syslog(transport).receive(b"9 <13>a", 0)) == [b"9 <13>a"]
    assert payloads(syslog(transport).receive(b"", 0)) == [Fault]
    whole = EXAMPLES[2][0].encode()
    for cut in range(1, len(whole)):
        assert isinstance(read(whole[:cut]), Publish)
    dialect = syslog(transport)
    assert payloads(dialect.receive(whole, 0) + dialect.receive(whole, 0)) == [b"An", b"An"]


# The real thing


@pytest.fixture(scope="module")
def daemon():
    spec = "dialect=syslog"
    with Daemon(
        "--udp", f"udp:0:{spec}", "--tcp", f"tcp:0:{spec}:id=log", "--tcp", "tcp:0",
        "--udp", f"udp:0:{spec}:id=json:format=json:topic=json/{{app}}",
        "--udp", f"udp:0:{spec}:id=raw:format=raw:topic=raw",
    ) as running:  # fmt: skip
        yield running


@pytest.fixture
def watch(daemon):
    with LineClient(daemon.tcp[-1]) as client:
        assert client.ask("SUB #") == "OK SUB #"
        yield client


@pytest.mark.parametrize("style", ["--rfc5424", "--rfc3164", "--octet-count", "--rfc3164 --octet-count"])
@pytest.mark.parametrize("flag", ["-d", "-T"])
def test_logger(daemon, watch, need, flag, style):
    if flag == "-d":
        style = style.replace("--octet-count", "--id=7")  # a datagram is no stream
    host, port = (daemon.udp if flag == "-d" else daemon.tcp)[0]
    command = [need("logger"), flag, "-n", host, "-P", str(port), "-t", "till", "-p", "local3.crit", *style.split()]
    subprocess.run([*command, "out of paper"], check=True, timeout=30)
    assert re.fullmatch(r"MSG syslog/[^/]+/till/crit out of paper", watch.line())


def test_logger_sends_many_lines_over_one_connection(daemon, watch, need):
    host, port = daemon.tcp[0]
    text = "".join(f"line {number}\n" for number in range(500))
    command = [need("logger"), "-T", "-n", host, "-P", str(port), "-t", "many"]
    subprocess.run(command, input=text, text=True, check=True, timeout=20)
    for number in range(500):
        assert watch.line().endswith(f"/many/notice line {number}")


def test_logger_as_json_and_raw(daemon, watch, need):
    command = [
        need("logger"),
        "-d",
        "-n",
        "127.0.0.1",
        "-t",
        "till",
        "--sd-id",
        "zoo@123",
        "--sd-param",
        'tiger="hungry"',
    ]
    subprocess.run([*command, "-P", str(daemon.udp[1][1]), "hello"], check=True, timeout=30)
    topic, _, payload = watch.line().removeprefix("MSG ").partition(" ")
    found = json.loads(payload)
    assert topic == "json/till"
    assert (found["message"], found["structured_data"]["zoo@123"]) == ("hello", {"tiger": ["hungry"]})
    subprocess.run([*command, "-P", str(daemon.udp[2][1]), "hello"], check=True, timeout=30)
    assert re.fullmatch(r'MSG raw <13>1 .* till - - .*\[zoo@123 tiger="hungry"\] hello', watch.line())


def test_python_s_own_handler(daemon, watch):
    from logging.handlers import SysLogHandler

    log = logging.getLogger("hubbub.test.syslog")
    handler = SysLogHandler(daemon.udp[0])
    handler.ident = "shop: "
    log.addHandler(handler)
    try:
        log.error("café closed")
    finally:
        log.removeHandler(handler)
        handler.close()
    assert watch.line() == "MSG syslog/127.0.0.1/shop/err café closed"


def test_properties_arrive_and_bad_datagrams_end_nothing(daemon):
    with LineClient(daemon.tcp[-1]) as page, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        page.ask('{"op":"subscribe","topic":"syslog/h/#","meta":true}')
        sender.connect(daemon.udp[0])
        sender.send(b"")
        sender.send(b"\xff" * 65_507)
        sender.send(b'<13>1 - h app 7 - [o@1 ip="a"] x')
        found = json.loads(page.line())
    assert found["data"] == "x"
    assert found["properties"]["o@1.ip"] == "a"
    assert found["properties"]["procid"] == "7"
