"""The broker's part of a session: SUBSCRIBE, UNSUBSCRIBE, PUBLISH, and what follows from them."""

from __future__ import annotations

from typing import Any

from hubbub.errors import Refusal
from hubbub.events import Event, Fault, Subscribe, Unsubscribe
from hubbub.message import Message
from hubbub.publish import Publish, SelectivePublish
from hubbub_plugins.wamp.announcements import announce
from hubbub_plugins.wamp.arguments import payload_of
from hubbub_plugins.wamp.codes import PUBLISH, PUBLISHED, SUBSCRIBE, SUBSCRIBED, UNSUBSCRIBE, UNSUBSCRIBED
from hubbub_plugins.wamp.fields import id_at, options_at, uri_at
from hubbub_plugins.wamp.options import PublishOptions, SubscribeOptions, match_of, read
from hubbub_plugins.wamp.origin import Origin
from hubbub_plugins.wamp.publications import OWN, Asked, Publication
from hubbub_plugins.wamp.realm import Entry, Realm
from hubbub_plugins.wamp.speaker import Speaker
from hubbub_plugins.wamp.uris import EXACT, Topics, filter_of

Answered = tuple[bytes, list[Event | Message]]


class Chosen:
    """Whether a session gets a message with lists of sessions ("Subscriber Black- and Whitelisting")."""

    __slots__ = ("options", "peer", "realm")

    def __init__(self, options: PublishOptions, realm: Realm, peer: Any) -> None:
        self.options = options
        self.peer = peer
        self.realm = realm

    def __call__(self, peer: Any) -> bool:
        options, member = self.options, self.realm.of(peer)
        if peer is self.peer and options.exclude_me is not False:
            return False
        eligible = (options.eligible, options.eligible_authid, options.eligible_authrole)
        if member is None:  # a client of another dialect is in no list
            return all(one is None for one in eligible)
        excluded = (options.exclude, options.exclude_authid, options.exclude_authrole)
        traits = ((member.id,), (member.authid,), member.groups)
        return all(not one or one.isdisjoint(has) for one, has in zip(excluded, traits, strict=True)) and all(
            one is None or not one.isdisjoint(has) for one, has in zip(eligible, traits, strict=True)
        )


class Broker:
    """One session's part. Its methods take a message and return events, and raise Malformed."""

    __slots__ = ("_mine", "_most", "_speaker", "topics")

    def __init__(self, speaker: Speaker, most: int) -> None:
        """`most`: bytes of the longest payload."""
        self._mine: dict[int, Entry] = {}
        self._most = most
        self._speaker = speaker
        self.topics = Topics()

    # PUBLISH

    def publish(self, message: list[Any]) -> list[Event | Message]:
        """Turn PUBLISH into a message."""
        request, raw = id_at(message, 1), options_at(message, 2)
        uri = uri_at(message, 3)
        if type(raw) is dict and not raw:
            try:
                if uri.startswith(OWN):
                    raise Refusal("not-authorized", "topics that begin with wamp. are those of the realm itself")
                payload, kind = payload_of(message, 4, self._most)
                return [Publish(self.topics[uri], payload, False, kind)]
            except Refusal as refusal:
                return [Fault(refusal)]
        options = read(PublishOptions, raw)
        tag = Asked(PUBLISH, request, Publication()) if options.acknowledge else None
        try:
            return [self.event(message, 4, uri, options, tag)]
        except Refusal as refusal:
            return [Fault(refusal, tag)]

    def event(self, message: list[Any], at: int, uri: str, options: PublishOptions, tag: Asked | None) -> Publish:
        """Return a message with options, whose arguments begin at an index. Raises Refusal."""
        if uri.startswith(OWN):
            raise Refusal("not-authorized", "topics that begin with wamp. are those of the realm itself")
        if options.enc_algo or options.ppt_scheme:
            raise Refusal("bad-payload", "hubbub has no payload passthru mode")
        if options.retain and options.private:
            raise Refusal("bad-command", "a retained message is for all: it has neither exclude nor eligible")
        payload, kind = payload_of(message, at, self._most)
        topic, retain, member = self.topics[uri], bool(options.retain), self._speaker.member
        properties = None
        if options.disclose_me and member is not None:
            found = {"publisher": member.id, "publisher_authid": member.authid, "publisher_authrole": member.role}
            properties = Origin(found)
        if options.private or options.exclude_me is False:
            chosen = Chosen(options, self._speaker.realm, self._speaker.peer)
            return SelectivePublish(topic, payload, chosen, retain, kind, properties, tag, options.private)
        return Publish(topic, payload, retain, kind, None, properties, tag)

    def published(self, asked: Asked, result: Any) -> Answered:
        """Answer PUBLISH."""
        return self._speaker.say(PUBLISHED, asked.request, asked.about.id), []

    # SUBSCRIBE

    def subscribe(self, message: list[Any]) -> list[Event | Message]:
        """Turn SUBSCRIBE into a subscription."""
        request, options = id_at(message, 1), read(SubscribeOptions, options_at(message, 2))
        uri, match, realm = uri_at(message, 3), match_of(options.match), self._speaker.realm
        try:
            own = uri == OWN[:-1] or uri.startswith(OWN)
            filter = realm.own + filter_of(uri[len(OWN) :], match) if own else realm.mount + filter_of(uri, match)
        except Refusal as refusal:
            return [Fault(refusal, Asked(SUBSCRIBE, request))]
        entry = realm.topics.reserve(uri, match)
        retained = "always" if options.get_retained else "never"
        asked = Asked(SUBSCRIBE, request, entry)
        options_of = (entry.id, match != EXACT, own)
        return [Subscribe(filter, False, options=options_of, tag=asked, retained=retained, id=entry.id, answers=False)]

    def subscribed(self, asked: Asked, result: Any) -> Answered:
        """Answer SUBSCRIBE."""
        entry, speaker = asked.about, self._speaker
        events: list[Event | Message] = []
        if entry.id not in self._mine and speaker.member is not None:
            self._mine[entry.id] = entry
            id = speaker.member.id
            if speaker.realm.topics.join(entry, speaker.member):
                events += announce(speaker.realm, "subscription.on_create", [id, entry.details()])
            events += announce(speaker.realm, "subscription.on_subscribe", [id, entry.id])
        return speaker.say(SUBSCRIBED, asked.request, entry.id), events

    def unsubscribe(self, message: list[Any]) -> list[Event | Message]:
        """Turn UNSUBSCRIBE into the end of a subscription."""
        request, id = id_at(message, 1), id_at(message, 2)
        return [Unsubscribe("", Asked(UNSUBSCRIBE, request, id), id)]

    def unsubscribed(self, asked: Asked, result: Any) -> Answered:
        """Answer UNSUBSCRIBE."""
        entry = self._mine.pop(asked.about, None)
        if entry is None:
            uri = "wamp.error.no_such_subscription"
            return self._speaker.error(UNSUBSCRIBE, asked.request, uri, "this session has no such subscription"), []
        return self._speaker.say(UNSUBSCRIBED, asked.request), self._left(entry)

    def _left(self, entry: Entry) -> list[Event | Message]:
        realm, member = self._speaker.realm, self._speaker.member
        events: list[Event | Message] = []
        assert member is not None
        found, gone = realm.topics.leave(entry.id, member)
        if found is not None:
            events += announce(realm, "subscription.on_unsubscribe", [member.id, entry.id])
            if gone:
                events += announce(realm, "subscription.on_delete", [member.id, entry.id])
        return events

    def end(self) -> list[Event | Message]:
        """The session ends."""
        entries, self._mine = list(self._mine.values()), {}
        return [event for entry in entries for event in self._left(entry)]
