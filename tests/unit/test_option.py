"""Options of plugins: every kind, and what configure does with a class."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import ConfigError
from hubbub.option import choice, configure, duration, flag, many, octets, option, options_of, rate, shown, size


class Alarm:
    """Tell when it is too hot."""

    name = "alarm"
    above = option(30.0, float, "alarm above this")
    topic = option("temp/#", help="what it watches")
    max_age = option(60.0, duration)
    loud = option(False, flag)


GOOD = [
    (str, "x", "x"),
    (str, 7, "7"),
    (int, "-7", -7),
    (int, 7, 7),
    (float, "2.5", 2.5),
    (float, "1e3", 1000.0),
    (float, 7, 7.0),
    (bool, "no", False),
    (size, "8MiB", 8 << 20),
    (size, "64 KiB", 64 << 10),
    (size, "1GiB", 1 << 30),
    (size, "1024", 1024),
    (size, 1024, 1024),
    (duration, "20ms", 0.02),
    (duration, "30s", 30.0),
    (duration, "5min", 300.0),
    (duration, "1.5h", 5400.0),
    (duration, "30", 30.0),
    (duration, 0.5, 0.5),
    (rate, "10/s", 10.0),
    (rate, "30/min", 0.5),
    (rate, 10, 10.0),
    (flag, "yes", True),
    (flag, False, False),
    (choice("a", "b"), "b", "b"),
    (octets, "READY%0D%0a", b"READY\r\n"),
    (octets, "%00%ff%25 \u00e9+", b"\x00\xff% \xc3\xa9+"),
    (octets, "a\r\n", b"a\r\n"),
    (octets, 7, b"7"),
    (many(str), "a,b", ("a", "b")),
    (many(int), [1, "2"], (1, 2)),
]

BAD = [
    (str, True, "expected text"),
    (str, 1.5, "expected text"),
    (octets, "", "expected some text"),
    (octets, "5%", "%25 is %"),
    (octets, "%0", "%XX is any byte"),
    (octets, "%zz", "%XX is any byte"),
    (octets, b"x", "expected text"),
    (int, "1_000", "whole number"),
    (int, "٣", "whole number"),
    (int, 1.0, "whole number"),
    (int, True, "whole number"),
    (int, "9" * 5000, "whole number"),
    (float, "nan", "expected a number"),
    (float, float("inf"), "expected a number"),
    (float, 10**400, "expected a number"),
    (float, "1e999", "expected a number"),
    (size, "8MB", "MiB"),
    (size, "-1", "MiB"),
    (size, -1, "MiB"),
    (size, 1.5, "MiB"),
    (size, True, "MiB"),
    (duration, "5m", "min"),
    (duration, "", "min"),
    (duration, [30], "min"),
    (duration, float("nan"), "number"),
    (rate, "10/h", "10/s"),
    (flag, "true", "yes or no"),
    (flag, 1, "yes or no"),
    (choice("a", "b"), "c", "one of a, b"),
    (many(str), "a,,b", "commas"),
    (many(int), "1,x", "whole number"),
]


def taker(kind):
    return type("Taker", (), {"the_key": option(None, kind)})


@pytest.mark.parametrize(("kind", "raw", "value"), GOOD)
def test_a_kind_reads_text_and_toml(kind, raw, value):
    read = configure(taker(kind), {"the_key": raw}).the_key
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(("kind", "raw", "expected"), BAD)
def test_a_bad_value_is_named_with_what_is_expected(kind, raw, expected):
    with pytest.raises(ConfigError) as error:
        configure(taker(kind), {"the-key": raw})
    assert str(error.value).startswith("taker: the-key=")
    assert expected in str(error.value)
    assert len(str(error.value)) < 300


def test_an_option_reads_as_its_default():
    assert Alarm.above == Alarm().above == 30.0


def test_configured_options_are_plain_attributes():
    loud = configure(Alarm, {"above": "35", "max-age": "2min"})
    assert vars(loud)["above"] == 35.0
    assert vars(loud)["max_age"] == 120.0
    assert vars(loud)["topic"] == "temp/#"
    assert issubclass(loud, Alarm)
    assert (loud.__name__, loud.__qualname__, loud.__module__, loud.__doc__) == (
        Alarm.__name__,
        Alarm.__qualname__,
        Alarm.__module__,
        Alarm.__doc__,
    )
    assert Alarm.above == 30.0


def test_the_same_values_give_the_same_class():
    assert configure(Alarm, {"above": "35"}) is configure(Alarm, {"above": 35})
    assert configure(Alarm, {}) is configure(Alarm, {"above": 30})
    assert configure(Alarm, {"above": "35"}) is not configure(Alarm, {"above": "36"})


def test_a_configured_class_can_be_configured_further():
    once = configure(Alarm, {"above": 35})
    twice = configure(once, {"loud": "yes"})
    assert (twice.above, twice.loud) == (35.0, True)
    assert once.loud is False
    assert options_of(twice) == options_of(Alarm)


def test_a_subclass_sets_another_default():
    class Oven(Alarm):
        above = 250.0

    assert configure(Oven, {}).above == 250.0
    assert configure(Oven, {"above": 260}).above == 260.0


def test_slots_stay_slots():
    class Small:
        __slots__ = ("x",)
        depth = option(1, int)

    assert not hasattr(configure(Small, {"depth": 2})(), "__dict__")


def test_options_of_names_them_in_order():
    assert list(options_of(Alarm)) == ["above", "topic", "max_age", "loud"]
    assert options_of(Alarm)["above"].help == "alarm above this"


def test_an_unknown_key_names_the_plugin_and_its_keys():
    with pytest.raises(ConfigError, match=r"^alarm: unknown key speed=, it takes above= loud= max-age= topic=$"):
        configure(Alarm, {"speed": 1})
    with pytest.raises(ConfigError, match=r"^alarm: unknown key max_aeg=, did you mean max-age=\?$"):
        configure(Alarm, {"max_aeg": 1})


def test_an_attribute_beside_a_method_of_its_name():
    class Framed:
        gap_ = option(None, duration)

    assert configure(Framed, {"gap": "20ms"}).gap_ == 0.02
    with pytest.raises(ConfigError, match=r"framed: gap=x: expected seconds"):
        configure(Framed, {"gap": "x"})
    with pytest.raises(ConfigError, match=r"it takes gap=$"):
        configure(Framed, {"size": 1})


def test_a_plugin_without_options_says_so():
    with pytest.raises(ConfigError, match=r"^plain: unknown key x=, it takes none$"):
        configure(type("Plain", (), {}), {"x": 1})


def test_a_key_in_both_spellings_is_doubled():
    with pytest.raises(ConfigError, match="max-age= is given twice"):
        configure(Alarm, {"max-age": 1, "max_age": 1})


def test_a_default_that_cannot_be_compared_is_refused_where_it_is_written():
    with pytest.raises(TypeError):
        option([], many(str))


@given(st.text())
def test_what_is_shown_is_one_short_line(text):
    assert shown(text).isprintable()
    assert len(shown(text[:80])) <= 10 * 80
