"""The contract of dialects: what breaks a rule fails, with a sentence that says which and how to mend it."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import time

from hubbub import Close, Fault, Message, Publish, Refusal, Subscribe
from hubbub.framing import EndReader
from testing.suites import Broken, failures
from testing.tally import Tally, TallyContract, check_dialect


def test_what_keeps_the_rules_passes():
    assert list(failures(TallyContract)) == []


BROKEN = Broken()
breaks = BROKEN.says


# What the class says


@breaks("there are no samples")
class NoSamples(TallyContract):
    samples = ()


@breaks("`transports` is ('serial',)")
class Serial(Tally):
    transports = ("serial",)


@breaks("`full` is 'drop'")
class Policy(Tally):
    full = "drop"


@breaks("encode is a plain method")
class PlainEncode(Tally):
    def encode(self, message, form):
        return None


@breaks("making it raised TypeError")
class NoPeer(Tally):
    def __init__(self, context):
        super().__init__(context, None)


@breaks("its options can't be used: tally: unknown key speed=")
class NoOption(TallyContract):
    options = {"speed": "9600"}


@breaks("max_unit is 1000000000 bytes where max-message= is 1000")
class Greedy(Tally):
    @classmethod
    def max_unit(cls, context):
        return 10**9


# What comes in


@breaks("b'125\\n' gives [Publish tally '125'] instead of [Publish tally '126']")
class WrongSample(TallyContract):
    samples = [(b"125\n", ["Publish tally '126'"])]


@breaks("the events depend on how the stream is cut")
class NoBuffer(Tally):
    def receive(self, data, now, text=None):
        return self.numbers(data.split(b"\n"))


@breaks("over udp, by an object of its own")
class Greeted(Tally):
    greeted = False

    def number(self, line):
        found = super().number(line) if self.greeted or line == b"125" else Fault(Refusal("bad-command", "125 first"))
        self.greeted = True
        return found


@breaks("behind another datagram that was cut short")
class Joined(Tally):
    def receive(self, data, now, text=None):
        return self.numbers(self.lines.feed(data))


@breaks("receive_units gives []")
class Forgetful(Tally):
    def receive_units(self, units, now):
        return []


@breaks("beside a link that is in the middle of it")
class Shared(Tally):
    buffer = EndReader(b"\n", 1000)

    def __init__(self, context, peer):
        super().__init__(context, peer)
        self.lines = self.buffer


@breaks("have different forms for one subscription")
class Selfish(Tally):
    def form(self, subscription):
        return id(self)


@breaks("raised ValueError: invalid literal for int()")
class Raises(Tally):
    def number(self, line):
        return Publish("tally", str(int(line)).encode())


@breaks("is told twice: [Publish tally '")
class Twice(Tally):
    def eof(self, now):
        rest = self.lines.rest()
        self.lines.feed(rest)
        return self.numbers([rest])


@breaks("bytes that begin with b'A' it holds")
class Endless(Tally):
    def __init__(self, context, peer):
        super().__init__(context, peer)
        self.lines = EndReader(b"\n", 10**9)


@breaks("times b'125\\n' it holds")
class History(Tally):
    def number(self, line):
        self.seen = [*getattr(self, "seen", ()), bytes(line) * 300]
        return super().number(line)


@breaks("is swallowed without an event")
class Silent(Tally):
    def receive(self, data, now, text=None):
        return [event for event in super().receive(data, now, text) if isinstance(event, Publish)]


@breaks("where the listener takes 1000; compare with context.max_message")
class TooBig(Tally):
    transports = ("udp",)

    def receive(self, data, now, text=None):
        return [Publish("tally", data)]


@breaks("it calls time.time (")
class Clock(Tally):
    def number(self, line):
        return Publish(f"tally/{time.time() > 0}", line)


@breaks("it calls random.random (")
class Chance(Tally):
    def number(self, line):
        return Publish(f"tally/{random.random() < 2}", line)


@breaks("it calls print (")
class Chatty(Tally):
    def number(self, line):
        print(line)  # noqa: T201
        return super().number(line)


@breaks("gave other events")
class Numbered(Tally):
    count = itertools.count()

    def number(self, line):
        return Publish(f"tally/{next(self.count)}", line)


@breaks("differ where only the clock shows another time")
class Stamped(Tally):
    def receive(self, data, now, text=None):
        return [Publish("tally", str(now).encode())]


@breaks("after receive the deadline is 970 s before now")
class Past(Tally):
    def receive(self, data, now, text=None):
        self.deadline = 30
        return super().receive(data, now, text)


@breaks("so that it would ring for ever")
class Rings(Tally):
    def receive(self, data, now, text=None):
        self.deadline = now + 1
        return super().receive(data, now, text)

    def timeout(self, now):
        self.deadline = now
        return []


# What events look like


class Says(Tally):
    def number(self, line):
        return self.event


@breaks("It returns NoneType; return a list of events")
class NoList(Tally):
    def receive(self, data, now, text=None):
        pass


def says(sentence, event):
    """A dialect that makes `event` of each line."""
    breaks(sentence)(type("Says", (Says,), {"event": event}))


says(
    "Message is no event; a link acts on exactly these, no subclasses: Ack, Announcement, Answer",
    Message("a", b""),
)
says("Publish.topic is 'tally/#'; it must be a valid topic", Publish("tally/#", b""))
says("Publish.payload is bytearray(b'1'); it must be bytes", Publish("a", bytearray(b"1")))
says("Publish.properties is {'n': 1}; it must be None or at most 64 str by str", Publish("a", b"", properties={"n": 1}))
says("Subscribe.options is ['x']; it must be hashable", Subscribe("a", options=["x"]))
says("A Refusal has the code 'oops'; it must be one of bad-command", Fault(Refusal("oops", "a reason")))
says("A Refusal's reason is 'two\\nlines'; it must be one line", Fault(Refusal("internal", "two\nlines")))
says("Close.data is None; it must be bytes", Close("done", None))


@breaks("There are events behind a Close")
class Behind(Tally):
    def receive(self, data, now, text=None):
        return [Close("done"), *super().receive(data, now, text)]


@breaks("is None.\nReturn its unit, or take it out of `round_trip`")
class Mute(Tally):
    @classmethod
    def encode(cls, message, form):
        return None


# What tells it apart


@breaks("claims(b'') raised IndexError")
class FirstByte(Tally):
    @classmethod
    def claims(cls, head):
        return 48 <= head[0] < 58


@breaks("with one byte more")
class Hasty(Tally):
    @classmethod
    def claims(cls, head):
        return len(head) % 2 == 0 if head else None


@breaks("isn't True, though the samples begin so")
class Shy(Tally):
    @classmethod
    def claims(cls, head):
        return None


@BROKEN.every
def test_a_broken_rule_is_reported(sentence, broken):
    check_dialect(sentence, broken)


IN_PYTEST = """
from hubbub import Dialect, Publish
from hubbub.testing import DialectContract

class Chunks(Dialect):
    def receive(self, data, now, text=None):
        return [Publish("a", data)]

class TestChunks(DialectContract):
    dialect = Chunks
    samples = [(b"1;", ["Publish a '1;'"])]
"""


def test_what_pytest_shows(tmp_path):
    (tmp_path / "test_chunks.py").write_text(IN_PYTEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_chunks.py"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1
    assert "chunks, over tcp: the events depend on how the stream is cut: b'1;' arriving byte by byte" in run.stdout
    assert "Traceback" not in run.stdout
    assert "skipped" not in run.stdout
