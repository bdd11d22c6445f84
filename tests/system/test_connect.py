"""Devices that are dialled: they come late, restart, hang up, send rubbish, and are other hubs."""

from __future__ import annotations

import re
import signal
import socket
from contextlib import ExitStack

import pytest

from devices import Device
from hub_process import hubbub
from ports import default_ports, free_port
from running import Daemon, LineClient

PLC = "id=plc:end=crlf:topic=plant/7/up:subscribe=plant/7/down"


def spec(device, keys):
    return "tcp:{}:{}:{}".format(*device.address[:2], keys)


@pytest.fixture
def device():
    with Device() as one:
        yield one


def run(*options):
    return Daemon("--tcp", "tcp:0", *options)


def console(daemon, filter="#"):
    client = LineClient(daemon.tcp[0])
    assert client.ask(f"SUB {filter}") == f"OK SUB {filter}"
    return client


def reported(daemon, text):
    return [line for line in daemon.log.splitlines() if text in line]


def test_a_device_is_dialled_and_dialled_again(device):
    with run("--connect", spec(device, PLC)) as daemon, console(daemon) as watcher:
        for value in ("21.5", "22.0", "22.5"):
            with device.accept() as plc:
                plc.send(f"T={value}\r\nP=".encode())
                assert watcher.line() == f"MSG plant/7/up T={value}"
                watcher.send(f"PUB plant/7/down SET {value}")
                assert plc.line() == f"SET {value}".encode()
                assert watcher.line() == f"MSG plant/7/down SET {value}"
            assert watcher.line() == "MSG plant/7/up P="  # what was left when it hung up
        daemon.wait_for("plc: connected to tcp 127.0.0.1")
        daemon.wait_for("plc: it has closed the connection")


def test_ready_waits_for_no_connector():
    with Device() as device:
        late = device.address
    options = ["--connect", f"tcp:127.0.0.1:{late[1]}:{PLC}", "--connect", "tcp:nobody.invalid:7000:id=nowhere"]
    with run(*options) as daemon, console(daemon) as watcher:
        daemon.wait_for("plc: connection refused")
        daemon.wait_for("nowhere: no address is known of nobody.invalid")
        with Device(late) as device, device.accept() as plc:
            plc.send(b"HELLO\r\n")
            assert watcher.line() == "MSG plant/7/up HELLO"
        assert len(reported(daemon, "nowhere: ")) == 1
        assert len(reported(daemon, "connection refused")) == 1
        assert "Traceback" not in daemon.log


def test_a_connector_is_no_listener(device):
    with default_ports(), Daemon("--connect", spec(device, PLC)) as daemon:  # so that the defaults are opened
        assert (len(daemon.tcp), len(daemon.udp), len(daemon.websocket)) == (1, 1, 1)
        device.accept().close()


def test_end_of_input_ends_the_link_once_all_is_flushed(device):
    """Also for lines, whose server side would stay open for writing."""
    options = ["--connect", spec(device, PLC), "--connect", spec(device, "dialect=lines:id=hub:subscribe=a/#")]
    with run(*options) as daemon, console(daemon, "plant/#") as watcher:
        for _ in range(2):
            with device.accept() as one:
                one.send(b"MSG plant/1 last\r\n")
                one.half_close()
                assert one.ended()
                assert watcher.line().endswith("last")


def test_a_unix_socket(tmp_path):
    with Device(str(tmp_path / "device")) as device:
        with run("--connect", f"unix:{device.address}:{PLC}") as daemon, console(daemon) as watcher:
            with device.accept() as plc:
                plc.send(b"HELLO\r\n")
                assert watcher.line() == "MSG plant/7/up HELLO"
                watcher.send("PUB plant/7/down STOP")
                assert plc.line() == b"STOP"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_names_and_both_versions(host, request):
    if host == "::1":
        request.getfixturevalue("ipv6")
    address = "127.0.0.1" if host == "localhost" else host
    with Device((address, 0)) as device:
        quoted = host.replace(":", r"\:")
        with run("--connect", f"tcp:{quoted}:{device.address[1]}:{PLC}") as daemon, console(daemon) as watcher:
            with device.accept() as plc:
                plc.send(b"HELLO\r\n")
                assert watcher.line() == "MSG plant/7/up HELLO"


def test_rubbish_costs_the_link_and_not_the_connector(device):
    with run("--connect", spec(device, f"{PLC}:max-message=100")) as daemon, console(daemon) as watcher:
        with device.accept() as plc:
            plc.send(b"GOOD\r\n" + b"\xff" * 200)
            assert watcher.line() == "MSG plant/7/up GOOD"
            assert plc.ended()
        with device.accept() as plc:
            plc.send(b"GOOD\r\n")
            assert watcher.line() == "MSG plant/7/up GOOD"


def test_on_shutdown_a_device_gets_what_waits_for_it(device):
    with run("--connect", spec(device, PLC), "--connect", spec(device, "dialect=lines:id=hub:subscribe=a")) as daemon:
        first, second = device.accept(), device.accept()
        with console(daemon, "none") as client:
            client.send("PUB plant/7/down LAST", "PUB a last", "PING")
            assert client.line() == "PONG"
        daemon.process.terminate()
        got = {one.line(): one for one in (first, second)}
        assert got.keys() == {b"LAST", b"PUB a last"}
        assert got[b"PUB a last"].line() == b"QUIT"
        for one in got.values():
            assert one.ended()
            one.close()
        assert daemon.process.wait(20) == 0


# Another hub

OPTIONS = [
    ("tcp", "dialect=lines"),
    ("tcp", "dialect=json"),
    ("websocket", "dialect=lines"),
    ("websocket", "dialect=json"),
]


@pytest.mark.parametrize(("transport", "dialect"), OPTIONS)
def test_another_hub(transport, dialect):
    """Its topics come under a mount point here, and ours below that go there, of any length and any bytes."""
    with ExitStack() as stack:
        there = stack.enter_context(Daemon("--tcp", "tcp:0", "--websocket", "tcp:0"))
        where = there.url() if transport == "websocket" else "tcp:{}:{}".format(*there.tcp[0])
        connector = f"{where}:{dialect}:id=there:prefix=there:pull=up/#:subscribe=down/#"
        here = stack.enter_context(run("--connect", connector))
        far, near = (stack.enter_context(console(one)) for one in (there, here))
        here.wait_for("there: connected")
        far.send("PUB! up/ready 1")  # kept, as the log may be ahead of the subscription
        assert near.line() == "MSG there/up/ready 1"
        assert far.line() == "MSG up/ready 1"
        for payload in ("hello", "欢迎", "", "x" * 200, "y" * 70_000, '{"a":[1,2]}'):
            far.send(f"PUB up/1 {payload}")
            assert (far.line(), near.line()) == (f"MSG up/1 {payload}", f"MSG there/up/1 {payload}")
            near.send(f"PUB there/down/1 {payload}")
            assert (near.line(), far.line()) == (f"MSG there/down/1 {payload}", f"MSG down/1 {payload}")
        near.send("PUBB there/down/2 AAEC")
        assert (near.line(), far.line()) == ("MSGB there/down/2 AAEC", "MSGB down/2 AAEC")
        far.send("PUBB up/2 AAEC")
        assert (far.line(), near.line()) == ("MSGB up/2 AAEC", "MSGB there/up/2 AAEC")
        near.send("PUB! there/down/3 kept")
        near.line()
        far.line()
        with LineClient(there.tcp[0]) as later:
            later.send("SUB down/3")
            assert [later.line(), later.line()] == ["OK SUB down/3", "MSG down/3 kept"]


def test_json_may_pull_what_it_pushes():
    with ExitStack() as stack:
        there = stack.enter_context(Daemon("--websocket", "tcp:0", "--tcp", "tcp:0"))
        here = stack.enter_context(run("--connect", f"{there.url()}:dialect=json:pull=#:subscribe=#"))
        far, near = (stack.enter_context(console(one)) for one in (there, here))
        here.wait_for("connected to ws")
        far.send("PUB! ready 1")
        assert near.line() == "MSG ready 1"
        assert far.line() == "MSG ready 1"
        near.send("PUB ping 1")
        assert near.line() == "MSG ping 1"
        assert far.line() == "MSG ping 1"
        far.send("PUB pong 2")
        assert near.line() == "MSG pong 2"
        assert far.line() == "MSG pong 2"


def test_a_hub_that_restarts():
    port = free_port()
    connector = f"ws://127.0.0.1:{port}/:dialect=json:id=there:pull=up"
    with run("--connect", connector) as here, console(here) as near:
        here.wait_for("there: connection refused")
        for _ in range(2):
            with Daemon("--websocket", f"tcp:{port}", "--tcp", "tcp:0") as there:
                with LineClient(there.tcp[0]) as far:
                    far.send("PUB! up 1")
                assert near.line() == "MSG up 1"  # it is asked for each time
                assert there.process.poll() is None


def test_a_server_that_speaks_no_websocket():
    with Daemon("--websocket", "tcp:0", "--tcp", "tcp:0") as there:
        url = "ws://{}:{}/".format(*there.tcp[0])
        with run("--connect", f"{url}:dialect=json:id=there") as here:
            here.wait_for(r"there: .*\[400\]: Bad Request")
            assert "Traceback" not in here.log


# UDP


def udp(host="127.0.0.1", port=0):
    one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    one.settimeout(20)
    one.bind((host, port))
    return one


def test_a_udp_device():
    with udp() as device, udp() as stranger:
        port = device.getsockname()[1]
        connector = f"udp:127.0.0.1:{port}:id=gps:topic=gps/up:subscribe=gps/down"
        with run("--connect", connector) as daemon, console(daemon) as watcher:
            daemon.wait_for("gps: connected to udp")
            watcher.send("PUB gps/down POLL")
            assert watcher.line() == "MSG gps/down POLL"
            data, hub = device.recvfrom(100)
            assert data == b"POLL"
            stranger.sendto(b"who am I", hub)  # isn't heard
            device.sendto(b"", hub)
            device.sendto(b"51.5 -0.1", hub)
            assert watcher.line() == "MSG gps/up "
            assert watcher.line() == "MSG gps/up 51.5 -0.1"
            device.close()
            watcher.send("PUB gps/down POLL", "PUB gps/down POLL")  # the kernel tells the second that nobody is there
            assert [watcher.line(), watcher.line()] == ["MSG gps/down POLL"] * 2
            with udp(port=port) as again:  # the link is always there
                watcher.send("PUB gps/down POLL", "PUB gps/down POLL")
                assert again.recvfrom(100) == (b"POLL", hub)
                again.sendto(b"51.6 -0.1", hub)
                assert [watcher.line() for _ in range(3)][-1] == "MSG gps/up 51.6 -0.1"


def test_a_udp_device_that_was_away_gets_the_next_datagram():
    """The kernel's word that nobody was there, which comes while nothing is sent, ends nothing."""
    port = free_port(socket.SOCK_DGRAM)
    with run("--connect", f"udp:127.0.0.1:{port}:topic=gps/up:subscribe=gps/down") as daemon:
        daemon.wait_for("connected to udp")
        with console(daemon, "gps/up") as watcher:
            for _ in range(3):
                watcher.send("PUB gps/down POLL")
                assert watcher.ask("PING") == "PONG"
            with udp(port=port) as again:
                watcher.send("PUB gps/down POLL")
                data, hub = again.recvfrom(100)
                assert data == b"POLL"
                again.sendto(b"51.6 -0.1", hub)
                assert watcher.line() == "MSG gps/up 51.6 -0.1"


def test_a_broadcast_goes_out():
    with udp("0.0.0.0") as device:
        connector = f"udp:127.255.255.255:{device.getsockname()[1]}:subscribe=all"
        with run("--connect", connector) as daemon, LineClient(daemon.tcp[0]) as client:
            daemon.wait_for("connected to udp")
            client.send("PUB all WAKE UP")
            assert device.recv(100) == b"WAKE UP"


# Other dialects


def test_a_boat_and_a_log_server_are_dialled(device):
    options = ["--connect", spec(device, "id=boat:dialect=nmea:prefix=boat")]
    with run(*options) as daemon, console(daemon) as watcher, device.accept() as boat:
        boat.send(b"$GPGLL,4916.45,N,12311.12,W,225444,A*31\r\n")
        assert watcher.line() == "MSG boat/GP/GLL $GPGLL,4916.45,N,12311.12,W,225444,A*31"
        daemon.process.terminate()
    options = ["--connect", spec(device, "id=plant:dialect=syslog")]
    with run(*options) as daemon, console(daemon) as watcher, device.accept() as plant:
        plant.send(b"<13>Oct 11 22:14:15 press1 hydraulics: pressure low\n")
        assert watcher.line() == "MSG syslog/press1/hydraulics/notice pressure low"


def test_sentences_are_sent_where_they_are_dialled():
    with udp() as display:
        boat = f"udp:127.0.0.1:{display.getsockname()[1]}:id=boat:dialect=nmea:subscribe=out"
        with run("--connect", boat) as daemon, console(daemon) as watcher:
            daemon.wait_for("boat: connected")
            watcher.send("PUB out rubbish", "PUB out $GPGLL,4916.45,N,12311.12,W,225444,A*31")
            assert display.recv(100) == b"$GPGLL,4916.45,N,12311.12,W,225444,A*31"


def test_log_messages_are_sent_where_they_are_dialled(device):
    log = spec(device, "id=log:dialect=syslog:subscribe=alarm/#")
    with run("--connect", log, "--udp", "udp:0:dialect=syslog:prefix=alarm") as daemon, console(daemon) as watcher:
        with device.accept() as server, udp() as sender:
            daemon.wait_for("log: connected")
            watcher.send("PUB alarm/press1 too hot")
            assert re.fullmatch(rb"<13>1 \S+Z - hubbub - - - alarm/press1 too hot", frame(server))
            watcher.send("PUB alarm/press1 zu heiß")
            assert frame(server).endswith("\ufeffalarm/press1 zu heiß".encode())
            sender.sendto(b"<131>1 2026-10-11T22:14:15Z press1 hydraulics 77 P1 - pressure low", daemon.udp[0])
            assert re.fullmatch(rb"<131>1 \S+Z press1 hydraulics 77 P1 - pressure low", frame(server))


def frame(server):
    """One log message behind its length."""
    digits = b"".join(iter(lambda: server.read(1), b" "))
    return server.read(int(digits))


def test_a_mistake_is_one_line():
    connector = "tcp:a:1:dialect=nothing"
    done = hubbub("run", "--tcp", "tcp:0", "--connect", connector)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"hubbub: --connect {connector}: unknown dialect 'nothing'")


def test_a_reload_dials_what_is_new_and_leaves_the_rest(tmp_path):
    def write(*tables):
        text = 'tcp = ["tcp:0"]\n'
        for name, one, topic in tables:
            text += f'[[connect]]\nendpoint = "tcp:127.0.0.1:{one.address[1]}"\nid = "{name}"\nend = "lf"\n'
            text += f'topic = "{topic}"\n'
        (tmp_path / "hubbub.toml").write_text(text)

    with Device() as first, Device() as second, Device() as third:
        write(("a", first, "a"), ("b", second, "b"))
        daemon = Daemon("--config", "hubbub.toml", folder=tmp_path)
        with daemon, console(daemon) as watcher, first.accept() as one, second.accept() as two:
            write(("a", first, "a"), ("b", second, "changed"), ("c", third, "c"))
            daemon.process.send_signal(signal.SIGHUP)
            with second.accept() as again, third.accept() as three:
                assert two.ended()
                for link, topic in ((one, "a"), (again, "changed"), (three, "c")):
                    link.send(b"hello\n")
                    assert watcher.line() == f"MSG {topic} hello"
                write(("a", first, "a"))
                daemon.process.send_signal(signal.SIGHUP)
                assert again.ended()
                assert three.ended()
            one.send(b"hello\n")
            assert watcher.line() == "MSG a hello"
