"""The tutorials: every block of code is written, run or started as it stands there, in order; only ports differ."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import hubbub
from hub_process import hubbub as hubbub_process
from hubbub.service.commands.help_texts import all_help
from running import Daemon
from scale import scale_examples

ROOT = Path(__file__).parent.parent
PAGES = (
    "dialects.md", "handlers.md", "authentication.md", "durability.md", "mqtt.md", "nats.md", "stomp.md", "wamp.md",
    "shell.md", "semantics.md", "first-minute.md", "first-device.md", "first-page.md", "from-mosquitto.md",
    "from-nats.md", "from-rabbitmq.md",
)  # fmt: skip
ANEW = "\n## All events and methods\n"  # where a page begins with other files: what follows is a test of its own
BLOCK = re.compile(r"(.*?)^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"[|&;<>$*`(]")  # what makes a command one for a shell
DEFAULT = ("--tcp", "tcp:6999", "--websocket", "tcp:8999")  # what a page means where it names no listener


def read(page: str) -> str:
    return (ROOT / "docs" / page).read_text()


def parts() -> Iterator[tuple[str, str]]:
    """Yield the name of each part of a page, and its text."""
    for page in PAGES:
        yield from ((f"{page}-{number}", text) for number, text in enumerate(read(page).split(ANEW)))


def blocks(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield (language, code, the file that the text before it names last)."""
    for before, language, code in BLOCK.findall(text):
        yield language, code, ["", *re.findall(r"`([\w./-]+\.(?:py|toml))`", before)][-1]


def commands(code: str) -> list[tuple[str, list[str]]]:
    """Return each command of a console block with the lines that it prints."""
    found: list[tuple[str, list[str]]] = []
    for line in code.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def looks_like(output: str, expected: list[str]) -> bool:
    """Compare; `...` stands for anything in a line, and alone for any lines."""
    parts = [
        r"(?:.*\n)*?" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + r"\n" for line in expected
    ]
    return re.fullmatch("".join(parts), output) is not None


class Listener:
    """A command that goes on, and prints a line for each command after it that concerns it."""

    def __init__(self, command: str, expected: list[str], folder: Path) -> None:
        self.expected = expected
        self.process = subprocess.Popen(
            ["sh", "-c", command],
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def receive(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline().rstrip() == self.expected.pop(0)

    def end(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.communicate(timeout=30)


class Terminals:
    """Those in which a reader would type: one for the daemon, one for each listener, one for the rest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemon: Daemon | None = None
        self.listeners: list[Listener] = []
        self.ports: dict[str, str] = {}

    def type(self, command: str, expected: list[str]) -> None:
        if command.startswith("hubbub run"):
            self.close()
            self.start(shlex.split(command)[2:])
            return
        command = re.sub(r"\b(1883|4222|6999|7001|8883)\b", lambda port: self.ports.get(port[0], port[0]), command)
        waiting = next((one for one in self.listeners if one.expected), None)
        if "cat)" in command or ("SUB " in command and not re.search("QUIT|timeout", command)):
            listener = Listener(command, expected, self.folder)
            self.listeners.append(listener)
            if expected[0].startswith("OK SUB"):
                listener.receive()
        else:
            output = self.run(command)
            assert looks_like(output, expected), output
        if waiting is not None:
            waiting.receive()

    def run(self, command: str) -> str:
        """Run a command in a shell, or one of hubbub that needs none in a fork, which starts sooner."""
        name, *words = shlex.split(command)
        if name == "hubbub" and not SHELL.search(command):
            return hubbub_process(*words, folder=self.folder, seconds=50, CI="true").stdout
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder, env={**os.environ, "PATH": path, "CI": "true"}, stdout=subprocess.PIPE, text=True,
            timeout=50, check=False,
        )  # fmt: skip
        return done.stdout

    def start(self, options: list[str]) -> None:
        if "--tcp" not in options and "--config" not in options:
            options = [*options, *DEFAULT]
        given = re.findall(r"--(tcp|udp|websocket) (?:tcp|udp|ssl):(\d+)", " ".join(options))
        options = [re.sub(r"^(tcp|udp|ssl):\d+", r"\1:0", option) for option in options]
        self.daemon = daemon = Daemon(*options, folder=self.folder).__enter__()
        bound = {"tcp": iter(daemon.tcp), "udp": iter(daemon.udp), "websocket": iter(daemon.websocket)}
        self.ports = {port: str(next(bound[kind])[1]) for kind, port in given}

    def close(self) -> None:
        assert not any(one.expected for one in self.listeners)
        while self.listeners:
            self.listeners.pop().end()
        if self.daemon is not None:
            daemon, self.daemon = self.daemon, None
            daemon.__exit__(None, None, None)
            assert "Traceback" not in daemon.log


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in parts()])
def test_every_block(text: str, tmp_path: Path, need: Callable[[str], str]) -> None:
    need("nc")
    scale_examples(tmp_path)
    terminals = Terminals(tmp_path)
    try:
        for language, code, file in blocks(text):
            if language == "python":
                (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / file).write_text(code)
            elif file == "permissions.toml":
                (tmp_path / file).write_text(code)
            elif language == "toml":
                (tmp_path / "hubbub.toml").write_text(re.sub(r"(tcp|ssl):\d+", r"\1:0", code))
                listener = () if "[[tcp]]" in code else ("--tcp", "tcp:0")
                with Daemon("--config", "hubbub.toml", *listener, folder=tmp_path) as daemon:
                    assert "Traceback" not in daemon.log
            elif language != "html":  # test_docs_page.py
                assert language == "console", language
                for command, expected in commands(code):
                    terminals.type(command, expected)
        terminals.close()
    finally:
        for listener in terminals.listeners:
            listener.end()
        if terminals.daemon is not None:
            terminals.daemon.__exit__(None, None, None)


def test_all_that_a_dialect_can_say_is_named() -> None:
    """Every event, and whatever a dialect may override or is told."""
    text = read("dialects.md")
    events = {name for name, kind in vars(hubbub).items() if isinstance(kind, type) and issubclass(kind, hubbub.Event)}
    names = events - {"Event"} | {"Publish", "QosPublish", "Request", "IdForm", "NeverDrop", "Text"}
    names |= {
        name for kind in (hubbub.Dialect, hubbub.DialectContext) for name in vars(kind) if not name.startswith("_")
    }
    assert {name for name in names if not re.search(rf"\b{name}\b", text)} == set()


def test_each_option_and_key_is_in_a_page_that_a_person_wrote() -> None:
    help = all_help()["run"].text
    pages = "\n".join(path.read_text() for path in (*(ROOT / "docs").glob("*.md"), ROOT / "README.md"))
    named = {*re.findall(r"--[a-z-]+[a-z]", help), *re.findall(r"^  ([a-z-]+)=\d", help, re.MULTILINE)}
    keys = set(re.findall(r"(?<![\w-])([a-z-]+)=", help.partition("Keys:")[2].partition("Options:")[0]))
    assert len(named) > 40
    assert len(keys) > 30
    assert {name for name in named if name not in pages} == set()
    assert {key for key in keys if not re.search(rf"(?<![\w-]){key} ?=", pages)} == set()


@pytest.mark.parametrize("page", PAGES)
def test_what_is_named_is_there(page: str) -> None:
    text = read(page)
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / "docs" / link).exists(), link
    for file in re.findall(r"`((?:daemon|plugins)/[\w/.]+)`", text):
        assert (ROOT / file).exists(), file
    one_line = ("$ ", "|")  # a command, and a row of a table
    assert max(len(line) for line in text.splitlines() if not line.startswith(one_line)) <= 125
