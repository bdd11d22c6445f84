"""The log: its three shapes, what is left out of it, and that it never keeps the daemon from its work."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import socket
import time

import pytest
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from hubbub import limits
from hubbub.service.logs.journal import Journal, is_journal
from hubbub.service.logs.observers import Observer, Repeats, Stream, coloured, entry, human, machine


def event(format="hello {name}", level=LogLevel.info, **fields):
    return {"log_format": format, "log_level": level, "log_namespace": "hubbub.test", "log_time": 1.0, **fields}


def failed(text="no"):
    try:
        raise ValueError(text)
    except ValueError:
        return Failure()


def test_an_entry():
    made = entry(event(name="you", count=3, log_secret="x", thing=object(), none=None))
    assert made == {
        "ts": "1970-01-01T00:00:01.000+00:00",
        "level": "info",
        "ns": "hubbub.test",
        "msg": "hello you",
        "name": "you",
        "count": 3,
        "none": None,
    }


def test_a_line_for_machines_is_one_line_of_json():
    made = entry(event(name="a\nb\u2028c\x1b[2J", log_failure=failed("x\ny")))
    line = machine(made)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == made
    assert made["traceback"].startswith("Traceback (most recent call last):\n")


def test_a_line_for_people():
    line = human(entry(event(name="you", level=LogLevel.warn)))
    assert re.fullmatch(r"1970-01-01 \d\d:\d\d:\d\d warn     hello you", line)


def test_a_warning_has_a_colour_on_a_terminal_and_plain_news_has_none():
    assert coloured(entry(event())) == human(entry(event()))
    for level, colour in ((LogLevel.warn, "33"), (LogLevel.error, "31"), (LogLevel.critical, "1;31")):
        made = entry(event(level=level))
        assert coloured(made) == f"\x1b[{colour}m{human(made)}\x1b[0m"


@pytest.mark.parametrize(
    ("namespace", "text", "written"),
    [
        ("twisted.scripts._twistd_unix.UnixAppLogger", "twistd 26.10.0 starting up.", False),
        ("log_legacy", "HttpSite starting on 8999", False),
        ("log_legacy", "Unable to write to plugin cache /opt/dropin.cache: error number 13", False),
        ("log_legacy", "ControlFactory starting on '/tmp/control.sock'", False),
        ("log_legacy", "(TCP Port 6999 Closed)", False),
        ("log_legacy", "what a plugin tells by twisted.python.log", True),
        ("hubbub.service.daemon", "ready: tcp 127.0.0.1:6999", True),
    ],
)
def test_what_twisted_logs_of_itself_is_left_out_unless_it_is_wrong(namespace, text, written):
    reported = []
    observer = Observer(reported.append)
    for level in (LogLevel.info, LogLevel.warn):
        observer({**event("{text}", level, text=text), "log_namespace": namespace})
    assert [made["level"] for made in reported] == ["info", "warn"][not written :]


def test_no_client_can_begin_a_log_line_or_move_the_cursor():
    attack = "x\n2026-01-01 00:00:00 info     all is well\r\x1b[2J\x9b\u2028\u202e\u200b\ud800"
    lines = human(entry(event(name=attack, log_failure=failed(attack)))).split("\n")
    assert all(line.isprintable() for line in lines)
    assert all(line.startswith("    ") for line in lines[1:])


def test_a_failure_without_words_says_what_it_is():
    made = entry({"log_failure": failed("what is wrong"), "log_level": LogLevel.critical, "log_time": 0.0})
    assert made["msg"] == "what is wrong"
    assert made["level"] == "critical"


def test_no_secret_that_an_object_holds_is_reported():
    class Settings:
        def __repr__(self):
            return "password"

    assert "password" not in machine(entry(event(name="you", settings=Settings(), all=[Settings()])))


def test_what_is_long_is_cut():
    made = entry(event(name="x" * 1_000_000, log_failure=failed("y" * 1_000_000)))
    assert len(machine(made)) < 4 * limits.LOG_CHARACTERS


# Repeats


@pytest.fixture
def repeats():
    now = [0.0]
    made = Repeats(lambda: now[0])
    made.now = now
    return made


def test_repeats_are_counted(repeats):
    written = [one for n in range(100) for one in repeats.allow(event(name=str(n)))]
    assert len(written) == limits.LOG_REPEATS
    repeats.now[0] += limits.LOG_SECONDS
    summary, again = repeats.allow(event(name="again"))
    assert entry(summary)["msg"] == f"{100 - limits.LOG_REPEATS} more lines like this were left out: hello {{name}}"
    assert entry(summary)["ns"] == "hubbub.test"
    assert again["name"] == "again"


def test_a_line_about_something_else_is_no_repeat(repeats):
    for n in range(limits.LOG_REPEATS * 3):
        assert len(list(repeats.allow(event(format=("one", "two", "three")[n % 3])))) == 1
    assert list(repeats.allow(event(format="one"))) == []
    assert list(repeats.allow(event(format="one", level=LogLevel.error))) != []


def test_what_a_plugin_prints_is_no_repeat(repeats):
    for _ in range(100):
        assert list(repeats.allow({**event(), "log_namespace": "stdout"}))


def test_the_kinds_that_are_counted_are_bounded(repeats):
    written = sum(len(list(repeats.allow(event(format=str(n))))) for n in range(limits.LOG_KINDS + 100))
    assert written == limits.LOG_KINDS
    assert repeats.left_out


def test_the_observer_counts_too_and_leaves_debug_out():
    written = []
    observer = Observer(written.append)
    log = Logger(namespace="hubbub.test", observer=observer)
    log.debug("what nobody wants to know")
    for _ in range(limits.LOG_REPEATS + 5):
        log.info("again")
    assert [one["msg"] for one in written] == ["again"] * limits.LOG_REPEATS
    observer._tell()
    assert written[-1]["msg"] == "5 more lines like this were left out: again"


# Where it goes


def test_an_unread_log_blocks_no_daemon():
    reading, writing = os.pipe()
    stream = Stream(writing, machine)
    before = time.monotonic()
    for n in range(10_000):
        stream(entry(event(name=str(n))))
    assert time.monotonic() - before < 20, "it waits for its reader"
    got = os.read(reading, 1 << 20).decode().splitlines()
    assert 100 < len(got) < 10_000
    stream(entry(event(name="later")))
    last = json.loads(os.read(reading, 1 << 20).decode().splitlines()[-1])
    assert last["lost"] == 10_000 - len(got)
    assert "were lost" in last["msg"]
    os.close(reading)
    stream(entry(event(name="to nobody")))
    os.close(writing)


def parse(datagram: bytes) -> dict[str, str]:
    """Read an entry as journald does."""
    found = {}
    while datagram:
        line, _, datagram = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(datagram[:8], "little")
            value, end, datagram = datagram[8 : 8 + size], datagram[8 + size : 9 + size], datagram[9 + size :]
            assert end == b"\n"
        found[name.decode()] = value.decode()
    return found


@pytest.fixture
def journald(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "journal"))
        made.settimeout(30)
        yield made


def test_fields_for_the_journal(journald):
    journal = Journal(journald.getsockname())
    journal(entry(event(name="you\nPRIORITY=0", level=LogLevel.error, link="ab12", count=3, log_failure=failed())))
    fields = parse(journald.recv(1 << 20))
    assert fields.pop("MESSAGE").startswith("hello you\nPRIORITY=0\nTraceback ")
    assert fields == {
        "PRIORITY": "3",
        "SYSLOG_IDENTIFIER": "hubbub",
        "HUBBUB_NS": "hubbub.test",
        "HUBBUB_NAME": "you\nPRIORITY=0",
        "HUBBUB_LINK": "ab12",
        "HUBBUB_COUNT": "3",
    }


def test_a_full_journal_blocks_no_daemon(journald):
    journal = Journal(journald.getsockname())
    for _ in range(10_000):
        journal(entry(event(name="x")))
    got = 0
    journald.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while journald.recv(1 << 20):
            got += 1
    journal(entry(event(name="later")))
    assert parse(journald.recv(1 << 20))["HUBBUB_LOST"] == str(10_000 - got)


def test_the_longest_entry_fits(journald):
    text = "\U0001f600" * (limits.LOG_CHARACTERS + 1)
    Journal(journald.getsockname())(entry(event(name=text, log_failure=failed(text))))
    assert parse(journald.recv(1 << 20))["MESSAGE"].endswith("...")


def test_where_there_is_no_journal(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        Journal(str(tmp_path / "nothing"))


def test_whether_the_output_is_the_journal(tmp_path):
    with (tmp_path / "out").open("w") as file:
        found = os.fstat(file.fileno())
        assert is_journal(f"{found.st_dev}:{found.st_ino}", file)
        assert not is_journal(f"{found.st_dev}:{found.st_ino + 1}", file)
        assert not is_journal(None, file)
        assert not is_journal("nonsense", file)
    assert not is_journal("1:2", io.StringIO())
