"""Run as a program, SECONDS: the crash harness against Mosquitto and JetStream, as far as their protocols allow.

Clients of MQTT through paho for Mosquitto, with its persistence on; publishers that try again with a message id for
JetStream, whose stream is read in the end. Both are killed as hubbub is, and lose no power.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nats
from nats.errors import Error as NatsError
from nats.js.api import DiscardPolicy, StorageType, StreamConfig

from crash.harness import PUBLISHERS, SUBSCRIBERS, UP
from crash.mqtt_clients import MqttPublisher, MqttSubscriber
from crash.outcome import Outcome, Publisher, Subscriber, wait_for_last
from ports import free_port

WINDOW = 120.0  # seconds in which JetStream recognizes a message id
FETCHED = 500  # messages of a stream that are read at once
READY = 20.0  # seconds
SHOWN, LONGEST = 5, 300  # lines of what was wrong, and characters of each
MOSQUITTO = (
    "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n{more}\n"
)
JETSTREAM = "listen: 127.0.0.1:{port}\njetstream {{ store_dir: {folder}, {more} }}\n"


class Peer:
    """A server that is killed: the program, and a configuration file with `more` in it."""

    def __init__(self, folder: Path, program: str, written: str, more: str = "") -> None:
        self.port = free_port()
        self.outcome = Outcome()
        found = shutil.which(
            program, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"])
        )
        if found is None:
            raise SystemExit(f"{program} is missing")
        user = "user root\n" if program == "mosquitto" and os.geteuid() == 0 else ""
        (folder / "config").write_text(user + written.format(port=self.port, folder=folder / "data", more=more))
        (folder / "data").mkdir()
        self._command = [found, "-c", str(folder / "config")]

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start it, until it accepts connections; it is killed in the end."""
        began = time.monotonic()
        process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                    break
                assert process.poll() is None, f"{self._command} has ended"
                assert time.monotonic() < began + READY, f"{self._command} isn't ready"
                time.sleep(0.01)
            self.outcome.seconds.append(time.monotonic() - began)
            yield process
        finally:
            process.kill()
            process.wait()

    def kill_for(self, seconds: float) -> None:
        """Kill it again and again."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with self.running():
                time.sleep(random.uniform(*UP))
            self.outcome.kills += 1


def mosquitto(folder: Path, seconds: float, more: str) -> Outcome:
    """Publishers and subscribers of MQTT at QoS 1 and 2."""
    peer = Peer(folder, "mosquitto", MOSQUITTO, more)
    ears = [MqttSubscriber(n, peer.port) for n in range(SUBSCRIBERS)]
    publishers = [MqttPublisher(n, peer.port) for n in range(PUBLISHERS)]
    with peer.running():
        for ear in ears:
            ear.start()
        for publisher in publishers:
            publisher.start()
    peer.kill_for(seconds)
    with peer.running():
        settle(peer.outcome, publishers, ears)
    return peer.outcome


class JetPublisher:
    """Publishes to a stream, one message at a time, until it is acknowledged (crash.outcome.Publisher)."""

    def __init__(self, number: int, port: int) -> None:
        self.topic = f"crash.{number}"
        self.acknowledged: dict[str, list[int]] = {self.topic: []}
        self.exact = {self.topic}
        self.total = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(port)), daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    async def _run(self, port: int) -> None:
        client = await connect(port)
        stream = client.jetstream(timeout=1)
        while not self._ending.is_set():
            n, self.total = self.total, self.total + 1
            id = {"Nats-Msg-Id": f"{self.topic}-{n}"}
            while True:
                try:
                    await stream.publish(self.topic, b"%d" % n, headers=id)
                except (NatsError, OSError, TimeoutError):
                    await asyncio.sleep(0.02)
                else:
                    break
            self.acknowledged[self.topic].append(n)
        await client.close()

    def end(self, until: float) -> bool:
        """Publish no more; tell whether everything was acknowledged."""
        self._ending.set()
        self._thread.join(max(0.0, until - time.monotonic()))
        return not self._thread.is_alive()

    def go(self) -> None:
        """Leave."""


class StreamReader:
    """What a stream has in the end (crash.outcome.Subscriber)."""

    def __init__(self) -> None:
        self.output: dict[str, list[int]] = {}

    def go(self) -> None:
        """Leave."""

    async def read(self, port: int) -> None:
        """Read all of it."""
        client = await connect(port)
        stream = client.jetstream(timeout=10)
        left = (await stream.stream_info("crash")).state.messages
        reader = await stream.pull_subscribe("crash.*", durable="audit")
        while left > 0:
            for message in await reader.fetch(min(left, FETCHED), timeout=10):
                self.output.setdefault(message.subject, []).append(int(message.data))
                await message.ack()
                left -= 1
        await client.close()


async def connect(port: int) -> nats.NATS:
    """Connect, and stay so."""

    async def ignore(error: Exception) -> None:
        """Each kill is one."""

    where = f"nats://127.0.0.1:{port}"
    return await nats.connect(where, max_reconnect_attempts=-1, reconnect_time_wait=0.05, error_cb=ignore)


async def make_stream(port: int) -> None:
    """Make the stream of one replica, in files."""
    client = await connect(port)
    config = StreamConfig(
        name="crash", subjects=["crash.*"], storage=StorageType.FILE, num_replicas=1, duplicate_window=WINDOW,
        discard=DiscardPolicy.OLD,
    )  # fmt: skip
    await client.jetstream(timeout=10).add_stream(config)
    await client.close()


def jetstream(folder: Path, seconds: float, more: str) -> Outcome:
    """Publishers with message ids, and a reader in the end."""
    peer = Peer(folder, "nats-server", JETSTREAM, more)
    publishers = [JetPublisher(n, peer.port) for n in range(PUBLISHERS)]
    reader = StreamReader()
    with peer.running():
        asyncio.run(make_stream(peer.port))
        for publisher in publishers:
            publisher.start()
    peer.kill_for(seconds)
    with peer.running():
        for publisher in publishers:
            publisher.end(time.monotonic() + READY)
        asyncio.run(reader.read(peer.port))
    peer.outcome.audit(publishers, [reader])
    return peer.outcome


def settle(outcome: Outcome, publishers: list[Publisher], ears: list[Subscriber]) -> None:
    """Wait until everything has arrived that will, and compare."""
    until = time.monotonic() + READY
    for publisher in publishers:
        publisher.end(until)
    wait_for_last(ears, publishers, until)
    for one in (*publishers, *ears):
        one.go()
    outcome.audit(publishers, ears)


PEERS = {
    "Mosquitto, persistence on": (mosquitto, ""),
    "Mosquitto, persistence on, autosave_interval 1": (mosquitto, "autosave_interval 1"),
    "JetStream, file, R1": (jetstream, ""),
    "JetStream, file, R1, sync_interval always": (jetstream, "sync_interval: always"),
}

if __name__ == "__main__":
    for name, (run, more) in PEERS.items():
        with tempfile.TemporaryDirectory() as folder:
            outcome = run(Path(folder), float(sys.argv[1]), more)
        said = [f"{name}: {outcome}", *outcome.faults[:SHOWN], *outcome.details[:SHOWN]]
        sys.stdout.write("".join(f"{line[:LONGEST]}\n" for line in said))
        sys.stdout.flush()
