"""`hubbub try`: what it prints for captured bytes, and what it says where it can't."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Answer, Close, Confirm, Connect, Fault, Ping, Subscribe, Unsubscribe
from hubbub.publish import Publish, Request
from hubbub.service.cli import main
from hubbub.service.tracing.event_text import describe

METER = '''
from hubbub import ConfigError, Dialect, Fault, Publish, Refusal, option

class Meter(Dialect):
    """Two digits a reading; over UDP told when it is quiet."""

    transports = ("udp", "websocket", "tcp")
    scale = option(1, int, "what a reading is multiplied by")
    rest = b""

    def receive(self, data, now, text=None):
        self.rest += data
        if self.context.transport == "udp":
            self.deadline = now + 1
            return []
        return self.read(len(self.rest) // 2 * 2)

    def read(self, whole):
        taken, self.rest = self.rest[:whole], self.rest[whole:]
        readings = [int(taken[at : at + 2]) * self.scale for at in range(0, whole, 2)]
        return [Publish("meter", str(reading).encode()) for reading in readings]

    def eof(self, now):
        return [Fault(Refusal("bad-payload", "half a reading"))] if self.rest else []

    def timeout(self, now):
        return self.read(len(self.rest))

class Deaf(Dialect):
    """Forgets to return a list."""

    def receive(self, data, now, text=None):
        pass

class Picky(Dialect):
    """Can't be made."""

    def __init__(self, context, peer):
        raise ConfigError("picky wants a better place")
'''


@pytest.fixture
def capture(tmp_path, monkeypatch):
    """`capture(data)` writes the file capture.bin, here."""
    monkeypatch.chdir(tmp_path)
    return (tmp_path / "capture.bin").write_bytes


@pytest.fixture
def trial(capsys):
    """`trial(...)` returns the lines that `hubbub try ...` prints."""

    def run(*arguments: str) -> list[str]:
        status = main(["try", *arguments])
        captured = capsys.readouterr()
        assert (status, captured.err) == (0, "")
        return captured.out.splitlines()

    return run


@pytest.fixture
def refused(capsys):
    """`refused(...)` returns the one line that it says instead."""

    def run(*arguments: str) -> str:
        assert main(["try", *arguments]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("hubbub: ")
        assert captured.err.count("\n") == 1
        return captured.err[len("hubbub: ") : -1]

    return run


@pytest.mark.parametrize("options", [[], ["--split", "1"], ["--split=7"]])
def test_lines(capture, trial, options):
    capture(b"PUB a/b 21.5 \xc2\xb0C\r\nSUB c/#\nPUBB! d AAH/\nAUTH ada lovelace\nPUB\nREQ e f\nPING\nQUIT\nPUB a late")
    assert trial("lines", "capture.bin", *options) == [
        "Publish a/b '21.5 °C'",
        "Subscribe c/#",
        r"Publish d b'\x00\x01\xff' retain=True",
        "Connect user='ada' password=...",
        "Fault bad-command: PUB wants a topic; HELP shows how",
        "Request e 'f' timeout=2.0",
        "Ping",
        r"Close the client sent QUIT data='BYE\n'",
    ]


def test_mqtt(capture, trial):
    capture(b"\x10\x0d\0\4MQTT\4\2\0<\0\1c\xc0")
    opened, left = trial("mqtt", "capture.bin", "--split", "1")
    assert opened.startswith("Connect client='c' ")
    assert left == "= 1 bytes of a packet held"
    capture(b"\x10\x0d\0\4MQTX\4\2\0<\0\1c")
    (refused,) = trial("mqtt", "capture.bin")
    assert refused.startswith("Close bad-command: that protocol name isn't supported")


def test_json(capture, trial):
    capture(
        b'{"op":"publish","topic":"a b","data":{"x":[1]},"properties":{"k":"v"}}\n{"op":"subscribe","topic":"#","id":7}'
    )
    published, subscribed = trial("json", "capture.bin")
    assert published == """Publish a%20b '{"x":[1]}' content_type='application/json' properties={'k': 'v'}"""
    assert subscribed.startswith("Subscribe # ")
    assert subscribed.endswith(" tag=7")


def test_options_of_the_dialect_and_of_its_listener(capture, trial):
    capture(b"\x00\x03abc\x00\x01d\x00")
    assert trial("raw", "capture.bin", "length=u16be", "topic=plant/{id}", "--split", "2") == [
        "Publish plant/try 'abc'",
        "Publish plant/try 'd'",
        "Fault bad-payload: the last frame is cut short: 1 bytes of it",
    ]
    assert trial("raw", "--split", "1", "capture.bin", "end=00", "max_message=2") == [
        "Publish raw/try ''",
        "Close too-long: a frame is longer than 2 bytes",
    ]


def test_hexadecimal_text_on_stdin(trial, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"61 62\n 0\t0 FF\n")))
    assert trial("raw", "--hex", "-", "size=2") == ["Publish raw/try 'ab'", r"Publish raw/try b'\x00\xff'"]


def test_units(capture, trial):
    """A datagram or a message is whole; on WebSocket raw tells text from binary by what carried it."""
    capture(b"PUB a 1\nPUB b 2")
    assert trial("lines", "capture.bin", "--transport", "udp") == ["Publish a '1'", "Publish b '2'"]
    assert trial("raw", "capture.bin", "--transport=udp", "--split", "8") == [
        r"Publish raw/try 'PUB a 1\n'",
        "Publish raw/try 'PUB b 2'",
    ]
    (event,) = trial("raw", "capture.bin", "--transport", "websocket")
    assert event.endswith(" content_type='application/octet-stream'")
    capture(b"")
    assert trial("raw", "capture.bin", "--transport", "udp") == ["Publish raw/try ''"]
    assert trial("raw", "capture.bin") == []


@pytest.mark.parametrize(("data", "dialect"), [(b'{"op":"ping"}\n', "json"), (b"PING\n", "lines"), (b"PING", "lines")])
def test_auto(capture, trial, data, dialect):
    capture(data)
    assert trial("auto", "capture.bin", "--split", "1") == [f"SwitchDialect {dialect}", "Ping"]


def test_a_plugin(capture, trial, tmp_path):
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "meter.py").write_text(METER)
    capture(b"12345")
    assert trial("meter", "capture.bin", "--plugin-dir", "kit", "--transport", "tcp", "scale=2") == [
        "Publish meter '24'",
        "Publish meter '68'",
        "Fault bad-payload: half a reading",
    ]
    capture(b"1234")
    assert trial("meter", "capture.bin", "--plugin-dir=kit", "--split", "1") == [
        "Publish meter '12'",
        "Publish meter '34'",
    ]


def test_a_dialect_that_raises_is_reported_by_file_and_line(capture, capsys, tmp_path):
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "meter.py").write_text(METER)
    capture(b"12ab")
    assert main(["try", "meter", "capture.bin", "--plugin-dir", "kit", "--transport", "tcp", "--split", "2"]) == 1
    captured = capsys.readouterr()
    line = METER.splitlines().index(next(line for line in METER.splitlines() if "int(taken" in line)) + 1
    assert captured.out == "Publish meter '12'\n"
    assert captured.err.startswith(
        f"hubbub: dialect meter raises: kit/meter.py, line {line}: ValueError: invalid literal"
    )
    assert captured.err.count("\n") == 1


def test_what_is_wrong_with_a_dialect_is_one_line(capture, refused, tmp_path):
    (tmp_path / "meter.py").write_text(METER)
    capture(b"1")
    assert refused("picky", "capture.bin", "--plugin-dir", ".") == "picky wants a better place"
    said = refused("deaf", "capture.bin", "--plugin-dir", ".")
    assert said.startswith("dialect deaf raises: ")
    assert said.endswith("'NoneType' object is not iterable")
    (tmp_path / "meter.py").write_text("class Meter(")
    assert "meter.py, line 1: SyntaxError" in refused("meter", "capture.bin", "--plugin-dir", ".")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["raw"], "try: the following arguments are required: FILE; `hubbub try --help` shows how"),
        (["raw", "capture.bin", "--fast"], "try: unrecognized arguments: --fast; `hubbub try --help` shows how"),
        (["raw", "capture.bin", "--split"], "try: argument --split: expected one argument"),
        (["raw", "capture.bin", "--split", "0"], "try: argument --split: expected a number of bytes, at least 1"),
        (["raw", "capture.bin", "--split", "²"], "try: argument --split: expected a number of bytes, at least 1"),
        (["raw", "capture.bin", "--transport", "sctp"], "try: argument --transport: unknown 'sctp'; there are tcp"),
        (["raw", "nowhere.bin"], "nowhere.bin: No such file or directory"),
        (["raw", "."], ".: Is a directory"),
        (["raw", "a\0b"], r"a\x00b: embedded null byte"),
        (["raw", "capture.bin", "--hex"], "capture.bin, line 2: 'P' is no hexadecimal digit"),
        (["raw", "odd.hex", "--hex"], "odd.hex: 3 hexadecimal digits, but a byte has two"),
        (["raw", "long.bin"], f"long.bin is longer than {limits.CAPTURE_BYTES} bytes"),
        (["nope", "capture.bin"], "unknown dialect 'nope'; there are auto, gelf, graphite, influx, json, lines, "),
        (["upper", "capture.bin"], "unknown dialect 'upper'; there are auto, gelf, graphite, influx, json, lines, "),
        (["raw", "capture.bin", "size"], "'size' is no KEY=VALUE"),
        (["raw", "capture.bin", "=8"], "'=8' is no KEY=VALUE"),
        (["raw", "capture.bin", "size=8", "size=9"], "size= is given twice"),
        (["raw", "capture.bin", "size=x"], "raw: size=x: expected a number of bytes, at least 1, such as 8"),
        (["raw", "capture.bin", "speed=8"], "raw: unknown key speed=, it takes end= gap= length= size="),
        (["raw", "capture.bin", "max-message=x"], "max-message=x: expected bytes"),
        (["raw", "capture.bin", "topic=a/#"], "'a/#' is no topic: "),
        (["raw", "capture.bin", "topic={imei}"], "'{imei}' has the unknown field {imei}; there are "),
        (["raw", "capture.bin", "--plugin-dir", "nowhere"], "--plugin-dir nowhere: there is no such folder"),
    ],
)
def test_a_mistake_is_one_line(arguments, says, capture, refused, tmp_path):
    capture(b"00\nPUB a 1\n")
    (tmp_path / "odd.hex").write_text("00 1\n")
    with (tmp_path / "long.bin").open("wb") as stream:
        stream.truncate(limits.CAPTURE_BYTES + 1)
    assert refused(*arguments).startswith(says)


def test_a_transport_that_the_dialect_has_not(capture, refused, tmp_path):
    (tmp_path / "only.py").write_text("from hubbub import Dialect\nclass Only(Dialect):\n    transports = ('udp',)\n")
    capture(b"")
    said = refused("only", "capture.bin", "--plugin-dir", ".", "--transport", "tcp")
    assert said == "dialect only is for udp, not for tcp"


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            Subscribe("a/+", echo=False, full="latest", options=(1, 2)),
            "Subscribe a/+ echo=False full='latest' options=(1, 2)",
        ),
        (Unsubscribe("a b", tag=3), "Unsubscribe a%20b tag=3"),
        (Publish("a", b"", reply_to="r", tag=0), "Publish a '' reply_to='r' tag=0"),
        (Publish("a", b"x" * 500), f"Publish a '{'x' * 400}'... (500 bytes)"),
        (Publish("a", "é".encode() * 400), f"Publish a '{'é' * 400}'"),
        (Request("a", b"1", timeout=0.5, blocking=False), "Request a '1' timeout=0.5 blocking=False"),
        (Connect("me", "ada", "secret", tag="t"), "Connect client='me' user='ada' password=... tag='t'"),
        (Connect(token="secret"), "Connect token=..."),
        (Confirm("abc"), "Confirm token=..."),
        (Ping(tag=b"\xff"), r"Ping tag=b'\xff'"),
        (Answer(b"+OK\r\n"), r"Answer '+OK\r\n'"),
        (Fault(Refusal("bad-topic", "no\n\x1b[2J")), r"Fault bad-topic: no\n\x1b[2J"),
        (Close("end"), "Close end"),
        (Close("x", b"bye", Refusal("quota", "too many")), "Close quota: too many data='bye'"),
        (Connect(client="c" * 500), f"Connect client='{'c' * 399}..."),
    ],
)
def test_an_event_is_one_line(event, line):
    assert describe(event) == line


def test_help(capsys):
    for arguments in (["try"], ["try", "--help"], ["try", "lines", "-h"]):
        assert main(arguments) == 0
        output = capsys.readouterr().out
        assert "hubbub try [OPTIONS] DIALECT FILE [KEY=VALUE ...]" in output
        assert all(len(line) <= 80 for line in output.splitlines())


def hubbub_try(*arguments: str, **more: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "hubbub", "try", *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def test_as_a_command_where_the_terminal_knows_ascii_alone():
    with hubbub_try("lines", "-", env={**os.environ, "PYTHONIOENCODING": "ascii"}) as process:
        out, errors = process.communicate("PUB a °\n".encode(), timeout=30)
    assert (process.returncode, out, errors) == (0, rb"Publish a '\xb0'" + b"\n", b"")


def test_the_reader_of_its_output_closes_early(tmp_path: Path):
    """As with `| head -1`."""
    (tmp_path / "many").write_bytes(b"PUB a 1\n" * 100_000)
    with hubbub_try("lines", str(tmp_path / "many")) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"Publish a '1'\n"
        process.stdout.close()
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, b"")
