"""Clients that publish and listen while their daemons are killed again and again, and what came of it.

    publishers ── MQTT, json, HTTP, lines ──► near ── bridge ──► far
                                               └► subscribers     └► a subscriber

Every message that was acknowledged arrives at least once, at QoS 2 and with an idempotency key exactly once, none is
invented, and each subscriber sees the messages of each publisher and topic in their order. On a disk that holds
there is a history too: it replays what was acknowledged in the end, and a client that follows it has missed nothing.
"""

from __future__ import annotations

import random
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from crash.account import account
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
AWAY = 5_000  # messages for which it stays away at most: half of what the queue of a session holds
KILLS = 3  # at least
SETTLE = 60.0  # seconds until everything must have arrived at last
PATIENCE = 20.0  # seconds of them until the daemons are asked what keeps them


class Timed(Daemon):
    """Notes how long its start takes.

    state, control  its folder, and its control socket
    """

    def __init__(self, outcome: Outcome, state: Path, control: Path, *options: str) -> None:
        super().__init__("--state", str(state), "--control", str(control), *options)
        self.outcome = outcome
        self.state = state
        self.control = control

    def __enter__(self) -> Timed:
        began = time.monotonic()
        super().__enter__()
        self.outcome.seconds.append(time.monotonic() - began)
        return self

    def account(self) -> str:
        """Say how it is."""
        return account(self, self.state, self.control)


class Scene:
    """Two daemons over a folder, their clients, and the disk below."""

    def __init__(self, folder: Path, durability: str, disk: Disk | None) -> None:
        self.outcome = Outcome()
        self.disk = disk
        kept = ("--durability", durability)
        self._folder = folder
        self._far = ("--tcp", "tcp:0", *kept)
        with self.far() as far:
            self.far_port = far.tcp[0][1]
            self.far_subscriber = MqttSubscriber(SUBSCRIBERS, self.far_port)
            self.far_subscriber.start()
        self._far = ("--tcp", f"tcp:{self.far_port}", *kept)
        bridge = f"tcp:127.0.0.1:{self.far_port}:id=far:dialect=mqtt:push={FILTER}"
        more = ("--history", f"{FILTER}:messages=10000000") if disk is None else disk.options
        near = ("--connect", bridge, *more, *kept)
        self._near = ("--tcp", "tcp:0", "--websocket", "tcp:0", *near)
        with self.near() as daemon:
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

    def near(self) -> Timed:
        """The daemon of the publishers, which is to be started."""
        state = (self._folder if self.disk is None else self.disk.folder) / "near"
        return Timed(self.outcome, state, self._folder / "near.sock", *self._near)

    def far(self) -> Timed:
        """The daemon behind the bridge."""
        return Timed(self.outcome, self._folder / "far", self._folder / "far.sock", *self._far)

    @property
    def acknowledged(self) -> int:
        """How many messages were acknowledged up to now."""
        return sum(len(numbers) for one in self.sure for numbers in one.acknowledged.values())

    def kill(self, daemon: Daemon) -> None:
        """Kill a daemon, and note what it has logged."""
        daemon.process.kill()
        daemon.process.wait(30)
        self.outcome.kills += 1
        self._look_into(daemon)

    def _look_into(self, daemon: Daemon) -> None:
        """Note what a daemon has logged that it shouldn't have."""
        unexpected = ("Traceback",) if self.disk is not None else ("Traceback", '"critical"')
        self.outcome.faults += [line for line in daemon.lines if any(one in line for one in unexpected)]

    def settle(self, *daemons: Timed) -> None:
        """Wait until everything has arrived, and compare."""
        until = time.monotonic() + SETTLE
        asking = threading.Timer(PATIENCE, self._ask, daemons)
        asking.start()
        for publisher in (*self.sure, self.unsure):
            if not publisher.end(until):
                self.outcome.faults.append(f"not everything was acknowledged in the end: {publisher}")
        ears = [*self.subscribers, self.far_subscriber]
        wait_for_last(ears, self.sure, until)
        if self._follower is not None:
            self._replay(self._follower, until)
        asking.cancel()
        for daemon in daemons:
            self._look_into(daemon)
        for one in (*self.sure, self.unsure, *ears):
            one.go()
        self.outcome.audit(self.sure, ears)
        self.unsure.exact.clear()
        unsure = Outcome()  # QoS 0: some are lost
        unsure.audit([self.unsure], ears)
        self.outcome.faults += unsure.faults

    def _ask(self, *daemons: Timed) -> None:
        self.outcome.accounts += [daemon.account() for daemon in daemons]

    def _replay(self, follower: Follower, until: float) -> None:
        found = [one for one in read(self._port, FILTER, {"since": 1e9}) if one["op"] == "message"]
        replayed = [(one["topic"], int(one["data"])) for one in found]
        while replayed[-1] not in follower.output[-10_000:] and time.monotonic() < until:
            time.sleep(0.02)
        follower.end()
        self.outcome.replayed = len(replayed)
        self.outcome.faults += faults(replayed, follower.output, self.sure)


def run(
    folder: Path, seconds: float, durability: str = "fsync", disk: Disk | None = None, seed: int | None = None
) -> Outcome:
    """Kill daemons for so long, and see what came of it. `disk`: where the near one has its state."""
    rolls, scene = random.Random(seed), Scene(folder, durability, disk)
    until, away, left = time.monotonic() + seconds, False, 0
    with ExitStack() as stack:
        far = stack.enter_context(scene.far())
        while time.monotonic() < until or scene.outcome.kills < KILLS:
            with scene.near() as near:
                live(scene, rolls)
                rolls.choice((*scene.subscribers, scene.far_subscriber)).blink()
                if rolls.random() < LEAVES or (away and scene.acknowledged > left + AWAY):
                    away, left = not away, scene.acknowledged  # so that a long queue is read when it comes
                    (scene.subscribers[-1].client.go if away else scene.subscribers[-1].client.come)()
                if rolls.random() < LEAVES:
                    scene.kill(far)
                    far = stack.enter_context(scene.far())
                scene.kill(near)
            if disk is not None:
                disk.mend()
        with scene.near() as near:
            if away:
                scene.subscribers[-1].client.come()
            scene.settle(near, far)
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
