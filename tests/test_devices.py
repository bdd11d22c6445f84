"""docs/devices.md: each recipe as it stands there, against a device that is simulated; only addresses differ."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import time
import tomllib
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import graphyte
import pytest
from datadog.dogstatsd.base import DogStatsd
from telegraf import TelegrafClient

from devices import Device
from gpsd import Gpsd
from hubbub.service.config.settings import parse_connector
from interop.mqtt.broker import Mosquitto
from ports import free_port
from running import Daemon, LineClient
from waiting import wait_until

PAGE = (Path(__file__).parent.parent / "docs" / "devices.md").read_text()
RECIPES = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


class Recipe:
    """One recipe: its blocks by language, in order."""

    def __init__(self, title: str, folder: Path) -> None:
        self.folder = folder
        self.blocks = re.findall(r"^```(\w+)\n(.*?)^```$", RECIPES[title], re.MULTILINE | re.DOTALL)
        for name, code in re.findall(r"`(my-plugins/\w+\.py)`:\n\n```python\n(.*?)^```$", RECIPES[title], re.M | re.S):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(code)

    def block(self, language: str, at: int = 0) -> str:
        return [code for found, code in self.blocks if found == language][at]

    def wanted(self, at: int = 0) -> list[str]:
        return self.block("text", at).splitlines()

    def options(self, at: int = 0, **dialled: int) -> list[str]:
        """The command's options; ports to listen on are free ones, and those to dial as given, `p7000=PORT`."""
        options = shlex.split(self.block("sh", at).replace("\\\n", ""))[2:]
        assert options
        found = []
        for before, option in zip(["", *options], options, strict=False):
            if before in ("--tcp", "--udp"):
                option = re.sub(r"^(tcp|udp):\d+", r"\1:0", option).replace("interface=10.0.0.1", "interface=127.0.0.1")
            elif before == "--connect":
                option = re.sub(r"10\.0\.0\.\d+|127\.0\.0\.1", "127.0.0.1", option)
                option = re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda port: str(dialled[f"p{port[0]}"]), option)
            found.append(option)
        return found

    @contextmanager
    def run(self, at: int = 0, **dialled: int) -> Iterator[tuple[Daemon, LineClient]]:
        """The daemon, and a client that hears everything."""
        with Daemon(*self.options(at, **dialled), folder=self.folder) as daemon, LineClient(daemon.tcp[0]) as watcher:
            assert watcher.ask("SUB #") == "OK SUB #"
            yield daemon, watcher
            assert "Traceback" not in daemon.log


@pytest.fixture
def device() -> Iterator[Device]:
    with Device() as one:
        yield one


def test_every_recipe_is_tested() -> None:
    tests = [name.removeprefix("test_") for name in globals() if name.startswith("test_")]
    assert len(RECIPES) == 15
    for title in RECIPES:
        assert re.sub(r"\W+", "_", title.lower()) in tests


def test_a_plc_that_sends_lines(device: Device, tmp_path: Path) -> None:
    recipe = Recipe("A PLC that sends lines", tmp_path)
    up, value, down = recipe.wanted()
    with recipe.run(p7000=device.address[1]) as (daemon, watcher):
        for _ in range(2):  # it restarts
            with device.accept() as plc:
                assert watcher.line() == up
                for piece in (b"T=2", b"1.5\r", b"\n"):  # it answers in pieces
                    plc.send(piece)
                assert watcher.line() == value
                watcher.send("PUB plant/plc7/down STOP")
                assert watcher.line() == "MSG plant/plc7/down STOP"
                assert plc.line() == b"STOP"
            assert watcher.line() == down
        with LineClient(daemon.tcp[0]) as later:
            later.send("SUB plant/plc7")
            assert [later.line(), later.line()] == ["OK SUB plant/plc7", value]


def test_a_serial_device_through_ser2net(tmp_path: Path, need) -> None:
    recipe = Recipe("A serial device, through ser2net", tmp_path)
    with ExitStack() as stack:
        tty, meter = tmp_path / "ttyUSB0", tmp_path / "meter"
        links = [f"pty,raw,echo=0,link={tty}", f"pty,raw,echo=0,link={meter}"]
        stack.enter_context(running([need("socat"), *links]))
        wait_until(lambda: tty.exists() and meter.exists())
        port = free_port()
        yaml = recipe.block("yaml").replace("/dev/ttyUSB0", str(tty)).replace("4001", str(port))
        (tmp_path / "ser2net.yaml").write_text(yaml)
        _, watcher = stack.enter_context(recipe.run(p4001=port))  # before its device is there
        stack.enter_context(running([need("ser2net"), "-n", "-c", str(tmp_path / "ser2net.yaml")]))
        serial = stack.enter_context(meter.open("r+b", buffering=0))
        [wanted] = recipe.wanted()
        reading = wanted.removeprefix("MSG meter/meter ")
        while True:  # what is said before somebody has dialled goes nowhere
            serial.write(reading.encode() + b"\r")
            watcher.send("PING")
            if watcher.line() == wanted:
                break
            time.sleep(0.05)
        watcher.send("PUB meter/meter/down READ")
        assert serial.read(5) == b"READ\r"


def test_a_scale_that_is_polled(device: Device, tmp_path: Path) -> None:
    recipe = Recipe("A scale that is polled", tmp_path)
    [wanted] = recipe.wanted()
    with recipe.run(p4001=device.address[1]) as (_, watcher), device.accept() as scale:
        weights = [b"12.50 kg", b"12.50 kg", b"12.50 kg", b"13.00 kg"]
        for weight in weights:
            assert scale.line() == b"W"
            scale.send(weight[:3])
            scale.send(weight[3:] + b"\r\n")
        output = [line for line in iter(watcher.line, "MSG scale/weight 13.00 kg") if "scale/weight" in line]
        assert output == [wanted]
        with LineClient(watcher.socket.getpeername()) as other:
            other.send("REQ scale/ask W")
            assert scale.line() == b"W"
            scale.send(b"13.00 kg\r\n")
            assert other.line() == "REP 13.00 kg"


@pytest.mark.parametrize("way", [0, 1], ids=["dialect", "handler"])
def test_a_gps_tracker_on_udp(tmp_path: Path, way: int) -> None:
    recipe = Recipe("A GPS tracker on UDP", tmp_path)
    assert len(recipe.block("python").splitlines()) <= 30
    sent = re.search(r"datagrams such as `([^`]+)`", RECIPES["A GPS tracker on UDP"])
    assert sent is not None
    with recipe.run(way) as (daemon, watcher), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tracker:
        for data in (b"\xffrubbish",) * (way == 0) + (sent[1].encode(),):
            tracker.sendto(data, daemon.udp[0])
        lines = iter(watcher.line, recipe.wanted(way)[0])
        assert all(line.startswith("MSG gps/raw ") for line in lines)


def test_syslog_of_a_plant(tmp_path: Path, need) -> None:
    recipe = Recipe("Syslog of a plant", tmp_path)
    with recipe.run() as (daemon, watcher):
        for transport, (host, port) in (("-d", daemon.udp[0]), ("-T", daemon.tcp[1])):
            command = [need("logger"), "-n", host, "-P", str(port), transport, "-p", "local0.err", "-t", "hydraulics"]
            subprocess.run([*command, "pressure low"], check=True, timeout=20)
            output = watcher.line()
            assert re.sub(r"syslog/[^/]+/", "syslog/press1/", output) == recipe.wanted()[0]


def test_logs_in_gelf(tmp_path: Path) -> None:
    recipe = Recipe("Logs in GELF", tmp_path)
    [wanted] = recipe.wanted()
    said = wanted.split(" ", 2)[2].encode()
    packed = zlib.compress(said)
    with recipe.run() as (daemon, watcher), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as program:
        for datagram in (said, packed, b"\x1e\x0fabcdefgh\0\2" + packed[:30], b"\x1e\x0fabcdefgh\1\2" + packed[30:]):
            program.sendto(datagram, daemon.udp[0])
        assert [watcher.line() for _ in range(3)] == [wanted] * 3
        with socket.create_connection(daemon.tcp[1]) as stream:
            stream.sendall(said + b"\0" + said + b"\n")
            assert [watcher.line() for _ in range(2)] == [wanted] * 2


def test_metrics_for_statsd(tmp_path: Path) -> None:
    recipe = Recipe("Metrics for StatsD", tmp_path)
    with recipe.run() as (daemon, watcher):
        client = DogStatsd(*daemon.udp[0], disable_telemetry=True, disable_aggregation=True)
        client.gauge("press1.temp", -4.5)
        client.service_check("press1.db", DogStatsd.CRITICAL)
        client.stop()
        assert [watcher.line(), watcher.line()] == recipe.wanted()


def test_metrics_for_graphite(tmp_path: Path) -> None:
    recipe = Recipe("Metrics for Graphite", tmp_path)
    with recipe.run() as (daemon, watcher):
        for protocol, (host, port) in (("udp", daemon.udp[0]), ("tcp", daemon.tcp[1])):
            graphyte.Sender(host, port, protocol=protocol).send("press1.temp", 21.5)
            assert [watcher.line()] == recipe.wanted()


def test_points_of_telegraf(tmp_path: Path) -> None:
    recipe = Recipe("Points of Telegraf", tmp_path)
    with recipe.run() as (daemon, watcher):
        TelegrafClient(*daemon.udp[0], tags={"host": "press1"}).metric("oil", {"bar": 140.5})
        assert [watcher.line()] == recipe.wanted()
        with socket.create_connection(daemon.tcp[1]) as stream:
            stream.sendall(b"oil,host=press1 bar=140.5\n")
            assert [watcher.line()] == recipe.wanted()


def test_nmea_multicast_from_a_boat(tmp_path: Path) -> None:
    recipe = Recipe("NMEA multicast from a boat", tmp_path)
    [wanted] = recipe.wanted()
    with recipe.run() as (daemon, watcher), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as boat:
        boat.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        sentence = wanted.split(" ", 2)[2].encode()
        boat.sendto(b"$GPGLL,bad*00\r\n" + sentence + b"\r\n", daemon.udp[0])
        assert watcher.line() == wanted


def test_ships_from_an_ais_receiver(tmp_path: Path) -> None:
    recipe = Recipe("Ships, from an AIS receiver", tmp_path)
    with recipe.run() as (daemon, watcher), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.sendto(recipe.wanted()[0].removeprefix("MSG AI/VDM ").encode() + b"\r\n", daemon.udp[0])
        assert [watcher.line(), watcher.line()] == recipe.wanted()


def test_a_gps_receiver_on_gpsd(tmp_path: Path, need) -> None:
    recipe = Recipe("A GPS receiver on gpsd", tmp_path)
    [sentence], [report] = recipe.wanted(), recipe.wanted(1)
    rmc = sentence.split(" ", 2)[2]
    with Gpsd(need("gpsd"), tmp_path) as gpsd, recipe.run(p2947=gpsd.port) as (_, watcher):
        assert fed(gpsd, watcher, rmc, "MSG boat/") == sentence
    with Gpsd(need("gpsd"), tmp_path) as gpsd, recipe.run(1, p2947=gpsd.port) as (_, watcher):
        topic, shown = report.removeprefix("MSG ").split(" ", 1)
        found = json.loads(fed(gpsd, watcher, rmc, f"MSG {topic} ").split(" ", 2)[2])
        assert {name: found[name] for name in json.loads(shown)} == json.loads(shown)


def fed(gpsd: Gpsd, watcher: LineClient, sentence: str, beginning: str) -> str:
    """Feed gpsd a sentence until the hub, which may not have dialled it yet, publishes what begins so."""
    while True:
        gpsd.feed([sentence])
        watcher.send("PING")
        for line in iter(watcher.line, "PONG"):
            if line.startswith(beginning):
                return line
        time.sleep(0.05)


def test_a_label_printer_that_gets_jobs(device: Device, tmp_path: Path) -> None:
    recipe = Recipe("A label printer that gets jobs", tmp_path)
    job = re.search(r"`PUB printer/labels/jobs (.*?)`", RECIPES["A label printer that gets jobs"])
    assert job is not None
    with recipe.run(p9100=device.address[1]) as (_, watcher):
        for _ in range(2):
            with device.accept() as printer:
                assert watcher.line() == recipe.wanted()[0]
                watcher.send(f"PUB printer/labels/jobs {job[1]}", "PUBB printer/labels/jobs XlhBCl5YWgo=")
                assert printer.read(len(job[1]) + 8) == job[1].encode() + b"^XA\n^XZ\n"
                watcher.line()
                watcher.line()
            assert watcher.line() == "MSG printer/labels/online 0"


def test_a_broker_that_is_there_already(tmp_path: Path, need) -> None:
    recipe = Recipe("A broker that is there already", tmp_path)
    with Mosquitto(need("mosquitto"), tmp_path) as broker, recipe.run(p1883=broker.port) as (daemon, watcher):
        daemon.wait_for("broker: MQTT 5")
        speak = [need("mosquitto_pub"), "-p", str(broker.port), "-q", "1", "-r", "-t", "sensors/1", "-m", "21.5"]
        subprocess.run(speak, check=True)
        assert [watcher.line()] == recipe.wanted()
        receive = [need("mosquitto_sub"), "-p", str(broker.port), "-t", "cmd/#", "-C", "1", "-W", "10", "-v"]
        watcher.send("PUB! cmd/1 go")
        assert subprocess.run(receive, check=True, capture_output=True, text=True).stdout == "cmd/1 go\n"


def test_another_hub(tmp_path: Path) -> None:
    recipe = Recipe("Another hub", tmp_path)
    with Daemon("--tcp", "tcp:0", "--websocket", "tcp:0") as there, LineClient(there.tcp[0]) as far:
        far.send("PUB! up/1 hello", "SUB down/#")
        assert far.line() == "OK SUB down/#"
        with recipe.run(p8999=there.websocket[0][1]) as (_, watcher):
            assert watcher.line() == recipe.wanted()[0]
            watcher.send("PUB there/down/1 hello")
            assert far.line() == "MSG down/1 hello"


def test_the_table_means_the_option() -> None:
    [block] = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    [table] = tomllib.loads(block)["connect"]
    option = parse_connector("tcp:10.0.0.7:7000:id=plc7:end=crlf:topic=plant/{id}", "--connect")
    assert replace(parse_connector(table, "--connect"), spec=option.spec) == option


@contextmanager
def running(command: list[str]) -> Iterator[None]:
    """A program of somebody else."""
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)
