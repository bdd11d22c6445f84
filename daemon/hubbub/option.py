"""Options of plugins: typed, validated keys that a dialect or a handler declares as class attributes.

    class Alarm(Handler):
        above = option(30.0, float, "alarm above this")

An operator writes `alarm:above=35`; `configure` checks it and returns a subclass on which `above` is the
plain 35.0. A kind is a function from what the operator wrote (text, or a value from TOML) to the hashable
value that the plugin reads; it raises ValueError with what it expected.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import unquote_to_bytes

from hubbub import limits
from hubbub.errors import ConfigError

T = TypeVar("T")

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?")
_SIZE = re.compile(r"([0-9]{1,18}) ?(KiB|MiB|GiB)?")
_DURATION = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?) ?(ms|s|min|h)?")
_RATE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)(?:/(s|min))?")
_BYTES = {None: 1, "KiB": limits.KiB, "MiB": limits.MiB, "GiB": 1024 * limits.MiB}
_SECONDS = {None: 1.0, "ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}


def _text(raw: object) -> str:
    if isinstance(raw, str):
        return raw
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw)
    raise ValueError("expected text")


def integer(raw: object) -> int:
    """Read a whole number: 30, "30"."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and _INTEGER.fullmatch(raw):
        return int(raw)
    raise ValueError("expected a whole number, such as 30")


def _number(raw: object) -> float:
    known = isinstance(raw, (int, float)) and not isinstance(raw, bool)
    if known or (isinstance(raw, str) and _NUMBER.fullmatch(raw)):
        try:
            number = float(raw)  # type: ignore[arg-type]
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise ValueError("expected a number, such as 30 or 2.5")


def _measured(raw: object, pattern: re.Pattern[str], expected: str) -> tuple[float, str | None]:
    """Split a number and its unit; a number from TOML has none. Raises ValueError with `expected`."""
    if isinstance(raw, (int, float)) and not isinstance(raw, bool):
        number, unit = _number(raw), None
    elif isinstance(raw, str) and (found := pattern.fullmatch(raw)):
        number, unit = float(found[1]), found[2]
    else:
        raise ValueError(expected)
    if number < 0:
        raise ValueError(expected)
    return number, unit


def size(raw: object) -> int:
    """Read bytes: 1024, "1024", "8MiB"."""
    expected = "expected bytes, or a size with KiB, MiB or GiB, such as 8MiB"
    number, unit = _measured(raw, _SIZE, expected)
    if number % 1:
        raise ValueError(expected)
    return int(number) * _BYTES[unit]


def duration(raw: object) -> float:
    """Read seconds: 30, 0.5, "30", "20ms", "30s", "5min", "1h"."""
    expected = "expected seconds, or a duration with ms, s, min or h, such as 20ms or 5min"
    number, unit = _measured(raw, _DURATION, expected)
    return number * _SECONDS[unit]


def rate(raw: object) -> float:
    """Read times per second: 10, "10/s", "600/min"."""
    number, unit = _measured(raw, _RATE, "expected a rate, such as 10/s or 10/min")
    return number / _SECONDS[unit]


def flag(raw: object) -> bool:
    """Read "yes" or "no", or a boolean from TOML."""
    if raw is True or raw == "yes":
        return True
    if raw is False or raw == "no":
        return False
    raise ValueError("expected yes or no")


def octets(raw: object) -> bytes:
    """Read bytes, at least one: text, in which %XX is the byte of two hexadecimal digits, as %0D%0A for CR and LF."""
    text = _text(raw)
    if not text or re.search("%(?![0-9A-Fa-f]{2})", text):
        raise ValueError("expected some text, in which %XX is any byte: %0D%0A is CR and LF, %25 is %")
    return unquote_to_bytes(text)


class Secret(str):
    """What a file of the operator keeps, and nothing shows."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def secret(raw: object) -> Secret:
    """Read the file that the operator names, such as a password's: its first line, which is all that is in it."""
    path = Path(_text(raw)).absolute()
    try:
        with path.open("rb") as stream:
            data = stream.read(limits.TOKEN_CHARACTERS + 1)
        found = data.decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise ValueError(f"it can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("expected a file with one line of UTF-8") from None
    if not found or len(data) > limits.TOKEN_CHARACTERS or not found.isprintable():
        raise ValueError(f"expected a file with one line of at most {limits.TOKEN_CHARACTERS} characters")
    return Secret(found)


def choice(*names: str) -> Callable[[object], str]:
    """Return the kind that takes one of `names`."""

    def choose(raw: object) -> str:
        if raw in names:
            return str(raw)
        raise ValueError(f"expected one of {', '.join(names)}")

    return choose


def many(kind: Callable[[Any], T]) -> Callable[[object], tuple[T, ...]]:
    """Return the kind that takes several of `kind`: a list from TOML, or text with commas between."""
    parse_one: Callable[[Any], T] = _KINDS.get(kind, kind)

    def parse(raw: object) -> tuple[T, ...]:
        parts = raw if isinstance(raw, list) else _text(raw).split(",")
        if "" in parts:
            raise ValueError("expected values with commas between")
        return tuple(parse_one(part) for part in parts)

    return parse


_KINDS: dict[object, Callable[[Any], Any]] = {str: _text, int: integer, float: _number, bool: flag}


class option(Generic[T]):
    """One typed key of a plugin class, declared as a class attribute; unconfigured it reads as its default.

    default  any hashable value
    kind     str, int, float, `size`, `duration`, `rate`, `flag`, `secret`, `choice(...)`, `many(kind)` or your own
    help     what it is for, in a few words
    """

    def __init__(self, default: T, kind: Callable[[Any], T] = str, help: str = "") -> None:  # type: ignore[assignment]
        hash(default)  # equal options must find each other in `configure`
        self.default = default
        self.kind: Callable[[Any], T] = _KINDS.get(kind, kind)
        self.help = help

    def __get__(self, instance: object, owner: type | None = None) -> T:
        return self.default


def options_of(cls: type) -> dict[str, option[Any]]:
    """Return the options that `cls` takes, by attribute name, a base's before a subclass's."""
    found: dict[str, option[Any]] = {}
    for base in reversed(cls.__mro__):
        found |= {name: value for name, value in vars(base).items() if isinstance(value, option)}
    return found


def key_of(name: str) -> str:
    """Return the key that sets the attribute `name`, as an operator writes it."""
    return name.rstrip("_").replace("_", "-")


def configure(cls: type[T], values: Mapping[str, object]) -> type[T]:
    """Return a subclass of `cls` whose options are plain class attributes, those in `values` parsed; or `cls`, if none.

    Keys are written with `-` or `_`; an attribute `gap_`, named so beside a method `gap`, is the key `gap`.
    The same class and values give the same object each time, so that links with equal options share their
    encodings. Raises ConfigError for an unknown or doubled key or a bad value.
    """
    options = options_of(cls)
    names = {key_of(name): name for name in options}
    given: dict[str, Any] = {}
    for key, raw in values.items():
        name = names.get(key_of(key), "")
        if not name:
            raise ConfigError(_unknown(cls, key, names))
        if name in given:
            raise ConfigError(f"{_name(cls)}: {key_of(name)}= is given twice")
        given[name] = parse(f"{_name(cls)}: {key_of(name)}", options[name].kind, raw)
    if not options:
        return cls
    settled = {name: given[name] if name in given else getattr(cls, name) for name in options}
    if "_configured" not in vars(cls):
        cls._configured = {}  # type: ignore[attr-defined]
    known: dict[object, type[T]] = cls._configured  # type: ignore[attr-defined]
    identity = tuple((type(value), value) for value in settled.values())
    if identity not in known:
        known[identity] = _subclass(cls, settled)
    return known[identity]


def parse(key: str, kind: Callable[[Any], T], raw: object) -> T:
    """Return `kind(raw)`, or raise ConfigError that names the key, the value and what was expected."""
    try:
        return kind(raw)
    except ValueError as error:
        raise ConfigError(f"{key}={shown(raw)}: {error}") from None


def shown(raw: object) -> str:
    """Write what an operator gave into a message: one line, cut where it is long."""
    text = ("no", "yes")[raw] if isinstance(raw, bool) else str(raw)
    text = printable(text[: limits.SHOWN_CHARACTERS + 1])
    return text if len(text) <= limits.SHOWN_CHARACTERS else text[: limits.SHOWN_CHARACTERS] + "..."


def host_port(host: str, port: int | str) -> str:
    """Write an address and a port as URLs have them: an IPv6 address in brackets (RFC 3986 section 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the one of `known` that `word` is a typing error of, or None."""
    return next(iter(difflib.get_close_matches(word, list(known), 1)), None)


def hint(word: str, known: Iterable[str]) -> str:
    """Return the end of an error about an unknown `word`: what was meant, or all that is known."""
    words = list(known)
    near = closest(word, words)
    return f", did you mean {near}?" if near is not None else f"; there are {', '.join(words)}"


def printable(text: str, keep: str = "") -> str:
    """Return `text` with an escape for each character that could move a cursor, other than those of `keep`."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c in keep else ascii(c)[1:-1] for c in text)


def _subclass(cls: type[T], settled: dict[str, Any]) -> type[T]:
    same = {name: getattr(cls, name) for name in ("__module__", "__qualname__", "__doc__")}
    metaclass: Any = type(cls)
    made: type[T] = metaclass(cls.__name__, (cls,), {**settled, **same, "__slots__": ()})
    return made


def _name(cls: type) -> str:
    name = getattr(cls, "name", "")
    return name if name and isinstance(name, str) else cls.__name__.lower()


def _unknown(cls: type, key: str, keys: Iterable[str]) -> str:
    names = sorted(keys)
    near = closest(key_of(key), names)
    takes = (
        f"did you mean {near}=?" if near is not None else f"it takes {' '.join(f'{one}=' for one in names) or 'none'}"
    )
    return f"{_name(cls)}: unknown key {shown(key)}=, {takes}"
