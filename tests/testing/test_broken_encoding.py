"""The contract of dialects: rules of what goes out; one that is broken fails with a sentence that says which."""

from __future__ import annotations

from hubbub import Publish
from testing.suites import Broken
from testing.tally import Tally, check_dialect

BROKEN = Broken()
breaks = BROKEN.says


# What goes out


@breaks("outcome(Publish, Refusal('bad-command', 'a reason, für alle')) is 'no'")
class Words(Tally):
    def outcome(self, event, result):
        return "no"


@breaks("gap(1) raised KeyError")
class NoGap(Tally):
    def gap(self, n):
        return {}[n]


@breaks("encode_close('shutdown') is None")
class NoWords(Tally):
    def encode_close(self, reason):
        pass


@breaks("raised AttributeError: 'NoneType' object has no attribute 'encode'")
class TextOnly(Tally):
    @classmethod
    def encode(cls, message, form):
        return message.text.encode()


@breaks("is '21.5'.\nReturn bytes, or None")
class Strings(Tally):
    @classmethod
    def encode(cls, message, form):
        return message.text


@breaks("is b'0', and then b'1'.\nWhat it writes is shared by links")
class Counted(Tally):
    @classmethod
    def encode(cls, message, form):
        cls.count = getattr(cls, "count", -1) + 1
        return b"%d" % (cls.count % 2)


@breaks("encode changes the message")
class Changes(Tally):
    @classmethod
    def encode(cls, message, form):
        message.payload = message.payload.strip()
        return message.payload


@breaks("encode_all is [b'21.5'")
class Together(Tally):
    @classmethod
    def encode_all(cls, messages, form):
        return [message.payload for message in messages]


@breaks("raised TypeError: unhashable type: 'list'")
class ListForm(Tally):
    def form(self, subscription):
        return [self.context.stream]


@breaks("raised TypeError: cannot unpack non-iterable NoneType object")
class OptionForm(Tally):
    def form(self, subscription):
        kind, _ = subscription.options
        return kind


@breaks("and that is read as [")
class Unreadable(Tally):
    def number(self, line):
        return Publish("tally", line)

    @classmethod
    def encode(cls, message, form):
        return message.payload + b"\n"


@BROKEN.every
def test_a_broken_rule_is_reported(sentence, broken):
    check_dialect(sentence, broken)
