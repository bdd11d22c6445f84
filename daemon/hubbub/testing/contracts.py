"""The contract of dialects: what holds for each, to be subclassed in a test.

    class TestScale(DialectContract):
        dialect = Scale
        options = {"unit": "kg"}
        samples = [(b"\\x0200012.5\\x03", ["Publish scale '12.5'"])]

pytest then runs every rule over every transport of the dialect. What breaks one fails with a sentence that says which,
and another that says how to mend it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from types import ClassMethodDescriptorType
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.dialect import TRANSPORTS, Dialect, DialectContext
from hubbub.errors import ConfigError
from hubbub.events import Event, Subscribe
from hubbub.kernel.connection.overflow import POLICIES
from hubbub.message import Message
from hubbub.option import configure
from hubbub.service.tracing.event_text import describe
from hubbub.template import Template
from hubbub.testing.answers import check_answers, check_encoding, check_round_trip
from hubbub.testing.claims import check_claims
from hubbub.testing.cutting import CUTTINGS, damaged
from hubbub.testing.delivering import check_delivering, check_merging, wishes_of
from hubbub.testing.flood import check_floods
from hubbub.testing.trial import NOW, Trial, broken, shown
from hubbub.testing.watching import impure, watching
from hubbub.testing.wellformed import plain

Sample = tuple[bytes, Sequence[str | Event | Message]]

_OF_A_CLASS = (classmethod, staticmethod, ClassMethodDescriptorType)  # the last where it is compiled
_LATER = 5_000_000.0  # seconds that another clock shows
_PREFIXES = 1_000  # places at which the input is ended
_ALONE = "Datagrams get lost, doubled and out of order: each means the same whatever came before it"


class DialectContract:
    """What holds for every dialect.

    dialect      the class
    options      its options, as an operator would write them
    samples      what one client sends, in order: pairs of bytes and the events that come of them. An event is
                 written as such, or as the line that `hubbub try` prints, or the first words of that. On TCP the bytes
                 end a unit; on UDP and WebSocket they are one unit
    round_trip   messages that it can read again from what it writes; their topic is the one that `receive` gives them
    transports   those to check, by default all that the dialect names
    topic        the listener's `topic=`
    max_message  the listener's `max-message=`, in bytes
    greeting     what a client has to send before anything else
    """

    dialect: ClassVar[type[Dialect]]
    options: ClassVar[Mapping[str, object]] = {}
    samples: ClassVar[Sequence[Sample]] = ()
    round_trip: ClassVar[Sequence[Message]] = ()
    transports: ClassVar[Sequence[str] | None] = None
    topic: ClassVar[str | None] = None
    max_message: ClassVar[int] = 1_000
    greeting: ClassVar[bytes] = b""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each rule over each transport."""
        if "transport" in metafunc.fixturenames:
            known: Any = self.transports or getattr(getattr(self, "dialect", None), "transports", ())
            metafunc.parametrize("transport", [one for one in known if one in TRANSPORTS] or TRANSPORTS)

    # What the class says

    def test_it_is_declared_well(self) -> None:
        """Its name, transports, options and policy can be used, and there are samples."""
        dialect = getattr(self, "dialect", None)
        if not (isinstance(dialect, type) and issubclass(dialect, Dialect)):
            broken(type(self).__name__, "`dialect` is no subclass of hubbub.Dialect", "Set dialect = YourDialect")
        name = dialect.name
        if not self.samples:
            mend = "Set samples = [(bytes, [events])]; `hubbub try` prints the events of captured bytes"
            broken(name, "there are no samples to try it with", mend)
        if not dialect.transports or not set(dialect.transports) <= set(TRANSPORTS):
            rule = f"`transports` is {dialect.transports!r}"
            broken(name, rule, f"It is a tuple of some of {', '.join(TRANSPORTS)}")
        if dialect.full not in POLICIES:
            broken(name, f"`full` is {dialect.full!r}", f"It is one of {', '.join(POLICIES)}")
        for name in ("encode", "claims", "greeting", "max_unit", "merge", "for_role", "persistent_session"):
            if not isinstance(inspect.getattr_static(dialect, name), _OF_A_CLASS):
                broken(name, f"{name} is a plain method", "It serves all links at once: make it a @classmethod")

    # What comes in

    def test_samples_mean_what_they_should(self, transport: str) -> None:
        """The events of each sample are as expected."""
        trial = self._trial(transport)
        for data, expected in self.samples:
            events = trial.feed(data)
            if len(events) != len(expected) or not all(map(_is, events, expected)):
                rule = f"{shown(data)} gives {_lines(events)} instead of {_lines(expected)}"
                broken(trial.name, rule, "Mend `receive`, or the sample if that is wrong")

    def test_it_reads_whatever_way_bytes_arrive(self, transport: str) -> None:
        """A stream may be cut anywhere; a datagram may come twice, late, in part; units may come at once."""
        {"tcp": self._stream, "udp": self._datagrams, "websocket": self._units}[transport]()

    def _stream(self) -> None:
        units = [data for data, _ in self.samples]
        for name, cut in CUTTINGS.items():
            self._same_however_cut(units, name, cut(units))

    def _same_however_cut(self, units: Sequence[bytes], name: str, pieces: Sequence[bytes]) -> None:
        whole, other = self._trial("tcp"), self._trial("tcp")
        for trial, parts in ((whole, units), (other, pieces)):
            for part in parts:
                trial.feed(part)
            trial.end()
        if plain(whole.events) != plain(other.events):
            rule = (
                f"the events depend on how the stream is cut: {shown(b''.join(units))} arriving {name} gives "
                f"{_lines(other.events)}, but {_lines(whole.events)} when each unit arrives alone"
            )
            broken(whole.name, rule, "Keep what is no whole unit yet for later, as hubbub.framing's readers do")

    def _datagrams(self) -> None:
        whole, used = self._trial("udp"), self._trial("udp")
        meant = [(data, list(whole.feed(data))) for data, _ in self.samples]
        for data, expected in meant:
            fresh, twice = self._trial("udp"), self._trial("udp")
            self._same(f"{fresh.name}, by an object of its own", data, fresh.feed(data), expected, _ALONE)
            twice.feed(data)
            if copy := twice.feed(data):
                self._same(f"{fresh.name}, where a datagram comes twice", data, copy, expected, _ALONE)
            for at in range(min(len(data), _PREFIXES)):
                self._trial("udp").feed(data[:at])
        for data, expected in reversed(meant):
            used.feed(data[: len(data) // 2])
            if used.closed:
                used = self._trial("udp")
            name = f"{used.name}, behind another datagram that was cut short"
            self._same(name, data, used.feed(data), expected, _ALONE)

    def _units(self) -> None:
        units = [data for data, _ in self.samples]
        one_by_one, at_once = self._trial("websocket"), self._trial("websocket")
        for unit in units:
            one_by_one.feed(unit)
        events = at_once.feed_all(units)
        if plain(events) != plain(one_by_one.events):
            rule = f"receive_units gives {_lines(events)}, but one by one it is {_lines(one_by_one.events)}"
            broken(at_once.name, rule, "Do for each unit in turn what `receive` does")

    def test_links_know_nothing_of_each_other(self, transport: str) -> None:
        """What one object has read is no business of another's."""
        one, other = self._trial(transport), self._trial(transport)
        if one.form(Subscribe("a")) != other.form(Subscribe("a")):
            mend = "A form says how a unit is written, so that links share units: leave out what only this link has"
            broken(one.name, "two links on one listener have different forms for one subscription", mend)
        alone = self._trial(transport)
        mend = "Keep what a link has read in self, made in __init__; class attributes and globals belong to all links"
        for data, _ in self.samples:
            expected = alone.feed(data)
            half = len(data) // 2 if transport == "tcp" else len(data)
            events = one.feed(data[:half])
            name = f"{other.name}, beside a link that is in the middle of it"
            self._same(name, data, other.feed(data), expected, mend)
            events = events + one.feed(data[half:]) if half < len(data) else events
            self._same(f"{one.name}, beside another link", data, events, expected, mend)

    def test_no_bytes_make_it_raise(self, transport: str) -> None:
        """Random bytes, and samples that are damaged, never raise; a stream of them may be cut anywhere."""
        known = [self.greeting, *(data for data, _ in self.samples)]
        pieces = st.one_of(st.binary(max_size=40), st.sampled_from(known), st.sampled_from(known).flatmap(damaged))

        @settings(deadline=None, database=None, report_multiple_bugs=False)
        @given(st.lists(pieces, max_size=6), st.booleans())
        def try_them(units: list[bytes], text: bool) -> None:
            if transport == "tcp":
                for name, cut in CUTTINGS.items():
                    self._same_however_cut(units, name, cut(units))
                return
            trial = self._trial(transport)
            for unit in units:
                trial.feed(unit, text)
            trial.ring()

        try_them()

    def test_input_may_end_anywhere(self, transport: str) -> None:
        """The end of input after any byte is no exception, and what was half read is said once."""
        stream = b"".join(data for data, _ in self.samples)
        for at in range(min(len(stream), _PREFIXES) + 1):
            trial = self._trial(transport)
            trial.feed(stream[:at])
            trial.end()
            if again := [] if trial.closed else trial.end():
                rule = f"the end of input after {shown(stream[:at])} is told twice: {_lines(again)}"
                broken(trial.name, rule, "Let eof take what is left out of the reader, as rest() does")

    def test_too_much_is_refused_and_memory_stays_bounded(self, transport: str) -> None:
        """Endless bytes, within a unit or as units, end with a Close or a Fault, and don't pile up."""
        check_floods(lambda: self._trial(transport), [data for data, _ in self.samples if data])

    def test_it_has_no_clock_and_does_nothing_else(self, transport: str) -> None:
        """The same bytes at the same `now` are the same events, and nothing but `now` tells the time."""
        self._converse(transport, NOW)  # what is imported late is there from now on
        with watching(impure) as found:
            first = self._converse(transport, NOW)
        name = self._trial(transport).name
        if found:
            mend = "A dialect is bytes in, events out: the time is `now`, and what else there is to do is a handler's"
            broken(name, f"it calls {found[0]}", mend)
        if plain(first) != plain(self._converse(transport, NOW)):
            broken(
                name, "the same bytes at the same `now` gave other events", "Leave chance and identities out of events"
            )
        if plain(first) != plain(self._converse(transport, _LATER)):
            mend = "Use `now` only to tell how long something took, and for deadlines: self.deadline = now + seconds"
            broken(name, "events or deadlines differ where only the clock shows another time", mend)

    def _converse(self, transport: str, now: float) -> list[Any]:
        """Return the events of the samples and, in seconds from then, the deadlines."""
        trial, deadlines = self._trial(transport, now), []
        for data, _ in self.samples:
            trial.feed(data)
            deadlines.append(round((trial.dialect.deadline or now) - now, 3))
        trial.ring()
        return [*trial.events, deadlines]

    def test_a_deadline_passes(self, transport: str) -> None:
        """After any part of a sample a deadline may pass, and then it isn't there any more."""
        for data, _ in self.samples:
            for part in (data[: len(data) // 2], data):
                trial = self._trial(transport)
                trial.feed(part)
                trial.ring()
                trial.ring()

    # What goes out

    def test_answers_are_bytes(self, transport: str) -> None:
        """outcome, gap, encode_close and confirm give bytes for whatever happens."""
        trial = self._trial(transport)
        for data, _ in self.samples:
            trial.feed(data)
        check_answers(trial)

    def test_encoding_is_shared(self, transport: str) -> None:
        """Encode gives the same bytes for the same message, or None, and leaves the message alone."""
        trial = self._trial(transport)
        for data, _ in self.samples:
            trial.feed(data)
        wishes = [Subscribe("a/b", options=one.options, qos=one.qos) for one in wishes_of(trial)[:10]]
        check_encoding(self._trial(transport), wishes)

    def test_a_unit_becomes_a_clients_own(self, transport: str) -> None:
        """frame_for_link, frame_qos and encode_pubrel change what they may; merge makes one wish of several."""
        trial = self._trial(transport)
        for data, _ in self.samples:
            trial.feed(data)
        check_delivering(trial)
        check_merging(trial)

    def test_what_it_writes_it_can_read(self, transport: str) -> None:
        """A message of `round_trip` comes back as it was, with any other payload too, or can't be carried."""
        check_round_trip(lambda: self._trial(transport), self.round_trip, self.max_message)

    # What tells it apart

    def test_claims_are_kept(self) -> None:
        """What was claimed by the first bytes is claimed whatever follows; the samples are claimed in time."""
        check_claims(self.dialect, self.greeting + b"".join(data for data, _ in self.samples))

    # Helpers

    def _trial(self, transport: str, now: float = NOW) -> Trial:
        """Return a new link's dialect, greeted."""
        try:
            dialect = configure(self.dialect, self.options)
            topic = Template(self.topic) if self.topic is not None else None
        except ConfigError as error:
            rule = f"its options can't be used: {error}"
            broken(self.dialect.name, rule, "Set `options` and `topic` as an operator would")
        trial = Trial(dialect, DialectContext(transport, self.max_message, topic), now)
        if self.greeting and transport != "udp":
            trial.feed(self.greeting)
            trial.events.clear()
        return trial

    def _same(self, name: str, data: bytes, events: Sequence[Any], expected: Sequence[Any], mend: str) -> None:
        if plain(events) != plain(expected):
            broken(name, f"{shown(data)} gives {_lines(events)} instead of {_lines(expected)}", mend)


def _is(event: Any, wanted: Any) -> bool:
    """Tell whether an event is what a sample says: an event, or the line of `hubbub try` or the beginning of it."""
    if not isinstance(wanted, str):
        return bool(plain(event) == plain(wanted))
    line = describe(event)
    return line.startswith(wanted) and line[len(wanted) :][:1] in ("", " ", ":")


def _lines(events: Sequence[Any]) -> str:
    """Write events as `hubbub try` does."""
    return "[" + ", ".join(one if isinstance(one, str) else describe(one) for one in events) + "]"
