"""What a handler may rely on: filters from options, time, and that what goes wrong in it stays its own affair."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from hubbub import BadFilter, ConfigError, Handler, limits, many, on, option
from hubbub.option import configure
from hubbub.service.plugins.handler_runner import HandlerRunner
from hubbub.testing import World
from matrix.speakers import seat


class Watch(Handler):
    """Collect what comes."""

    topic = option("temp/#")
    floors = option(("1", "2"), many(str))
    number = option(7, int)

    def __init__(self):
        self.seen = []

    @on("{topic}")
    def by_topic(self, message):
        self.seen.append(("topic", message.topic))

    @on("{floors}/+/x{number}")
    def by_floor(self, message):
        self.seen.append(("floor", message.topic))


def publish(world, *topics):
    speaker = seat(world, "tcp-lines")
    for topic in topics:
        speaker.publish(topic, b"1")
    world.turn()


# Filters from options


def test_a_filter_is_filled_from_an_option(world):
    watch = world.run(Watch, topic="a/+")
    publish(world, "a/1", "temp/1", "a/1/2")
    assert watch.seen == [("topic", "a/1")]


def test_without_a_value_it_is_the_default(world):
    watch = world.run(Watch)
    publish(world, "a/1", "temp/1", "temp")
    assert watch.seen == [("topic", "temp/1"), ("topic", "temp")]


def test_many_values_are_many_filters_and_several_options_may_stand_in_one(world):
    watch = world.run(Watch, floors="3,4", number="8")
    publish(world, "3/a/x8", "4/b/x8", "1/a/x8", "3/a/x7")
    assert watch.seen == [("floor", "3/a/x8"), ("floor", "4/b/x8")]


def test_a_message_that_matches_several_filters_of_a_method_comes_once(world):
    class Double(Handler):
        topics = option(("a/#", "a/+"), many(str))
        count = 0

        @on("{topics}", "a/b")
        def receive(self, message):
            self.count += 1

    double = world.run(Double)
    publish(world, "a/b")
    assert double.count == 1


@pytest.mark.parametrize("value", ["a/#/b", "", "a+", "x" * 65_536, "a\0"])
def test_an_option_that_makes_no_filter_is_an_operators_mistake(value):
    handler = configure(Watch, {"topic": value})()
    with pytest.raises(ConfigError, match=r"^watch: '.*' is no filter: [^\n]+$") as error:
        HandlerRunner(World().hub, handler, "watch", Clock())
    assert len(str(error.value)) < 250


def test_a_name_that_is_no_option_is_the_authors_mistake():
    with pytest.raises(TypeError, match=r"receive: @on\('\{topik\}/a'\) names no option of Typo: topik"):

        class Typo(Handler):
            topic = option("a")

            @on("{topik}/a")
            def receive(self, message):
                pass


@pytest.mark.parametrize("filter", ["{topic}+", "a/#/{topic}", "", "a/{topic}#"])
def test_what_stands_around_an_option_is_checked_at_once(filter):
    with pytest.raises(BadFilter):
        on(filter)


def test_options_of_a_base_and_of_a_subclass_are_known(world):
    class Base(Watch):
        pass

    class Other(Base):
        topic = option("other")

    other = world.run(Other)
    publish(world, "other", "temp/1")
    assert other.seen == [("topic", "other")]


# Time


class Later(Handler):
    """Do things later."""

    def __init__(self):
        self.done = []

    def start(self):
        self.later(2, self.note)
        self.call_off = self.later(1, self.note)

    def note(self):
        self.done.append(self.now())


def test_later_happens_once_at_its_time(world):
    began = world.clock.seconds()
    later = world.run(Later)
    world.advance(10)
    assert later.done == [began + 1, began + 2]
    later.call_off()


def test_what_is_called_off_does_not_happen(world):
    began = world.clock.seconds()
    later = world.run(Later)
    later.call_off()
    later.call_off()
    world.advance(10)
    assert later.done == [began + 2]


def test_nothing_happens_after_stop(world):
    later = world.run(Later)
    later.runner.stop()
    world.advance(10)
    assert later.done == []


def test_a_loop_of_handlers_is_found_across_time(world):
    def make(output, said):
        class Slow(Handler):
            count = 0

            @on(output)
            def receive(self, message):
                self.count += 1
                self.later(1, lambda: self.publish(said, message.payload))

        return world.run(Slow)

    one, other = make("ping", "pong"), make("pong", "ping")
    publish(world, "ping")
    world.advance(60)
    assert one.count + other.count == limits.HOPS + 1
    assert one.runner.failed + other.runner.failed == 1


# What goes wrong


class Careless(Handler):
    """Publish what can't be, in every kind of callback."""

    def start(self):
        self.every(1, self.refused)
        self.later(1, self.refused)

    def refused(self):
        self.publish("$SYS/mine", "x")

    def peer_joined(self, peer):
        self.publish("a/+", "x")

    @on("plain")
    def plain(self, message):
        self.refused()

    @on("later")
    async def awaited(self, message):
        await self.request("$SYS/mine", "x")

    @on("raise")
    def broken(self, message):
        raise RuntimeError("broken on purpose")


def failures(logs):
    return [event for event in logs if "log_failure" in event]


def refusals(logs):
    """They are a client's doing as often as the handler's: a line each, without a traceback."""
    return [event["refusal"].code for event in logs if "refusal" in event]


def test_refused_publishes_are_logged_once_and_counted(world):
    with capturedLogs() as logs:
        careless = world.run(Careless)
        publish(world, "plain", "later", "plain")
        world.advance(3)
    assert careless.runner.failed == 8
    assert world.hub.turn.counters.failed == 8
    assert (refusals(logs), failures(logs)) == (["bad-topic"], [])


def test_refusals_do_not_hide_a_bug(world):
    """A client may cause the first, with a topic that it chose."""
    with capturedLogs() as logs:
        careless = world.run(Careless)
        publish(world, "plain", "raise", "raise", "plain")
    assert careless.runner.failed == 5
    assert refusals(logs) == ["bad-topic"]
    assert [event["log_failure"].type.__name__ for event in failures(logs)] == ["RuntimeError"]


def test_a_reply_topic_that_the_sender_may_not_use_is_no_failure_of_the_handler(world):
    class Echo(Handler):
        @on("echo")
        def echo(self, message):
            message.reply("x")

    echo = world.run(Echo)
    page = seat(world, "websocket-json")
    page.op("publish", topic="echo", data="x", reply_to="$SYS/x")
    assert page.output() == []
    assert (echo.runner.failed, world.hub.turn.counters.unanswered) == (0, 1)


def test_a_loop_of_replies_is_reported(world):
    class Echo(Handler):
        @on("echo")
        def echo(self, message):
            message.reply("x")

    class Again(Handler):
        @on("again")
        def again(self, message):
            self.publish("echo", "x", reply_to="again")

    with capturedLogs() as logs:
        echo, again = world.run(Echo), world.run(Again)
        seat(world, "websocket-json").op("publish", topic="echo", data="x", reply_to="again")
        world.turn()
    assert (echo.runner.failed, again.runner.failed) == (1, 0)
    assert [str(event["refusal"]) for event in logs if "refusal" in event] == [
        "internal: handlers publish in a loop on again"
    ]


# What few messages say


class Echo(Handler):
    """Say again what came, with all that it said of itself."""

    @on("in")
    def go(self, message):
        said = (message.qos, message.message_expiry, message.correlation)
        self.publish("out", message.payload, qos=said[0], message_expiry=said[1], correlation=said[2])


def test_a_handler_reads_and_says_what_few_messages_say(world):
    world.run(Echo)
    ear = seat(world, "tcp-json")
    ear.subscribe("out", meta=True)
    seat(world, "tcp-json").publish("in", b"1", qos=2, message_expiry=60, correlation="AP8=")
    reported = ear.reported()[-1]
    assert (reported["qos"], reported["message_expiry"], reported["correlation"]) == (2, 60.0, "AP8=")


@pytest.mark.parametrize("qos", [3, -1, "1", None])
def test_a_quality_that_there_is_not(world, qos):
    echo = world.run(Echo)
    with pytest.raises(ValueError, match="qos is 0, 1 or 2, not"):
        echo.publish("a", b"", qos=qos)


class Asks(Handler):
    """Ask with more than a payload."""

    def start(self):
        self.request("ask", b"1", content_type="text/x", properties={"k": "v"}).addErrback(lambda refusal: None)


def test_a_request_has_properties(world):
    ear = seat(world, "tcp-json")
    ear.subscribe("ask", meta=True)
    ear.reported()
    world.run(Asks)
    (asked,) = ear.reported()
    assert (asked["content_type"], asked["properties"]) == ("text/x", {"k": "v"})


def test_a_handler_that_starts_late_gets_nothing_that_has_expired(world):
    mouth = seat(world, "tcp-json")
    for topic, message_expiry in (("temp/1", 5), ("temp/2", 60)):
        mouth.publish(topic, b"1", retain=True, message_expiry=message_expiry)
    world.advance(10)
    watch = world.run(Watch)
    world.turn()
    assert [topic for _, topic in watch.seen] == ["temp/2"]
