"""A real gpsd is dialled: what it passes on, and that it is told to watch each time."""

from __future__ import annotations

import json
import time

from ais_help import SHIP
from gpsd import Gpsd
from interop.senders.gpsfake import gpsfake
from nmea_help import GGA, summed
from running import Daemon, LineClient

RMC = summed("GPRMC,081836,A,3751.65,S,14507.36,E,000.0,360.0,130926,011.3,E")


def watched(gpsd, client, lines, last):
    """What the hub publishes while gpsd is fed `lines`, from when both are ready up to a topic `last`."""
    found = []
    while not any(line.startswith(f"MSG {last} ") for line in found):
        gpsd.feed(lines)
        client.send("PING")
        found += iter(client.line, "PONG")
        time.sleep(0.05)
    return found


def connector(port: int) -> str:
    """The description of a connector that watches a gpsd."""
    watch = 'hello=?WATCH={"enable"%3Atrue,"nmea"%3Atrue};'
    return f"tcp:127.0.0.1:{port}:id=gpsd:dialect=nmea:ais=ais/{{mmsi}}:{watch}"


def test_gpsfake(tmp_path, need):
    """It feeds gpsd a log by a terminal, as a receiver would; gpsd passes each sentence on as it came, in order."""
    need("gpsd")
    sentences = [RMC, GGA, *SHIP]
    with gpsfake(tmp_path, sentences) as port, Daemon("--tcp", "tcp:0", "--connect", connector(port)) as daemon:
        with LineClient(daemon.tcp[0]) as client:
            assert client.ask("SUB #") == "OK SUB #"
            found = [client.line().split(" ", 2) for _ in range(4 * (len(sentences) + 1))]
    ships = [json.loads(payload)["mmsi"] for _, topic, payload in found if topic == "ais/351759000"]
    assert set(ships) == {"351759000"}
    passed = [(topic, payload) for _, topic, payload in found if not topic.startswith("ais/")]
    turn = [("GP/RMC", RMC), ("GP/GGA", GGA), *(("AI/VDM", part) for part in SHIP)]
    at = turn.index(passed[0])
    assert passed == [turn[(at + number) % len(turn)] for number in range(len(passed))]


def test_sentences_and_ships_of_a_gpsd_that_restarts(tmp_path, need):
    """It drops what has a wrong checksum, and what it passes on ends with LF; its own JSON ends with CR LF."""
    with Gpsd(need("gpsd"), tmp_path) as gpsd:
        with Daemon("--tcp", "tcp:0", "--connect", connector(gpsd.port)) as daemon, LineClient(daemon.tcp[0]) as client:
            assert client.ask("SUB #") == "OK SUB #"
            found = watched(gpsd, client, [GGA.replace("*6D", "*6E"), RMC, *SHIP], "ais/351759000")
            assert {line for line in found if "/RMC" in line} == {f"MSG GP/RMC {RMC}"}
            assert not any("/GGA" in line for line in found)
            assert f"MSG AI/VDM {SHIP[1]}" in found
            (ship, *_) = (line for line in found if line.startswith("MSG ais/"))
            assert json.loads(ship.split(" ", 2)[2])["name"] == "EVER DIADEM"
            gpsd.restart()
            watched(gpsd, client, [GGA], "GP/GGA")
            daemon.wait_for("gpsd: it has closed the connection")
