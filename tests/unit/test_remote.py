"""Where a connector dials, and what its keys may be."""

from __future__ import annotations

import pytest

from hubbub.errors import ConfigError
from hubbub.service.config.endpoint import split
from hubbub.service.config.remote import take_remote
from hubbub.service.config.settings import Settings, parse_connector, parse_listener


@pytest.mark.parametrize(
    ("text", "kind", "host", "port", "id", "shown"),
    [
        ("tcp:10.0.0.5:7000", "tcp", "10.0.0.5", 7000, "tcp-10.0.0.5-7000", "tcp 10.0.0.5:7000"),
        (r"tcp:\:\:1:7000", "tcp", "::1", 7000, "tcp---1-7000", "tcp [::1]:7000"),
        ("tcp:host=plc.example.org:port=9", "tcp", "plc.example.org", 9, "tcp-plc.example.org-9", None),
        ("tls:plc.example.org:8883", "tls", "plc.example.org", 8883, "tls-plc.example.org-8883", None),
        ("udp:10.0.0.5:9000:bindAddress=10.0.0.1", "udp", "10.0.0.5", 9000, "udp-10.0.0.5-9000", None),
        ("unix:/run/device.sock", "unix", "", 0, "unix-device.sock", "unix /run/device.sock"),
        ("ws://hub:8999/", "ws", "hub", 8999, "ws-hub-8999", "ws hub:8999"),
        ("ws://hub", "ws", "hub", 80, "ws-hub-80", None),
        ("wss://hub/a/b?x=y", "wss", "hub", 443, "wss-hub-443", None),
        ("ws://[2001:db8::1]:8999/", "ws", "2001:db8::1", 8999, "ws-2001-db8--1-8999", "ws [2001:db8::1]:8999"),
        ("ws://[::1]", "ws", "::1", 80, "ws---1-80", None),
    ],
)  # fmt: skip
def test_a_remote(text, kind, host, port, id, shown):
    config = parse_connector(text, "--connect")
    remote = config.remote
    assert (remote.kind, remote.host, remote.port, config.id) == (kind, host, port, id)
    assert shown is None or str(remote) == shown
    assert config.dialect == "raw"
    assert config.spec == f"--connect {text}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nats://a,b:4333,[::1]:pull=x/#", ["a:4222", "b:4333", "[::1]:4222"]),
        ("mqtts://a:1,b/", ["a:1", "b:8883"]),
        (r"tcp:a:1:servers=b\:2,[\:\:1]\:3", ["a:1", "b:2", "[::1]:3"]),
        ("tcp:a:1", ["a:1"]),
    ],
)
def test_several_servers(text, found):
    remote = parse_connector(text, "--connect").remote
    assert remote.servers == len(found)
    shown = [str(remote.turn(at)).partition(" ")[2] for at in range(2 * len(found))]
    assert shown == 2 * found


def test_the_keys_behind_a_url():
    for url in ("ws://hub:8999/", "ws://hub", "ws://[::1]:8999/x?y=%3A", "wss://hub:1"):
        config = parse_connector(rf"{url}:dialect=lines:pull=a/#,b/+:id=up:topic=a\:b", "--connect")
        assert (config.remote.values["url"], config.dialect, config.pull) == (url, "lines", ("a/#", "b/+"))
        assert (config.id, config.topic.text, config.transport) == ("up", "a:b", "websocket")


def test_a_table():
    table = {"endpoint": "ws://hub:8999/", "id": "up", "dialect": "json", "pull": ["a/#"], "queue": "1MiB", "as": "hub"}
    config = parse_connector(table, "hubbub.toml connect")
    assert (config.id, config.dialect, config.pull, config.queue, config.user) == (
        "up", "json", ("a/#",), 1 << 20, "hub",
    )  # fmt: skip
    config = parse_connector({"endpoint": "tcp:10.0.0.5:7000", "end": "crlf"}, "hubbub.toml connect")
    assert config.dialect_options == {"end": "crlf"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there is no connector for '': there are tcp: tls: unix: udp: ws:// wss://"),
        ("7000", "there is no connector for '7000'"),
        ("10.0.0.5:7000", r"there is no connector for '10\.0\.0\.5': did you mean tcp:10\.0\.0\.5:7000\?"),
        ("mqtt://hub/path", "that is no mqtt://HOST:PORT and keys"),
        ("ssl:host:1", "there is no connector for 'ssl'"),
        ("tcp:7000", "tcp: needs its port, as in tcp:10.0.0.5:7000"),
        ("tcp", "tcp: needs its host"),
        ("unix", "unix: needs its address, as in unix:/run/device.sock"),
        ("tcp:host:0", "expected a port from 1 to 65535"),
        ("tcp:host:http", "expected a port from 1 to 65535"),
        ("tcp:ho st:1", "expected a host name or an address"),
        ("tcp:a:1:2", "'2' is no key=value"),
        ("tcp:::1:7000", "'1' is no key=value|expected some text"),
        ("tcp:a:1:bindAddress=eth0", "expected an own IP address"),
        ("tls:a:1:privateKey=/k", "privateKey= is given without certificate="),
        ("ws:hub:8999", "ws: is written as a URL, ws://HOST:PORT/"),
        ("ws://", "a URL names a host"),
        ("ws:///path", "a URL names a host"),
        ("ws://hub:99999/", "in the URL: Port out of range"),
        ("ws://hub:0/", "port 0 can't be dialled"),
        ("ws://hub/#a", "no #fragment"),
        ("ws://me:secret@hub/", r"ws://\*\*\*@hub/: a URL with a user and a password isn't"),
        ("ws://hub:8999x/", "that is no URL of WebSocket"),
        ("nats://", "that is no nats://HOST:PORT"),
        ("nats://hub:x", "that is no nats://HOST:PORT"),
        ("nats://hub/path", "that is no nats://HOST:PORT"),
        ("nats://a,", "that is no nats://HOST:PORT"),
        ("nats://a,,b", "that is no nats://HOST:PORT"),
        ("nats://a,b:0", "expected a port from 1 to 65535"),
        ("tcp:a:1:servers=b", "servers=b: expected HOST:PORT, or several with commas"),
        ("nats://a" + ",b" * 64, "expected fewer than 64 servers"),
        ("nats://me:secret@hub", r"nats://\*\*\*@hub: a URL with a user and a password isn't"),
        ("ws://hub/ü", "ASCII"),
        ("tcp:a:1:anonymous=yes", "anonymous= is for listeners"),
        ("udp:a:1:reuse=yes", "reuse= is for listeners"),
        ("udp:a:1:peers=10.0.0.0/8", "peers= is for listeners"),
        ("tcp:a:1:dialect=auto", "dialect=auto detects a client by its first bytes"),
        ("tcp:a:1:auto=x", "auto= is for listeners"),
        ("tcp:a:1:rcvbuf=1MiB", "rcvbuf= is for UDP"),
        ("tcp:a:1:pull=a/#/b", "pull=a/#/b: 'a/#/b' is no filter: # is only allowed as the last level"),
        ("tcp:a:1:id=a b", "an id is up to 64 letters"),
        ("tcp:a:1:end=lf:size=3", "a stream is framed in one way"),
    ],
)  # fmt: skip
def test_a_mistake(text, says):
    with pytest.raises(ConfigError, match=f"^--connect.*({says})") as caught:
        parse_connector(text, "--connect")
    assert "\n" not in str(caught.value)


def test_a_listener_takes_no_pull():
    assert parse_listener("tcp", "tcp:1:pull=a", "--tcp").dialect_options == {"pull": "a"}  # and no dialect has it


def test_ids_are_one_space():
    listener = parse_listener("tcp", "tcp:1:id=plc", "--tcp")
    connector = parse_connector("tcp:a:1:id=plc", "--connect")
    with pytest.raises(ConfigError, match="--connect tcp:a:1:id=plc: the id plc is taken by --tcp"):
        Settings(listeners=(listener,), connectors=(connector,))


def test_paths_are_meant_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    remote, _ = take_remote(split("tls:a:1:trustRoots=ca.pem"))
    assert remote.values["trustRoots"] == str(tmp_path / "ca.pem")


def test_equal_settings_are_equal():
    assert parse_connector("tcp:a:1", "--connect") == parse_connector("tcp:a:1", "--connect")
    assert parse_connector("tcp:a:1", "--connect") != parse_connector("tcp:a:2", "--connect")


@pytest.mark.parametrize(
    ("text", "host", "port", "pull"),
    [
        ("nats://hub", "hub", 4222, ()),
        ("nats://hub/", "hub", 4222, ()),
        ("nats://hub:4333", "hub", 4333, ()),
        ("nats://[::1]:4333:pull=a/#,b", "::1", 4333, ("a/#", "b")),
        ("nats://hub:pull=a/#", "hub", 4222, ("a/#",)),
    ],
)
def test_nats(text, host, port, pull):
    config = parse_connector(text, "--connect")
    assert (config.dialect, config.transport, config.pull) == ("nats", "tcp", pull)
    assert (config.remote.kind, config.remote.host, config.remote.port) == ("tcp", host, port)


@pytest.mark.parametrize(
    ("text", "kind", "port"),
    [("mqtt://hub", "tcp", 1883), ("mqtt://hub:1884", "tcp", 1884), ("mqtts://hub/", "tls", 8883)],
)
def test_mqtt(text, kind, port):
    config = parse_connector(f"{text}:push=a/#", "--connect")
    assert (config.dialect, config.remote.kind, config.remote.host, config.remote.port) == ("mqtt", kind, "hub", port)
