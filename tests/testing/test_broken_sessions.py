"""The contract of dialects that have messages acknowledged: what breaks a rule, and the sentence that says so."""

from __future__ import annotations

from hubbub import (
    Ack,
    AuthResponse,
    Close,
    Connect,
    Dialect,
    Notice,
    Publish,
    QosPublish,
    Release,
    Subscribe,
    SubscriptionBatch,
)
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
        return [Connect("ann", clean_start=False, session_expiry=60.0, receive_maximum=8), SubscriptionBatch(wishes)]

    @classmethod
    def encode(cls, message, form):
        return b"0 " + message.payload

    def frame_qos(self, frame, message, id, again):
        return b"%d%b%b" % (id, b"!" * again, frame[1:])

    def encode_pubrel(self, id):
        return b"FORGET %d" % id

    @classmethod
    def merge(cls, wishes):
        return max(wishes, key=lambda wish: wish.qos)


class PagerContract(DialectContract):
    dialect = Pager
    samples = [(b"HELLO", ["Connect client='ann'", "SubscriptionBatch"]), (b"7", ["Ack"])]


def test_what_keeps_the_rules_passes():
    assert list(failures(PagerContract)) == []


BROKEN = Broken()
breaks = BROKEN.says


@breaks("subscribe with qos=2, and no unit says what to acknowledge")
class NoNumber(Pager):
    frame_qos = Dialect.frame_qos


@breaks("and no unit releases a message")
class NoEnd(Pager):
    encode_pubrel = Dialect.encode_pubrel


@breaks("acknowledge, and none of their subscriptions is of QoS 1 or 2")
class NothingToAcknowledge(Pager):
    def hello(self):
        return [Connect("ann", receive_maximum=8), SubscriptionBatch([Subscribe("pager/#")])]


@breaks("for different numbers")
class SameNumber(Pager):
    def frame_qos(self, frame, message, id, again):
        return b"7" + frame[1:]


@breaks("without what the frame said")
class Cut(Pager):
    def frame_qos(self, frame, message, id, again):
        return b"%d" % id


@breaks("gives another unit the second time")
class Counts(Pager):
    sent = 0

    def frame_qos(self, frame, message, id, again):
        self.sent += 1
        return b"%d %d%b" % (id, self.sent, frame[1:])


@breaks("changes the message")
class Takes(Pager):
    def frame_qos(self, frame, message, id, again):
        message.correlation = None
        return super().frame_qos(frame, message, id, again)


@breaks("is '1'.\nReturn bytes: the whole unit")
class Strings(Pager):
    def frame_qos(self, frame, message, id, again):
        return str(id)


@breaks("and frame_qos gives b'1 21.5'.\nReturn in pieces")
class OtherPieces(Pager):
    def pieces_qos(self, frame, message, id, again):
        return b"%d" % id, message.payload


@breaks("pieces_qos(b'0 21.5', ...) is None")
class NoPieces(Pager):
    def pieces_qos(self, frame, message, id, again):
        return None


@breaks("encode_pubrel(1) is None")
class NoBytes(Pager):
    def encode_pubrel(self, id):
        return None


@breaks("frame_for_link(b'0 21.5', ...) is None")
class NoUnit(Pager):
    def frame_for_link(self, frame, message, subscription):
        return None


@breaks("frames_per_link(...) is 'yes'")
class Differs(Pager):
    def frames_per_link(self, subscription):
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


@breaks("encode_disconnect('shutdown', a Refusal) is None")
class NoWords(Pager):
    def encode_disconnect(self, reason, refusal):
        return None


@breaks("challenge(Connect, data) is 'why'")
class Asks(Pager):
    def hello(self):
        found = super().hello()
        found[0].auth_method = "scram"
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


says("QosPublish.qos is 3; it must be 0, 1 or 2", QosPublish("a", b"", 3))
says("QosPublish.dedup_id is 0; it must be None or an int of 1 to 65535", QosPublish("a", b"", 2, 0))
says("QosPublish.message_expiry is -1; it must be None or seconds", QosPublish("a", b"", message_expiry=-1))
says("QosPublish.correlation is 'x'; it must be None or at most 65535 bytes", QosPublish("a", b"", correlation="x"))
says("Release.dedup_id is '7'; it must be an int of 1 to 65535", Release("7"))
says("Ack.id is '7'; it must be the int that `frame_qos` was given", Ack("7"))
says("Ack.stage is 'had'; it must be one of acknowledged, returned, received, completed, rejected", Ack(7, "had"))
says("Subscribe.qos is 5; it must be 0, 1 or 2", Subscribe("a", qos=5))
says(
    "Subscribe.retained is 'once'; it must be one of always, never, new",
    SubscriptionBatch([Subscribe("a", retained="once")]),
)
says(
    "SubscriptionBatch has a Publish in it; it is for Subscribe, Unsubscribe and Fault",
    SubscriptionBatch([Publish("a", b"")]),
)
says(
    "Connect.session_expiry is None; it must be seconds, 0.0 for none",
    Connect("a", session_expiry=None, receive_maximum=1),
)
says(
    "Connect.receive_maximum is 0; it must be None, or how many messages may be on their way",
    Connect("a", receive_maximum=0),
)
says("Publish.topic is '#'; it must be a valid topic", Connect("a", receive_maximum=1, will=Publish("#", b"")))
says("Connect.will is b'x'; it must be None, a Publish or a QosPublish", Connect("a", receive_maximum=1, will=b"x"))
says("Connect has a will or an expiry and no receive_maximum", Connect("a", session_expiry=60.0))
says("Connect.auth_data is 'x'; it must be bytes", with_(Connect("a"), auth_data="x"))
says("AuthResponse.auth_data is 'x'; it must be bytes", AuthResponse("x"))
says("Notice.text is ''; it must be one line of text for a person", Notice(""))
says("Close.session_expiry is 'soon'; it must be None or seconds", Close("done", session_expiry="soon"))


@BROKEN.every
def test_a_broken_rule_is_reported(sentence, broken):
    check(sentence, type("Contract", (PagerContract,), {"dialect": broken}))
