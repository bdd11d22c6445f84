"""mosquitto_pub, mosquitto_sub and mosquitto_rr as one client: a process for each thing that it does."""

from __future__ import annotations

import itertools
import queue
import shutil
import subprocess
import threading
from contextlib import suppress

from interop.mqtt.base import EXPIRY, SECONDS, V5, V31, V311, At, Closing, Mailbox, Output, Said, Wish

VERSIONS = {V31: "mqttv31", V311: "mqttv311", V5: "mqttv5"}
FORMAT = "heard|%t|%q|%r|%x|%C|%R|%D|%P"
_numbers = itertools.count()


def program(name: str) -> str:
    found = shutil.which(name)
    assert found is not None, name
    return found


def parsed(line: str) -> Output:
    """Read what FORMAT writes."""
    _, topic, qos, retain, data, content_type, response, correlation, user = line.split("|")
    pairs = [pair.split(":") for pair in user.split(" ") if pair]
    properties = tuple((name, value) for name, value in pairs)
    said = Said(content_type or None, response or None, correlation.encode() or None, properties)
    return Output(topic, bytes.fromhex(data), int(qos), retain == "1", said)


class Mosquitto(Mailbox, Closing):
    present = None  # they don't tell

    def __init__(self, at: At, wish: Wish) -> None:
        super().__init__()
        self._at = ["--unix", at.path] if at.path else ["-h", at.host, "-p", str(at.port)]
        self._at += ["-V", VERSIONS[wish.version]]
        if at.secure:
            self._at += ["--cafile", str(at.trust)]
        if at.own is not None:
            self._at += ["--cert", str(at.own), "--key", str(at.own)]
        self._own = ["-i", wish.name or f"mosquitto-{next(_numbers)}"] + ["-c"] * wish.keep
        if wish.keep and wish.version == V5:
            self._own += ["-x", str(EXPIRY)]
        if wish.will is not None:
            topic, payload = wish.will
            self._own += ["--will-topic", topic, "--will-payload", payload.decode(), "--will-qos", "1"]
        self._ear: subprocess.Popen[str] | None = None
        self._granted: queue.Queue[int] = queue.Queue()

    def subscribe(self, filter: str, qos: int) -> int:
        """Once: this is what begins the process that listens."""
        assert self._ear is None
        command = [program("mosquitto_sub"), *self._at, *self._own, "-t", filter, "-q", str(qos), "-d", "-F", FORMAT]
        unbuffered = [program("stdbuf"), "-oL", *command]
        self._ear = subprocess.Popen(unbuffered, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, args=(self._ear,), daemon=True).start()
        return self._granted.get(timeout=SECONDS)

    def _read(self, ear: subprocess.Popen[str]) -> None:
        assert ear.stdout is not None
        with ear.stdout as said:
            for line in said:
                if line.startswith("heard|"):
                    self.queue.put(parsed(line.removesuffix("\n")))
                elif line.startswith("Subscribed "):
                    self._granted.put(int(line.rpartition(" ")[2]))

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False, said: Said | None = None) -> None:
        words = ["-t", topic, "-q", str(qos)] + ["-r"] * retain + ["-s" if payload else "-n"]
        if said is not None:
            for name, value in (
                ("content-type", said.content_type),
                ("response-topic", said.response_topic),
                ("correlation-data", (said.correlation or b"").decode()),
            ):
                words += ["-D", "publish", name, value] * bool(value)
            for pair in said.user:
                words += ["-D", "publish", "user-property", *pair]
        self._run("mosquitto_pub", words, payload)

    def publish_all(self, topic: str, payloads: list[bytes], qos: int) -> None:
        self._run("mosquitto_pub", ["-t", topic, "-q", str(qos), "-l"], b"".join(one + b"\n" for one in payloads))

    def ask(self, topic: str, answers: str, payload: bytes) -> bytes:
        """Send a request with mosquitto_rr, and return its answer."""
        return self._run("mosquitto_rr", ["-t", topic, "-e", answers, "-q", "1", "-m", payload.decode()], b"")

    def _run(self, name: str, words: list[str], data: bytes) -> bytes:
        command = [program(name), *self._at, *words]
        return subprocess.run(command, check=True, timeout=SECONDS, input=data, stdout=subprocess.PIPE).stdout

    def _end(self, politely: bool) -> None:
        if self._ear is None:
            return
        if politely:
            self._ear.terminate()
            # 2.0.11 disconnects in its signal handler, where it can wait for a lock of the code that was interrupted.
            with suppress(subprocess.TimeoutExpired):
                self._ear.wait(SECONDS / 8)
        self._ear.kill()
        self._ear.wait(SECONDS)
