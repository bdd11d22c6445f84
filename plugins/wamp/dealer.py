"""The dealer's part of a session: as a callee REGISTER, UNREGISTER, YIELD and ERROR, as a caller CALL and CANCEL.

A procedure is a group that answers requests on its topic, a CALL is a request: so a call reaches whatever answers
there, and a request of any dialect reaches a procedure.
"""

from __future__ import annotations

from typing import Any

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.events import Answer, Cancel, Event, Fault, ForPeer, Subscribe, Unsubscribe
from hubbub.message import Message
from hubbub.publish import PartialReply, Publish, QosPublish, Request
from hubbub_plugins.wamp.announcements import announce
from hubbub_plugins.wamp.arguments import payload_of
from hubbub_plugins.wamp.codec import Malformed
from hubbub_plugins.wamp.codes import (
    CALL,
    CANCELED,
    ERROR,
    FAILURE,
    INTERRUPT,
    INVOCATION,
    REGISTER,
    REGISTERED,
    RESULT,
    UNREGISTER,
    UNREGISTERED,
)
from hubbub_plugins.wamp.fields import MAX_ID, id_at, options_at, uri_at
from hubbub_plugins.wamp.options import CallOptions, CancelOptions, RegisterOptions, YieldOptions, policy_of, read
from hubbub_plugins.wamp.origin import Origin
from hubbub_plugins.wamp.publications import Asked
from hubbub_plugins.wamp.realm import Entry
from hubbub_plugins.wamp.speaker import Speaker
from hubbub_plugins.wamp.uris import EXACT, Topics

Answered = tuple[bytes, list[Event | Message]]
PROCEDURE = "procedure"  # the options of a Subscribe that is a registration
_GROUP = "$share/procedure/"
_TAKEN = "wamp.error.procedure_already_exists"
_OTHER_POLICY = "wamp.error.procedure_exists_with_different_invocation_policy"
_REPLIES = "$reply/"
_TIMEOUT = "wamp.error.timeout"
_PLAIN, _PROGRESSIVE = Origin(call=True), Origin(call=True, progress=True)
_OVER = {CANCELED: "the call was canceled", _TIMEOUT: "the timeout of the call is over"}


class Invocation:
    """A call that this session works on."""

    __slots__ = ("correlation", "progress", "reply_to")

    def __init__(self, reply_to: str, correlation: bytes | None, progress: bool) -> None:
        self.correlation = correlation
        self.progress = progress
        self.reply_to = reply_to


class RunningCall:
    """A call of this session.

    due   monotonic seconds when it is over, None: the hub's own bound counts
    why   the URI of the error that ends it, empty: the result says
    """

    __slots__ = ("due", "request", "why")

    def __init__(self, request: Request, due: float | None) -> None:
        self.due = due
        self.request = request
        self.why = ""


class Dealer:
    """One session's part. Its methods take a message and return events, and raise Malformed.

    deadline  when `timeout` may have something to do, or None
    """

    __slots__ = ("_calls", "_invocations", "_last", "_mine", "_most", "_speaker", "deadline", "topics")

    def __init__(self, speaker: Speaker, most: int) -> None:
        """`most`: bytes of the longest payload."""
        self._calls: dict[int, RunningCall] = {}
        self._invocations: dict[int, Invocation] = {}
        self._last = 0  # id of an invocation
        self._mine: dict[int, Entry] = {}
        self._most = most
        self._speaker = speaker
        self.deadline: float | None = None
        self.topics = Topics()

    # Registrations

    def register(self, message: list[Any]) -> list[Event | Message]:
        """Turn REGISTER into a part in a procedure."""
        request, options = id_at(message, 1), read(RegisterOptions, options_at(message, 2))
        uri, policy, realm = uri_at(message, 3), policy_of(options.invoke), self._speaker.realm
        asked = Asked(REGISTER, request)
        try:
            if options.match not in (None, EXACT):
                raise Refusal("bad-command", "a procedure has one URI: prefixes and wildcards can't be registered")
            if uri.startswith("wamp."):
                raise Refusal("not-authorized", "procedures that begin with wamp. are those of the realm itself")
            topic = realm.mount + self.topics[uri]
        except Refusal as refusal:
            return [Fault(refusal, asked)]
        entry = realm.procedures.reserve(uri, EXACT, policy)
        asked, id = Asked(REGISTER, request, entry), (PROCEDURE, entry.id)
        wish = Subscribe(_GROUP + topic, options=PROCEDURE, tag=asked, retained="never", id=id, policy=policy)
        return [Fault(Refusal("quota", "this session has registered it"), asked)] if entry.id in self._mine else [wish]

    def registered(self, asked: Asked, result: Any) -> Answered:
        """Answer REGISTER."""
        entry, speaker, member = asked.about, self._speaker, self._speaker.member
        if isinstance(result, Refusal):
            uri = {"quota": _TAKEN, "bad-command": _OTHER_POLICY}.get(result.code)
            if uri is None or entry is None or "subscriptions" in result.reason:
                return speaker.refuse(REGISTER, asked.request, result), []
            return speaker.error(REGISTER, asked.request, uri, result.reason), []
        events: list[Event | Message] = []
        if member is not None:
            self._mine[entry.id] = entry
            if speaker.realm.procedures.join(entry, member):
                events += announce(speaker.realm, "registration.on_create", [member.id, entry.details()])
            events += announce(speaker.realm, "registration.on_register", [member.id, entry.id])
        return speaker.say(REGISTERED, asked.request, entry.id), events

    def unregister(self, message: list[Any]) -> list[Event | Message]:
        """Turn UNREGISTER into the end of a part in a procedure."""
        request, id = id_at(message, 1), id_at(message, 2)
        return [Unsubscribe("", Asked(UNREGISTER, request, id), (PROCEDURE, id))]

    def unregistered(self, asked: Asked, result: Any) -> Answered:
        """Answer UNREGISTER."""
        entry = self._mine.pop(asked.about, None)
        if entry is None:
            uri = "wamp.error.no_such_registration"
            return self._speaker.error(UNREGISTER, asked.request, uri, "this session has no such registration"), []
        return self._speaker.say(UNREGISTERED, asked.request), self._left(entry)

    def _left(self, entry: Entry) -> list[Event | Message]:
        realm, member = self._speaker.realm, self._speaker.member
        events: list[Event | Message] = []
        assert member is not None
        found, gone = realm.procedures.leave(entry.id, member)
        if found is not None:
            events += announce(realm, "registration.on_unregister", [member.id, entry.id])
            if gone:
                events += announce(realm, "registration.on_delete", [member.id, entry.id])
        return events

    # Invocations

    def invocation(self, message: Message, id: int) -> bytes:
        """Return INVOCATION for a request to registration `id`; it fits the client (Speaker.fits)."""
        self._last += 1
        origin, details = message.properties, {}
        progress = False
        if type(origin) is Origin and origin.call:
            details, progress = origin.details, origin.progress
        if progress:
            details = details | {"receive_progress": True}
        if len(self._invocations) >= limits.WAMP_INVOCATIONS:
            self._forget(next(iter(self._invocations)))
        reply_to = message.reply_to or ""
        correlation = message.correlation if isinstance(message, QosPublish) else None
        self._invocations[self._last] = Invocation(reply_to, correlation, progress)
        self._speaker.realm.running[reply_to] = self, self._last
        return self._speaker.carry([INVOCATION, self._last, id, details], message)

    def _forget(self, number: int) -> Invocation | None:
        found = self._invocations.pop(number, None)
        if found is not None and self._speaker.realm.running.get(found.reply_to) == (self, number):
            del self._speaker.realm.running[found.reply_to]
        return found

    def yield_(self, message: list[Any]) -> list[Event | Message]:
        """Turn YIELD into a reply; one to a call that is unknown, or over, is ignored."""
        number, options = id_at(message, 1), read(YieldOptions, options_at(message, 2))
        progress = bool(options.progress)
        found = self._invocations.get(number) if progress else self._forget(number)
        if found is None or (progress and not found.progress):
            return []
        try:
            payload, kind = payload_of(message, 3, self._most)
        except Refusal as refusal:
            self._forget(number)
            return [
                Publish(found.reply_to, refusal.reason.encode(), properties={FAILURE: "wamp.error.invalid_argument"})
            ]
        if progress:
            return [PartialReply(found.reply_to, payload, False, kind)]
        return [self._reply(found, payload, kind)]

    def failed(self, message: list[Any]) -> list[Event | Message]:
        """Turn the ERROR of a callee into a reply."""
        if len(message) < 5 or message[1] != INVOCATION:
            raise Malformed("a client's ERROR is about an INVOCATION")
        number, uri = id_at(message, 2), uri_at(message, 4)
        found = self._forget(number)
        if found is None:
            return []
        try:
            payload, kind = payload_of(message, 5, self._most)
        except Refusal as refusal:
            payload, kind = refusal.reason.encode(), None
        reply = self._reply(found, payload, kind)
        reply.properties = {FAILURE: uri}
        return [reply]

    def _reply(self, found: Invocation, payload: bytes, kind: str | None) -> Publish:
        if found.correlation is None:
            return Publish(found.reply_to, payload, False, kind)
        return QosPublish(found.reply_to, payload, content_type=kind, correlation=found.correlation)

    def interrupt(self, number: int, mode: str) -> list[Event | Message]:
        """Return what tells this callee that a call is over for its caller."""
        hello = self._speaker.hello
        if hello is None or number not in self._invocations or not hello.announces("callee", "call_canceling"):
            return []
        return [ForPeer(self._speaker.peer, [Answer(self._speaker.say(INTERRUPT, number, {"mode": mode}))])]

    # Calls

    def call(self, message: list[Any], now: float) -> list[Event | Message]:
        """Turn CALL into a request."""
        request, options = id_at(message, 1), read(CallOptions, options_at(message, 2))
        uri, asked, member = uri_at(message, 3), Asked(CALL, request), self._speaker.member
        if request in self._calls:
            raise Malformed("a request id that is in use")
        try:
            if options.enc_algo or options.ppt_scheme:
                raise Refusal("bad-payload", "hubbub has no payload passthru mode")
            payload, kind = payload_of(message, 4, self._most)
            topic = self._speaker.realm.mount + self.topics[uri]
        except Refusal as refusal:
            return [Fault(refusal, asked)]
        progress = bool(options.receive_progress)
        origin = _PROGRESSIVE if progress else _PLAIN
        if options.disclose_me and member is not None:
            details = {"caller": member.id, "caller_authid": member.authid, "caller_authrole": member.role}
            origin = Origin(details, True, progress)
        event = Request(topic, payload, limits.REQUEST_SECONDS_MAX, False, False, kind, None, origin, asked, progress)
        due = now + min(options.timeout, MAX_ID) / 1_000 if options.timeout and options.timeout > 0 else None
        self._calls[request] = RunningCall(event, due)
        if due is not None and (self.deadline is None or due < self.deadline):
            self.deadline = due
        return [event]

    def result(self, asked: Asked, result: Any) -> Answered:
        """Answer CALL, or say a part of its result."""
        speaker, request = self._speaker, asked.request
        running = self._calls.get(request)
        if type(result) is PartialReply:
            return (b"" if running is None else speaker.carry([RESULT, request, {"progress": True}], result)), []
        self._calls.pop(request, None)
        if isinstance(result, Refusal):
            events = [] if running is None or running.why else self._interrupt(running, "killnowait")
            if running is not None and running.why:
                return speaker.error(CALL, request, running.why, _OVER[running.why]), events
            return speaker.refuse(CALL, request, result), events
        failure = (result.properties or {}).get(FAILURE)
        head = [RESULT, request, {}] if failure is None else [ERROR, CALL, request, {}, failure]
        data = speaker.carry(head, result)
        if not data:
            data = speaker.refuse(CALL, request, Refusal("too-long", "the result is longer than you take"))
        return data, []

    def cancel(self, message: list[Any]) -> list[Event | Message]:
        """Turn CANCEL into the end of a call, or into a question to its callee."""
        request, options = id_at(message, 1), read(CancelOptions, options_at(message, 2))
        running, mode = self._calls.get(request), options.mode or "killnowait"
        if running is None or running.why:
            return []
        asked = self._interrupt(running, mode) if mode != "skip" else []
        return asked if mode == "kill" and asked else [*asked, *self._end(running, CANCELED)]

    def timeout(self, now: float) -> list[Event | Message]:
        """End the calls whose time is over."""
        timed = [one for one in self._calls.values() if one.due is not None and not one.why]
        over = [one for one in timed if one.due is not None and one.due <= now]
        self.deadline = min([one.due for one in timed if one.due is not None and one.due > now], default=None)
        return [event for one in over for event in (*self._interrupt(one, "killnowait"), *self._end(one, _TIMEOUT))]

    def _end(self, running: RunningCall, why: str) -> list[Event | Message]:
        running.why = why
        return [Cancel(running.request)]

    def _interrupt(self, running: RunningCall, mode: str) -> list[Event | Message]:
        found = self._speaker.realm.running.get(running.request.reply_to or "")
        return [] if found is None else found[0].interrupt(found[1], mode)

    def end(self) -> list[Event | Message]:
        """The session ends: its callers get an error, its callees an INTERRUPT."""
        calls, self._calls = list(self._calls.values()), {}
        events = [event for one in calls for event in self._interrupt(one, "killnowait")]
        for number in list(self._invocations):
            found = self._forget(number)
            if found is not None and found.reply_to.startswith(_REPLIES):
                gone = "the callee has disconnected"
                events.append(Publish(found.reply_to, gone.encode(), properties={FAILURE: CANCELED}))
        entries, self._mine = list(self._mine.values()), {}
        return [*events, *(event for entry in entries for event in self._left(entry))]
