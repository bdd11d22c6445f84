"""The contract of dialects that have messages acknowledged: what breaks a rule, and the sentence that says so."""

from __future__ import annotations

from hubbub import Ack, Close, Dialect, Letter, Notice, Open, Publish, Release, Several, Step, Subscribe
from hubbub.testing import DialectContract
from testing.suites import Broken, check, failures


class Pager(Dialect):
    """HELLO makes a session and a subscription of quality 2, a number acknowledges; it keeps every rule."""

    transports = ("websocket",)

    def receive(self, data, now, text=None):
        if data[:64] == b"HELLO":
            return self.hello()
        return [Ack(int(data), "received")] if data[:5].isdigit() and len(data) <= 5 else [Close("no")]

    def hello(self):
        wishes = [Subscribe("pager/#", options=1, qos=2, retained="new"), Subscribe("all/+")]
        return [Open("ann", clean=False, expiry=60.0, window=8), Several(wishes)]

    @classmethod
    def encode(cls, message, form):
        return b"0 " + message.payload

    def assure(self, frame, message, id, again):
        return b"%d%b%b" % (id, b"!" * again, frame[1:])

    def completing(self, id):
        return b"FORGET %d" % id

    @classmethod
    def merge(cls, wishes):
        return max(wishes, key=lambda wish: wish.qos)


class PagerContract(DialectContract):
    dialect = Pager
    samples = [(b"HELLO", ["Open client='ann'", "Several"]), (b"7", ["Ack"])]


def test_what_keeps_the_rules_passes():
    assert list(failures(PagerContract)) == []


BROKEN = Broken()
breaks = BROKEN.says


@breaks("subscribe with qos=2, and no unit says what to acknowledge")
class NoNumber(Pager):
    assure = Dialect.assure


@breaks("are never told that they may forget a message")
class NoEnd(Pager):
    completing = Dialect.completing


@breaks("acknowledge, and none of their subscriptions is of quality 1 or 2")
class NothingToAcknowledge(Pager):
    def hello(self):
        return [Open("ann", window=8), Several([Subscribe("pager/#")])]


@breaks("for different numbers")
class SameNumber(Pager):
    def assure(self, frame, message, id, again):
        return b"7" + frame[1:]


@breaks("without what the frame said")
class Cut(Pager):
    def assure(self, frame, message, id, again):
        return b"%d" % id


@breaks("gives another unit the second time")
class Counts(Pager):
    sent = 0

    def assure(self, frame, message, id, again):
        self.sent += 1
        return b"%d %d%b" % (id, self.sent, frame[1:])


@breaks("changes the message")
class Takes(Pager):
    def assure(self, frame, message, id, again):
        message.correlation = None
        return super().assure(frame, message, id, again)


@breaks("is '1'.\nReturn bytes: the whole unit")
class Strings(Pager):
    def assure(self, frame, message, id, again):
        return str(id)


@breaks("completing(1) is None")
class NoBytes(Pager):
    def completing(self, id):
        return None


@breaks("deliver(b'0 21.5', ...) is None")
class NoUnit(Pager):
    def deliver(self, frame, message, subscription):
        return None


@breaks("differs() is 'yes'")
class Differs(Pager):
    def differs(self):
        return "yes"


@breaks("merge is a plain method")
class PlainMerge(Pager):
    def merge(self, wishes):
        return None


@breaks("is 'a/b'.\nReturn None, or a Subscribe")
class MergesNames(Pager):
    @classmethod
    def merge(cls, wishes):
        return "a/b"


@breaks("has the filter 'everything'")
class MergesElsewhere(Pager):
    @classmethod
    def merge(cls, wishes):
        return Subscribe("everything")


@breaks("has qos=2")
class MergesHigher(Pager):
    @classmethod
    def merge(cls, wishes):
        return Subscribe(wishes[0].filter, qos=2)


@breaks("changes the subscriptions")
class MergesInto(Pager):
    @classmethod
    def merge(cls, wishes):
        wishes[0].echo = False
        return wishes[0]


@breaks("dismissing('shutdown', a Refusal) is None")
class NoWords(Pager):
    def dismissing(self, reason, refusal):
        return None


@breaks("challenge(Open, data) is 'why'")
class Asks(Pager):
    def hello(self):
        found = super().hello()
        found[0].method = "scram"
        return found

    def challenge(self, event, data):
        return "why"


# What events look like


def says(sentence, event):
    """A dialect that makes `event` of a hello."""
    breaks(sentence)(type("Says", (Pager,), {"hello": lambda self: [event]}))


def with_(event, **more):
    for name, value in more.items():
        setattr(event, name, value)
    return event


says("Letter.qos is 3; it must be 0, 1 or 2", Letter("a", b"", 3))
says("Letter.once is 0; it must be None or an int of 1 to 65535", Letter("a", b"", 2, 0))
says("Letter.lifetime is -1; it must be None or seconds", Letter("a", b"", lifetime=-1))
says("Letter.correlation is 'x'; it must be None or at most 65535 bytes", Letter("a", b"", correlation="x"))
says("Release.once is '7'; it must be an int of 1 to 65535", Release("7"))
says("Ack.id is '7'; it must be the int that `assure` was given", Ack("7"))
says("Ack.stage is 'had'; it must be one of received, done, failed", Ack(7, "had"))
says("Subscribe.qos is 5; it must be 0, 1 or 2", Subscribe("a", qos=5))
says("Subscribe.retained is 'once'; it must be one of always, never, new", Several([Subscribe("a", retained="once")]))
says("Several has a Publish in it; it is for Subscribe, Unsubscribe and Fault", Several([Publish("a", b"")]))
says("Open.expiry is None; it must be seconds, 0.0 for none", Open("a", expiry=None, window=1))
says("Open.window is 0; it must be None, or how many messages may be on their way", Open("a", window=0))
says("Publish.topic is '#'; it must be a valid topic", Open("a", window=1, will=Publish("#", b"")))
says("Open.will is b'x'; it must be None, a Publish or a Letter", Open("a", window=1, will=b"x"))
says("Open has a will or an expiry and no window", Open("a", expiry=60.0))
says("Open.proof is 'x'; it must be bytes", with_(Open("a"), proof="x"))
says("Step.proof is 'x'; it must be bytes", Step("x"))
says("Notice.text is ''; it must be one line of text for a person", Notice(""))
says("Close.expiry is 'soon'; it must be None or seconds", Close("done", expiry="soon"))


@BROKEN.every
def test_a_broken_rule_is_told(sentence, broken):
    check(sentence, type("Contract", (PagerContract,), {"dialect": broken}))
