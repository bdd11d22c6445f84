"""A dialect that keeps all rules, for tests to break one of them."""

from __future__ import annotations

from hubbub import Close, Dialect, Fault, Message, Publish, Refusal
from hubbub.framing import EndReader, TooLong
from hubbub.testing import DialectContract
from testing.suites import check


class Tally(Dialect):
    """One number a line, both ways; it keeps every rule."""

    def __init__(self, context, peer):
        super().__init__(context, peer)
        self.lines = EndReader(b"\n", context.max_message)

    def receive(self, data, now, text=None):
        try:
            frames = self.lines.feed(data if self.context.stream else data + b"\n")
        except TooLong as long:
            refusal = Refusal("too-long", "a line is too long")
            return [*self.numbers(long.frames), Close(refusal.reason, refusal=refusal)]
        return self.numbers(frames)

    def eof(self, now):
        return self.numbers([self.lines.rest()])

    def numbers(self, lines):
        return [self.number(line) for line in lines if line]

    def number(self, line):
        if not line.isdigit():
            return Fault(Refusal("bad-payload", "a line is a number"))
        return Publish("tally", line)

    def form(self, subscription):
        return self.context.stream

    @classmethod
    def encode(cls, message, form):
        return message.payload + b"\n" * form if message.payload.isdigit() else None


class TallyContract(DialectContract):
    dialect = Tally
    samples = [(b"125\n", ["Publish tally '125'"]), (b"x\n", ["Fault bad-payload"])]
    round_trip = [Message("tally", b"7")]


def check_dialect(sentence, broken):
    """Check that the contract of `broken`, a dialect or a contract, fails with that sentence."""
    if issubclass(broken, Dialect):
        broken = type("Contract", (TallyContract,), {"dialect": broken})
    check(sentence, broken)
