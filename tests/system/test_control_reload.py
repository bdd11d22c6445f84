"""`hubbub reload`: what it prints, what has changed then, and how it ends."""

from __future__ import annotations

import json
import socket

import pytest

from hubbub.errors import ConfigError
from hubbub.service.commands import client
from ports import free_port
from running import LineClient
from system.clients import Datagrams
from system.controlled import ONE, Controlled, output
from waiting import wait_until


def test_a_connector_and_a_udp_listener_come_and_go(tmp_path):
    """A UDP client hears of the end through the port that closes then."""
    with (
        Controlled(tmp_path, config=ONE + '[[udp]]\nendpoint = "udp:0"\n') as daemon,
        Datagrams(daemon.udp[0]) as client,
    ):
        assert client.ask("SUB a") == "OK SUB a"
        dial = f'[[connect]]\nid = "dial"\nendpoint = "tcp:127.0.0.1:{daemon.tcp[0][1]}"\ndialect = "lines"\n'
        daemon.config.write_text(ONE + dial)
        assert output(daemon.ask("reload")) == "reloaded: listener udp-0 removed, connector dial added\n"
        assert client.line() == "BYE"

        def connector() -> dict:
            (found,) = daemon.raw(b'{"command":"status"}\n')[0]["status"]["connectors"]
            return found

        wait_until(lambda: connector()["state"].startswith("connected since "))
        assert connector()["where"] == f"127.0.0.1:{daemon.tcp[0][1]}"
        daemon.config.write_text(ONE + dial + 'topic = "x"\n')
        assert output(daemon.ask("reload")).endswith(": connector dial changed\n")
        daemon.config.write_text(ONE)
        assert output(daemon.ask("reload")) == "reloaded: connector dial removed\n"


def test_reload_takes_up_the_file(tmp_path):
    """Listeners come, change and go; who was there stays, and who was on what has gone is told."""
    with Controlled(tmp_path, config=ONE + '[[tcp]]\nendpoint = "tcp:0"\nid = "two"\n') as daemon:
        with LineClient(daemon.tcp[0]) as stays, LineClient(daemon.tcp[1]) as goes:
            assert stays.ask("SUB #") == goes.ask("SUB #") == "OK SUB #"
            daemon.config.write_text(
                ONE + 'topic = "x"\nstall = "5s"\n[[udp]]\nendpoint = "udp:0"\n[[handler]]\nname = "upper"\n'
            )
            assert output(daemon.ask("reload")) == (
                "reloaded: listener one changed (topic, stall), listener two removed, listener udp-0 added, "
                "handler upper\n"
            )
            assert goes.line() == "BYE"
            assert goes.ended()
            assert stays.ask("PUB echo/a hey") == "MSG echo/a hey"
            assert stays.line() == "MSG echo/a HEY"
            with pytest.raises(ConnectionRefusedError):
                LineClient(daemon.tcp[1])
            found = json.loads(output(daemon.ask("status", "--json")))
            assert [one["id"] for one in found["listeners"]] == ["one", "udp-0"]
            with LineClient(daemon.tcp[0]) as new:
                assert new.ask("PING") == "PONG"


def test_reload_changes_the_history(tmp_path):
    history = '[[history]]\nfilter = "{}"\n'
    with Controlled(tmp_path, config=ONE) as daemon, LineClient(daemon.tcp[0]) as ear:
        assert ear.ask("POSITION").startswith("ERR bad-command this hub keeps no history")
        daemon.config.write_text(ONE + history.format("a"))
        assert output(daemon.ask("reload")) == "reloaded: history changed\n"
        assert ear.ask("POSITION").startswith("POSITION ")
        ear.send("PUB a 1")
        daemon.config.write_text(ONE + history.format("a") + history.format("b"))
        assert output(daemon.ask("reload")) == "reloaded: history changed\n"
        assert ear.ask("SUB a LAST 1") == "OK SUB a"
        assert ear.line() == "MSG a 1"


REFUSED = [
    ("[[tcp", "hubbub.toml:1:6: "),
    (ONE + '[[history]]\nfilter = "a/#/b"\n', "a/#/b"),
    (ONE + "colour = 7\n", "unknown key colour="),
    (ONE + '[[handler]]\nname = "nobody"\n', "unknown handler 'nobody'"),
    (ONE + '[[tcp]]\nendpoint = "tcp:0"\nid = "one"\n', "the id one is taken"),
    (ONE + '[[tcp]]\nendpoint = "tcp:0:interface=0.0.0.0"\nid = "open"\n', "is open to the network"),
    (ONE + '[[tcp]]\nendpoint = "tcp:PORT"\nid = "taken"\n', "Address already in use"),
    ('metrics = "tcp:PORT"\n' + ONE, "--metrics tcp:"),
    (ONE + '[[tcp]]\nendpoint = "tls:NOWHERE:0"\nid = "tls"\n', "NOWHERE"),
]


def test_a_reload_that_is_refused_changes_nothing(tmp_path):
    with Controlled(tmp_path, config=ONE) as daemon, LineClient(daemon.tcp[0]) as client, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert client.ask("PING") == "PONG"
        descriptors = daemon.descriptors()
        for config, why in REFUSED:
            daemon.config.write_text(config.replace("PORT", str(other.getsockname()[1])))
            ((reason, refusal),) = daemon.raw(b'{"command":"reload"}\n')[0].items()
            assert (reason, why in refusal) == ("error", True), refusal
            assert "\n" not in refusal
            assert client.ask("PING") == "PONG"
            assert [one["id"] for one in daemon.raw(b'{"command":"status"}\n')[0]["status"]["listeners"]] == ["one"]
        assert output(daemon.ask("reload"), 1).count("\n") == 1
        daemon.config.write_text(ONE)
        assert output(daemon.ask("reload")) == "reloaded: nothing has changed\n"
        wait_until(lambda: daemon.descriptors() == descriptors)
        assert daemon.log.count("not reloaded: ") >= 1
        assert "Traceback" not in daemon.log


def test_options_of_the_command_line_stay(tmp_path):
    with Controlled(tmp_path, "--tcp", "tcp:0:id=mine", config='[[udp]]\nendpoint = "udp:0"\n') as daemon:
        daemon.config.write_text(ONE + '[[websocket]]\nendpoint = "tcp:0"\nid = "web"\n')
        assert output(daemon.ask("reload")) == "reloaded: listener udp-0 removed, listener web added\n"


def test_the_clients_that_may_come_in_can_be_changed(tmp_path):
    """Nobody in particular is sent away where a name is wanted now, and the port stays open."""
    with Controlled(tmp_path, config=ONE) as daemon, LineClient(daemon.tcp[0]) as client:
        assert client.ask("SUB a") == "OK SUB a"
        daemon.config.write_text(ONE + "anonymous = false\n")
        assert output(daemon.ask("reload")) == "reloaded: listener one changed (anonymous)\n"
        assert client.line() == "ERR not-authorized the logins of this listener have changed"
        with LineClient(daemon.tcp[0]) as late:
            assert late.ask("SUB a").startswith("ERR not-authorized")


def test_a_port_moves_to_another_address(tmp_path):
    """What held it is closed first, and who was on it is told."""
    port = free_port()
    with Controlled(tmp_path, config=f'tcp = ["tcp:{port}"]\n') as daemon:
        with LineClient(("127.0.0.1", port)) as old:
            assert old.ask("PING") == "PONG"
            daemon.config.write_text(f'tcp = ["tcp:{port}:interface=0.0.0.0:anonymous=yes"]\n')
            assert output(daemon.ask("reload")) == f"reloaded: listener tcp-{port} moved\n"
            assert old.line() == "BYE"
        with LineClient(("127.0.0.1", port)) as new:
            assert new.ask("PING") == "PONG"


def test_a_refusal_is_shown_though_the_daemon_has_closed_already(monkeypatch):
    here, there = socket.socketpair()
    there.sendall(b'{"error": "only root"}\n')
    there.close()
    monkeypatch.setattr(client, "_connect", lambda path: here)
    with pytest.raises(ConfigError, match=r"^only root$"):
        list(client.ask(None, {"command": "status"}))
