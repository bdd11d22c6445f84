"""Clients that publish and listen while their daemons are killed again and again, and what came of it.

    publishers ── MQTT, json, HTTP, lines ──► near ── bridge ──► far
                                               └► subscribers     └► a subscriber

Every message that was acknowledged arrives at least once, at QoS 2 and with an idempotency key exactly once, none is
invented, and each subscriber sees the messages of each publisher and topic in their order. On a disk that holds
there is a history too: it replays what was acknowledged in the end, and a client that follows it has missed nothing.
"""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from pathlib import Path

from crash.disk import Disk
from crash.follower import Follower, faults, read
from crash.keyed_clients import http_publisher, json_publisher, line_publisher
from crash.mqtt_clients import FILTER, MqttPublisher, MqttSubscriber
from crash.outcome import Outcome, Publisher, wait_for_last
from running import Daemon

PUBLISHERS = 2  # of MQTT, of each version
SUBSCRIBERS = 2
UP = (0.05, 0.8)  # seconds until a daemon is killed
LEAVES = 0.3  # how often a subscriber leaves, or comes, while a daemon is up
KILLS = 3  # at least
SETTLE = 60.0  # seconds until everything must have arrived at last


class Timed(Daemon):
    """Notes how long its start takes."""

    def __init__(self, outcome: Outcome, *options: str, command: tuple[str, ...] | None = None) -> None:
        super().__init__(*options, command=command)
        self.outcome = outcome

    def __enter__(self) -> Timed:
        began = time.monotonic()
        super().__enter__()
        self.outcome.seconds.append(time.monotonic() - began)
        return self


class Scene:
    """Two daemons over a folder, their clients, and the disk below."""

    def __init__(self, folder: Path, durability: str, disk: Disk | None) -> None:
        self.outcome = Outcome()
        self.disk = disk
        kept = ("--durability", durability, "--state")
        where = folder if disk is None else disk.folder
        with Daemon("--tcp", "tcp:0", *kept, str(folder / "far")) as far:
            self.far_port = far.tcp[0][1]
            self.far_subscriber = MqttSubscriber(SUBSCRIBERS, self.far_port)
            self.far_subscriber.start()
        self._far = ("--tcp", f"tcp:{self.far_port}", *kept, str(folder / "far"))
        bridge = f"tcp:127.0.0.1:{self.far_port}:id=far:dialect=mqtt:push={FILTER}"
        history = () if disk is not None else ("--history", f"{FILTER}:messages=10000000")
        near = ("--connect", bridge, *history, *kept, str(where / "near"))
        with Daemon("--tcp", "tcp:0", "--websocket", "tcp:0", *near) as daemon:
            port, web = daemon.tcp[0][1], daemon.websocket[0][1]
            self.subscribers = [MqttSubscriber(n, port) for n in range(SUBSCRIBERS)]
            for one in self.subscribers:
                one.start()
        self._port = port
        self._follower = None if disk is not None else Follower(port, FILTER)
        self._near = ("--tcp", f"tcp:{port}", "--websocket", f"tcp:{web}", *near)
        self.sure: list[Publisher] = [MqttPublisher(n, port) for n in range(PUBLISHERS)]
        self.sure += [json_publisher(port), http_publisher(web)]
        self.unsure = line_publisher(port)
        for publisher in (*self.sure, self.unsure):
            publisher.start()
        if self._follower is not None:
            self._follower.start()

    def near(self) -> Daemon:
        """The daemon of the publishers, which is to be started."""
        return Timed(self.outcome, *self._near, command=None if self.disk is None else self.disk.command)

    def far(self) -> Daemon:
        """The daemon behind the bridge."""
        return Timed(self.outcome, *self._far)

    def kill(self, daemon: Daemon) -> None:
        """Kill a daemon, and note what it has logged."""
        daemon.process.kill()
        daemon.process.wait(10)
        self.outcome.kills += 1
        expected = () if self.disk is not None else ('"critical"',)
        self.outcome.faults += [line for line in daemon.lines if any(one in line for one in ("Traceback", *expected))]

    def settle(self) -> None:
        """Wait until everything has arrived, and compare."""
        until = time.monotonic() + SETTLE
        for publisher in (*self.sure, self.unsure):
            if not publisher.end(until):
                self.outcome.faults.append(f"{publisher}: not everything was acknowledged in the end")
        ears = [*self.subscribers, self.far_subscriber]
        wait_for_last(ears, self.sure, until)
        if self._follower is not None:
            self._replay(self._follower, until)
        for one in (*self.sure, self.unsure, *ears):
            one.go()
        self.outcome.audit(self.sure, ears)
        self.unsure.exact.clear()
        unsure = Outcome()  # QoS 0: some are lost
        unsure.audit([self.unsure], ears)
        self.outcome.faults += unsure.faults

    def _replay(self, follower: Follower, until: float) -> None:
        found = [one for one in read(self._port, FILTER, {"since": 1e9}) if one["op"] == "message"]
        replayed = [(one["topic"], int(one["data"])) for one in found]
        while replayed[-1] not in follower.heard[-10_000:] and time.monotonic() < until:
            time.sleep(0.02)
        follower.end()
        self.outcome.replayed = len(replayed)
        self.outcome.faults += faults(replayed, follower.heard, self.sure)


def run(
    folder: Path, seconds: float, durability: str = "fsync", disk: Disk | None = None, seed: int | None = None
) -> Outcome:
    """Kill daemons for so long, and see what came of it. `disk`: where the near one has its state."""
    rolls, scene = random.Random(seed), Scene(folder, durability, disk)
    until, away = time.monotonic() + seconds, False
    with ExitStack() as stack:
        far = stack.enter_context(scene.far())
        while time.monotonic() < until or scene.outcome.kills < KILLS:
            with scene.near() as near:
                live(scene, rolls)
                rolls.choice((*scene.subscribers, scene.far_subscriber)).blink()
                if rolls.random() < LEAVES:  # so that a long queue is read when it comes
                    away = not away
                    (scene.subscribers[-1].client.go if away else scene.subscribers[-1].client.come)()
                if rolls.random() < LEAVES:
                    scene.kill(far)
                    far = stack.enter_context(scene.far())
                scene.kill(near)
            if disk is not None:
                disk.mend()
        with scene.near():
            if away:
                scene.subscribers[-1].client.come()
            scene.settle()
    return scene.outcome


def live(scene: Scene, rolls: random.Random) -> None:
    """Let some time pass, in which the disk may fail, and be well again or not."""
    time.sleep(rolls.uniform(*UP))
    if scene.disk is not None:
        scene.disk.fail(rolls.choice(scene.disk.FAULTS))
        scene.outcome.disks += 1
        time.sleep(rolls.uniform(*UP))
        if rolls.random() < 0.5:
            scene.disk.mend()
            time.sleep(rolls.uniform(*UP))
