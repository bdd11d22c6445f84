"""Clients that always send a user name, and a hub without logins."""

from __future__ import annotations

import socket

import pytest

from hubbub_plugins.mqtt.packets import V5, V311, Connack, Connect, Publish, decode
from running import Daemon, LineClient
from system.plugin_files import hang_up
from system.test_start import refused


def connect(daemon, version, **more):
    """What comes back for a CONNECT with a user name."""
    with socket.create_connection(daemon.tcp[0], 20) as client:
        client.sendall(Connect(client="c", user="ann", password=b"guess", version=version, **more).encode(version))
        first, size = client.recv(2)
        found = decode(first, client.recv(size), version)
        if found.code == 0:
            client.sendall(Publish(topic="from/ann", payload=b"x").encode(version))
        return found


@pytest.mark.parametrize("version", [V311, V5])
def test_any_user_name_is_ignored(version):
    with Daemon("--tcp", "tcp:0:prefix=of/{user}", "--auth", "none") as daemon, LineClient(daemon.tcp[0]) as ear:
        assert ear.ask("AUTH ben secret") == "OK AUTH"
        assert ear.ask("SUB #") == "OK SUB #"
        assert connect(daemon, version).code == 0
        assert ear.line() == "MSG from/ann x"  # in the tree of those without a user, as ben is


def test_a_listener_for_the_network_stays_closed_to_strangers():
    assert "add anonymous=yes" in refused("--tcp", "tcp:0:interface=0.0.0.0", "--auth", "none")


def test_it_stands_alone():
    assert "none" in (line := refused("--tcp", "tcp:0", "--auth", "none", "--auth", "memory:ann:secret"))
    assert "can't be combined with others" in line
    assert "no argument" in refused("--tcp", "tcp:0", "--auth", "none:x")


def test_a_connector_without_a_login_stays_out_of_a_listener_that_wants_one():
    with Daemon("--tcp", "tcp:0:anonymous=no", "--auth", "none") as daemon:
        assert connect(daemon, V5).code == 0x87


def test_without_it_the_refusal_says_what_to_do():
    with Daemon("--tcp", "tcp:0:id=listener") as daemon:
        assert connect(daemon, V311) == Connack(code=5)
        daemon.wait_for("listener: a client sent a user name, and there are no logins: --auth none ignores it")
        reason = connect(daemon, V5).properties["reason_string"]
        assert reason == "this hub has no logins: send no user name, or have it started with --auth none"


def test_a_reload_changes_it(tmp_path):
    config = tmp_path / "hubbub.toml"
    text = '[[tcp]]\nendpoint = "tcp:0"\n'
    config.write_text(text)
    with Daemon("--config", str(config)) as daemon:
        assert connect(daemon, V311).code == 5
        config.write_text(f'auth = ["none"]\n{text}')
        hang_up(daemon, "reloaded: ")
        assert connect(daemon, V311).code == 0
        config.write_text(text)
        hang_up(daemon, "reloaded: ")
        assert connect(daemon, V311).code == 5
