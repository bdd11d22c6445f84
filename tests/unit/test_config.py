"""Endpoint strings, and listeners and handlers from option strings and TOML tables."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import _parse as twisted_parse

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.service.config.endpoint import join, split
from hubbub.service.config.settings import Settings, parse_handler, parse_listener
from hubbub.template import Template

TEXT = st.text(max_size=20)
PARTS = st.lists(st.tuples(st.none() | TEXT, TEXT), min_size=1, max_size=6)


def listen(raw, transport="tcp"):
    return parse_listener(transport, raw, f"--{transport}")


@given(PARTS)
def test_what_is_joined_is_split_again(parts):
    assert split(join(parts)) == parts


@given(st.text(alphabet="ab:=\\", max_size=15))
def test_strings_are_split_as_twisted_splits_them(text):
    try:
        args, keywords = twisted_parse(text)
    except RuntimeError:
        with pytest.raises(ConfigError, match="escapes nothing"):
            split(text)
        return
    parts = split(text)
    assert [value for key, value in parts if key is None] == args
    assert {key: value for key, value in parts if key is not None} == keywords


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", [(None, "")]),
        ("tcp:7000", [(None, "tcp"), (None, "7000")]),
        (r"interface=\:\:1", [("interface", "::1")]),
        ("topic=a=b", [("topic", "a=b")]),
        (r"unix:/a\=b", [(None, "unix"), (None, "/a=b")]),
        ("a:", [(None, "a"), (None, "")]),
    ],
)
def test_split(text, parts):
    assert split(text) == parts


@pytest.mark.parametrize(
    ("transport", "spec", "endpoint", "ident"),
    [
        ("tcp", "tcp:7000", "tcp:7000:interface=127.0.0.1", "tcp-7000"),
        ("tcp", "tcp:7000:interface=0.0.0.0", "tcp:7000:interface=0.0.0.0", "tcp-7000"),
        ("tcp", r"tcp:0:interface=\:\:1:backlog=9", r"tcp:0:interface=\:\:1:backlog=9", "tcp-0"),
        ("tcp", "tcp6:7000", r"tcp6:7000:interface=\:\:1", "tcp6-7000"),
        ("tcp", "tls:/etc/certs:8883", "tls:/etc/certs:8883:interface=127.0.0.1", "tls-8883"),
        ("tcp", "tls:/etc/certs", "tls:/etc/certs:443:interface=127.0.0.1", "tls-443"),
        ("tcp", "ssl:1:privateKey=/k", "ssl:1:privateKey=/k:interface=127.0.0.1", "ssl-1"),
        ("tcp", "unix:/run/hub.sock:mode=660", "unix:/run/hub.sock:mode=660", "unix-hub.sock"),
        ("tcp", r"unix:/run/a\:b:id=x", r"unix:/run/a\:b:mode=660", "x"),
        ("tcp", "haproxy:tcp:8080", "tcp:8080:interface=127.0.0.1", "tcp-8080"),
        ("websocket", "tcp:8999", "tcp:8999:interface=127.0.0.1", "websocket-8999"),
        ("websocket", "systemd:domain=INET:index=0", "systemd:domain=INET:index=0", "websocket-0"),
        ("tcp", "systemd:domain=INET:name=web", "systemd:domain=INET:name=web", "tcp-web"),
        ("udp", "udp:6999", "udp:6999:interface=127.0.0.1", "udp-6999"),
        ("udp", "udp6:6999", r"udp6:6999:interface=\:\:1", "udp6-6999"),
        ("udp", "systemd:domain=INET:name=web", "systemd:domain=INET:name=web", "udp-web"),
    ],
)
def test_the_endpoint_and_the_id(transport, spec, endpoint, ident):
    listener = listen(spec, transport)
    assert (listener.endpoint, listener.id, listener.transport) == (endpoint, ident, transport)


def test_defaults_are_those_of_the_design():
    listener = listen("tcp:7000")
    assert (listener.dialect, listener.auto, listener.retain, listener.full) == ("auto", (), False, None)
    assert (listener.max_message, listener.queue) == (limits.MESSAGE_BYTES, limits.QUEUE_BYTES)
    assert (listener.stall, listener.idle) == (30.0, 300.0)
    assert (listener.address.host, listener.address.port) == ("127.0.0.1", 7000)
    assert (listener.anonymous, listener.user, listener.peers) == (None, None, ())


def test_every_key_of_a_stream():
    listener = listen(
        "tcp:7000:id=plc:dialect=raw:end=crlf:topic=plant/{id}:prefix=site:subscribe=down/{id}/#:retain=yes"
        ":content-type=text/plain:max-message=64KiB:queue=1MiB:full=latest:stall=5s:idle=1min:as=plc7"
    )
    assert (listener.id, listener.dialect, listener.dialect_options) == ("plc", "raw", {"end": "crlf"})
    assert (listener.topic, listener.prefix) == (Template("plant/{id}"), Template("site"))
    assert listener.subscribe == Template("down/{id}/#", "filter")
    assert (listener.retain, listener.content_type, listener.full) == (True, "text/plain", "latest")
    assert (listener.max_message, listener.queue) == (65_536, 1_048_576)
    assert (listener.stall, listener.idle, listener.user) == (5.0, 60.0, "plc7")
    assert listener.endpoint == "tcp:7000:interface=127.0.0.1"


def test_every_key_of_udp():
    listener = listen(r"udp:1:rcvbuf=1MiB:reuse=yes:peers=10.0.0.0/8,fe80\:\:/10:group=239.1.2.3", "udp")
    assert (listener.rcvbuf, listener.reuse, listener.group) == (1 << 20, True, ip_address("239.1.2.3"))
    assert listener.peers == (ip_network("10.0.0.0/8"), ip_network("fe80::/10"))


def test_a_table_says_the_same_as_a_string():
    table = {"endpoint": "tcp:7000", "id": "plc7", "dialect": "raw", "size": 16, "retain": True, "stall": 5}
    assert listen(table) == listen(
        {"endpoint": "tcp:7000", "id": "plc7", "dialect": "raw", "size": 16, "retain": "yes", "stall": "5s"}
    )
    assert listen(table).dialect_options == {"size": 16}
    assert listen({"endpoint": "tcp:7000", "auto": ["nmea", "x"]}).auto == ("nmea", "x")
    assert listen({"endpoint": "tcp:7000", "interface": "::1"}).endpoint == r"tcp:7000:interface=\:\:1"
    assert listen({"endpoint": "tcp:7000", "max_message": 7}).max_message == 7


def test_a_hello_is_bytes():
    assert listen({"endpoint": "tcp:7000", "dialect": "raw", "hello": "%00é:\r\n"}).hello == b"\0\xc3\xa9:\r\n"
    assert listen(r"tcp:7000:dialect=raw:hello=a\:b%3Ac=d").hello == b"a:b:c=d"
    assert listen("tcp:7000").hello == b""
    with pytest.raises(ConfigError, match="expected at most 4096 bytes"):
        listen(f"tcp:7000:dialect=raw:hello={'%00' * 4097}")


BAD = [
    ("tcp", "tcp:1:answer=2s", "answer= is for a device that gets commands: name their filter with subscribe="),
    ("tcp", "tcp:1:answer=0", "answer=0: expected more than 0"),
    ("tcp", "tcp:1:silent=30s", "silent= needs presence=TOPIC"),
    ("udp", "udp:1:presence=on/{host}", "presence= needs silent= over UDP"),
    ("tcp", "tcp:1:presence=on/{imei}", "'on/{imei}' has the unknown field {imei}; there are {client} {host} {id}"),
    ("tcp", "tcp:1:presence=on/#", "'on/#' is no topic"),
    ("tcp", "tcp:1:rate=fast", "rate=fast: expected a rate, such as 10/s or 10/min"),
    ("tcp", "tcp:1:rate=0/s", "rate=0/s: expected more than 0"),
    ("tcp", "tcp:1:over=drop", "add rate=10/s or the like"),
    ("tcp", "tcp:1:rate=1/s:over=wait", "over=wait: expected one of drop, latest, pause, close"),
    ("tcp", "tcp:1:changed=1", "changed=1: expected yes or no"),
    ("tcp", "tcp:1:dialect=raw:hello=", "hello=: expected some text, in which %XX is any byte"),
    ("tcp", "tcp:1:dialect=raw:hello=100%", "hello=100%: expected some text, in which %XX is any byte"),
    ("tcp", "tcp:1:dialect=raw:hello=%0g", "%25 is %"),
    ("tcp", "tcp:1:hello=x", "hello= is for a connection whose dialect= is named"),
    ("tcp", "tcp:1:dialect=auto:hello=x", "hello= is for a connection whose dialect= is named"),
    ("udp", "udp:1:dialect=raw:hello=x", "hello= is for a connection whose dialect= is named"),
    ("tcp", "", "unknown endpoint kind ''"),
    ("tcp", "7000", "for example tcp:7000"),
    ("tcp", "fd:3", "unknown endpoint kind 'fd', there are tcp tcp6 ssl tls unix systemd"),
    ("tcp", "stdio:", "unknown endpoint kind 'stdio'"),
    ("tcp", "udp:1", "unknown endpoint kind 'udp'"),
    ("tcp", "haproxy", "unknown endpoint kind ''"),
    ("tcp", "haproxy:haproxy:tcp:1", "unknown endpoint kind 'haproxy'"),
    ("udp", "tcp:1", "there are udp udp6 systemd"),
    ("udp", "haproxy:udp:1", "unknown endpoint kind 'haproxy'"),
    ("tcp", "tcp", "needs its port, as in tcp:7000"),
    ("tcp", "tls", "needs its path"),
    ("tcp", "unix:", "address=: expected some text"),
    ("tcp", "tcp:http", "port=http: expected a port from 0 to 65535"),
    ("tcp", "tcp:65536", "port=65536: expected a port"),
    ("tcp", "tcp:-1", "port=-1: expected a port"),
    ("tcp", "tcp:٣", "expected a port"),
    ("tcp", "tcp:1:retain", "'retain' is no key=value"),
    ("tcp", "tcp:1:interface=::1", "'' is no key=value, and a colon inside a value is written \\:"),
    ("tcp", "tcp:1:interface=localhost", "interface=localhost: expected an IP address"),
    ("tcp", "tcp:1:interface=", "expected an IP address"),
    ("tcp", "tcp:1:port=2", "port= is given twice"),
    ("tcp", "tcp:1:backlog=0", "backlog=0: expected a number"),
    ("tcp", "unix:/x:mode=999", "mode=999: expected permissions"),
    ("tcp", "systemd:domain=INET", "one of index= and name="),
    ("tcp", "systemd:index=0", "takes domain="),
    ("tcp", "systemd:domain=INET:index=0:name=x", "one of index= and name="),
    ("tcp", "systemd:domain=IPX:index=0", "expected one of INET, INET6, UNIX"),
    ("tcp", "tcp:1:retain=yes:retain=yes", "retain= is given twice"),
    ("tcp", "tcp:1:max-message=1:max_message=1", "max-message= is given twice"),
    ("tcp", "tcp:1:x=1:x=1", "x= is given twice"),
    ("tcp", "tcp:1:end=crlf:size=3", "end= and size= are given, but a stream is framed in one way"),
    ("tcp", "tcp:1:length=u8:gap=20ms", "length= and gap= are given"),
    ("tcp", "tcp:1:anonymous=yes:as=me", "anonymous=yes and as= are given"),
    ("tcp", "tcp:1:dialect=raw:auto=nmea", "auto= and dialect=raw are given"),
    ("tcp", "tcp:1:topic=a/#", "'a/#' is no topic: a topic has no wildcards"),
    ("tcp", "tcp:1:topic=", "'' is no topic: it is empty"),
    ("tcp", "tcp:1:topic=a/{id", "a brace without its partner"),
    ("tcp", "tcp:1:prefix=a/", "prefix= must not end with /"),
    ("tcp", "tcp:1:subscribe=a/#/b", "'a/#/b' is no filter"),
    ("tcp", "tcp:1:max-message=1MB", "max-message=1MB: expected bytes"),
    ("tcp", "tcp:1:queue=0", "queue=0: expected more than 0"),
    ("tcp", "tcp:1:stall=5m", "stall=5m: expected seconds"),
    ("tcp", "tcp:1:idle=0", "idle=0: expected more than 0"),
    ("tcp", "tcp:1:full=drop", "full=drop: expected one of drop-oldest, drop-newest, latest, disconnect"),
    ("tcp", "tcp:1:anonymous=true", "anonymous=true: expected yes or no"),
    ("tcp", "tcp:1:as=", "as=: expected some text"),
    ("tcp", "tcp:1:id=a b", "id=a b: an id is up to 64 letters"),
    ("tcp", "unix:/run/a b", "given as id=NAME"),
    ("tcp", "tcp:1:peers=10.0.0.0/8", "peers= is for UDP"),
    ("tcp", "tcp:1:compression=yes", "compression= is for WebSocket"),
    ("websocket", "tcp:1:compression=some", "compression=some: expected yes or no"),
    ("udp", "udp:1:peers=10.0.0.1/8", "peers=10.0.0.1/8: 10.0.0.1/8 has host bits set"),
    ("udp", "udp:1:group=10.0.0.1", "group=10.0.0.1: expected a multicast address"),
    ("tcp", "tcp:1\\", "escapes nothing"),
]


@pytest.mark.parametrize(("transport", "spec", "message"), BAD)
def test_a_mistake_is_one_line_that_names_the_listener(transport, spec, message):
    with pytest.raises(ConfigError) as error:
        listen(spec, transport)
    assert message in str(error.value)
    assert str(error.value).startswith(f"--{transport} {spec}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("raw", [7, ["tcp:1"], {}, {"endpoint": 7}, {"id": "x"}, None])
def test_a_listener_that_is_neither_text_nor_table(raw):
    with pytest.raises(ConfigError, match="expected text or a table with endpoint = "):
        listen(raw)


@pytest.mark.parametrize("raw", [{"endpoint": "unix:/x", "mode": 0o660}, {"endpoint": "tcp:1", "backlog": True}])
def test_a_table_may_not_say_what_a_string_cannot(raw):
    with pytest.raises(ConfigError, match="expected"):
        listen(raw)


@given(st.text(alphabet="tcp:17=\\{}#+/, aidx_-\0\n", max_size=30))
def test_any_string_is_a_listener_or_a_line(text):
    try:
        listen("tcp:1:" + text)
    except ConfigError as error:
        assert str(error).isprintable()  # noqa: PT017 - an error is one of two right answers


@pytest.mark.parametrize(
    ("keys", "host", "admits"),
    [
        ("", "127.0.0.1", True),
        ("", "127.9.9.9", True),
        ("", "::1", True),
        ("", "::ffff:127.0.0.1", True),
        ("", None, True),
        (":anonymous=no", "127.0.0.1", False),
        (":anonymous=no", None, False),
        (":anonymous=yes", "0.0.0.0", True),
        (":as=me", "0.0.0.0", False),
        (":as=me", "127.0.0.1", False),
    ],
)
def test_a_client_that_needs_no_login(keys, host, admits):
    assert listen("tcp:1" + keys).admits_anonymous(host) is admits


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "::ffff:10.0.0.1", "fe80::1%eth0"])
@pytest.mark.parametrize("keys", ["", ":anonymous=no"])
def test_a_listener_off_loopback_names_the_clients_that_may_come_in(host, keys):
    says = r"^--tcp tcp:1\S* is open to the network .*: add anonymous=yes or as=USER, or --auth$"
    with pytest.raises(ConfigError, match=says):
        listen("tcp:1" + keys).admits_anonymous(host)
    assert not listen("tcp:1" + keys).admits_anonymous(host, logins=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", None, "0.0.0.0"])
@pytest.mark.parametrize(("keys", "admits"), [("", False), (":anonymous=yes", True), (":as=me", False)])
def test_with_logins_no_client_connects_without_one(host, keys, admits):
    assert listen("tcp:1" + keys).admits_anonymous(host, logins=True) is admits


def test_a_handler_has_options():
    handler = parse_handler(r"alarm:above=30:topic=temp/#:unit=a\:b", "--handler")
    assert (handler.name, handler.id) == ("alarm", "alarm")
    assert handler.options == {"above": "30", "topic": "temp/#", "unit": "a:b"}


def test_a_handler_in_a_table():
    handler = parse_handler({"name": "alarm", "id": "hot", "above": 30}, "x")
    assert (handler.name, handler.id, handler.options) == ("alarm", "hot", {"above": 30})


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("", "begins with the handler's name"),
        ("above=30", "begins with the handler's name"),
        ("alarm:30", "after the name each part is key=value"),
        ("alarm:a=1:a=2", "a= is given twice"),
        ({"above": 30}, 'a table with name = "..."'),
        ("alarm:id=", "id=: an id is"),
    ],
)
def test_a_bad_handler(raw, message):
    with pytest.raises(ConfigError) as error:
        parse_handler(raw, "--handler")
    assert message in str(error.value)


def test_two_of_one_id_are_refused():
    with pytest.raises(ConfigError, match=r"--tcp tcp:1:x=1: the id tcp-1 is taken by --tcp tcp:1; add id=NAME"):
        Settings(listeners=(listen("tcp:1"), listen("tcp:1:x=1")))
    with pytest.raises(ConfigError, match="the id upper is taken"):
        Settings(handlers=(parse_handler("upper", "a"), parse_handler("upper", "b")))
    Settings(handlers=(parse_handler("upper", "a"), parse_handler("upper:id=second", "b")))


@pytest.mark.parametrize(
    ("transport", "keys", "rate"),
    [
        ("tcp", {"rate": "10/s"}, (10, 10, "drop")),
        ("tcp", {"rate": "10/min"}, (10 / 60, 10, "drop")),
        ("tcp", {"rate": "0.5/s"}, (0.5, 1, "drop")),
        ("tcp", {"rate": 20}, (20, 20, "drop")),
        ("tcp", {"rate": "10", "over": "latest"}, (10, 10, "latest")),
        ("websocket", {"rate": "10", "over": "pause"}, (10, 10, "pause")),
        ("udp", {"rate": "10", "over": "latest"}, (10, 10, "latest")),
        ("udp", {"rate": "10", "over": "pause"}, (10, 10, "drop")),
        ("udp", {"rate": "10", "over": "close"}, (10, 10, "drop")),
    ],
)
def test_a_rate_and_its_policy_for_the_excess(transport, keys, rate):
    endpoint = "udp:1" if transport == "udp" else "tcp:1"
    assert listen({"endpoint": endpoint, **keys}, transport).rate == rate


def test_the_keys_of_a_device():
    config = listen("tcp:1:subscribe=down:answer=500ms:presence=on/{id}:silent=1min:changed=yes")
    assert (config.answer, config.presence, config.silent, config.changed) == (0.5, Template("on/{id}"), 60, True)
