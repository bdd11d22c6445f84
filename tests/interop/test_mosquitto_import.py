"""`hubbub import mosquitto` against Debian's Mosquitto: the same users may do the same with the same topics."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hubbub.kernel.authorization.permissions import Subject
from hubbub.service.auth.permissions import load
from hubbub.service.cli import main
from ports import free_port
from running import Daemon, LineClient
from waiting import wait_for_port

ACL = """
topic read news/#
topic write inbox
topic deny news/secret

user ann
topic home/ann/#
topic read plant/+/state
topic deny home/ann/vault/#
topic read $SYS/broker/version

user ben
topic readwrite  #
topic deny plant/7/state
topic write $own/x

user plus+
topic up
topic read end

user probe
topic readwrite #
topic readwrite $own/#

pattern readwrite dev/%c/#
pattern read users/%u/in
pattern write users/%u/+
pattern read end
"""
USERS = [None, "ann", "ben", "eve", "plus+", "%u"]
TOPICS = [
    "news/1", "news/secret", "news", "inbox", "home/ann", "home/ann/x", "home/ann/vault/x", "home/ann/vault",
    "home/ben/x", "plant/7/state", "plant/8/state", "plant/state", "$own/x", "$own/y", "up", "dev/c-1/x",
    "dev/c-1", "dev/c-2/x", "users/ann/in", "users/ann/out", "users/eve/in", "users/ben/in", "users/%u/in", "users//in",
    "/", "other",
]  # fmt: skip
DIFFERENT = {("%u", "users/%u/in"), ("plus+", "dev/c-1/x"), ("plus+", "dev/c-1")}
"""A name is percent-encoded in topics here; there one with + or # gets nothing by patterns."""
CLIENT = "c-1"


def text(value: str) -> bytes:
    return len(value.encode()).to_bytes(2, "big") + value.encode()


def packet(first: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes((first, len(body))) + body


class Broker:
    """A running Mosquitto with ACL, and what its users may do there."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.conf = folder / "mosquitto.conf"
        (folder / "acl").write_text(ACL)
        (folder / "passwd").touch(mode=0o600)
        for user in (*USERS, "probe"):
            if user is not None:
                subprocess.run(["mosquitto_passwd", "-b", folder / "passwd", user, "secret"], check=True, timeout=20)
        self.conf.write_text(
            f"user root\nlistener {self.port} 127.0.0.1\nallow_anonymous true\n"
            f"password_file {folder}/passwd\nacl_file {folder}/acl\n"
        )

    def __enter__(self) -> Broker:
        self.process = subprocess.Popen(["mosquitto", "-c", self.conf], stderr=subprocess.DEVNULL)
        wait_for_port(self.port, self.process)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(20)

    def command(self, name: str, user: str | None, *more: str, client: str = CLIENT) -> list[str]:
        login = [] if user is None else ["-u", user, "-P", "secret"]
        return [name, "-p", str(self.port), "-i", client, *login, *more]

    @contextlib.contextmanager
    def listening(self, user: str | None, *topics: str, client: str = CLIENT) -> Iterator[Iterator[str]]:
        """Yield the topics of what comes, as lines."""
        filters = [part for topic in topics for part in ("-t", topic)]
        command = self.command("mosquitto_sub", user, *filters, "-F", "%t %p", client=client)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield iter(process.stdout.readline, "")
            finally:
                process.terminate()

    def publish(
        self, user: str | None, *messages: tuple[str, bytes], retain: bool = False, client: str = CLIENT
    ) -> None:
        """Publish (topic, payload) with QoS 1 on one connection (MQTT 3.1.1); whether they go anywhere isn't told."""
        login = b"" if user is None else text(user) + text("secret")
        flags = 0x02 if user is None else 0xC2
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as link, link.makefile("rb") as answers:
            link.sendall(packet(0x10, text("MQTT") + bytes((4, flags, 0, 60)) + text(client) + login))
            assert answers.read(4) == b"\x20\x02\x00\x00"
            for number, (topic, payload) in enumerate(messages, 1):
                link.sendall(packet(0x32 | retain, text(topic) + number.to_bytes(2, "big") + payload))
                assert answers.read(4) == b"\x40\x02" + number.to_bytes(2, "big")
            link.sendall(packet(0xE0, b""))

    def reads(self, user: str | None) -> set[str]:
        """Tell which of TOPICS come to `user`, all of which are retained; `end` comes last, to everybody."""
        with self.listening(user, *TOPICS, "end") as lines:
            output = [line.rpartition(" ")[0] for line in iter(lambda: next(lines), "end here\n")]
        return set(output)

    def writes(self, user: str | None, output: Iterator[str]) -> set[str]:
        """Tell which of TOPICS come through when `user` publishes to them."""
        self.publish(user, *((topic, b"x") for topic in TOPICS))
        self.publish("probe", ("end", b"over"), client="p2")
        lines = iter(lambda: next(output), "end over\n")  # what is retained may come among them
        return {line.rpartition(" ")[0] for line in lines if line.endswith(" x\n")}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, need: Callable[[str], str]) -> Iterator[Broker]:
    for program in ("mosquitto", "mosquitto_passwd", "mosquitto_sub"):
        need(program)
    with Broker(tmp_path_factory.mktemp("mosquitto")) as running:
        yield running


@pytest.fixture(scope="module")
def imported(broker: Broker) -> Path:
    folder = broker.conf.parent / "out"
    assert main(["import", "mosquitto", str(broker.conf), "--into", str(folder)]) == 0
    return folder


def verdicts(imported: Path, user: str | None, action: str) -> set[str]:
    rights = load(imported / "permissions.toml").rights(Subject(user, CLIENT, "mosquitto"))
    return {topic for topic in TOPICS if rights.decide(action, topic).allowed}


def same(user: str | None, ours: set[str], theirs: set[str]) -> bool:
    return {topic for topic in ours ^ theirs if (user, topic) not in DIFFERENT} == set()


def test_permission_to_read(broker: Broker, imported: Path) -> None:
    broker.publish("probe", *((topic, b"kept") for topic in TOPICS), ("end", b"here"), retain=True, client="p1")
    for user in USERS:
        ours, theirs = verdicts(imported, user, "subscribe"), broker.reads(user)
        assert same(user, ours, theirs), (user, ours - theirs, theirs - ours)


def test_permission_to_write(broker: Broker, imported: Path) -> None:
    with broker.listening("probe", "ready", "#", "$own/#", client="p3") as output:
        broker.publish("probe", ("ready", b"yes"), retain=True, client="p4")
        while next(output) != "ready yes\n":
            pass
        for user in USERS:
            ours, theirs = verdicts(imported, user, "publish"), broker.writes(user, output)
            assert same(user, ours, theirs), (user, ours - theirs, theirs - ours)


def test_the_daemon_takes_what_was_imported(broker: Broker, imported: Path, tmp_path: Path) -> None:
    for file in imported.iterdir():
        (tmp_path / file.name).write_text(file.read_text().replace(f"tcp:{broker.port}", "tcp:0"))
    with Daemon("--config", "hubbub.toml", folder=tmp_path) as daemon:
        with LineClient(daemon.tcp[0]) as client:
            assert client.ask("SUB news/1") == "OK SUB news/1"
            assert client.ask("SUB news/#").startswith("ERR not-authorized ")
            assert client.ask("AUTH ann wrong").startswith("ERR not-authorized ")
            assert client.ask("AUTH ann secret") == "OK AUTH ann"
            assert client.line().startswith("ERR not-authorized you may no longer receive news/1;")
            assert client.ask("SUB home/ann/x") == "OK SUB home/ann/x"
            assert client.ask("PUB home/ben/x 1").startswith("ERR not-authorized ")
            assert client.ask("PUB home/ann/x 1") == "MSG home/ann/x 1"
