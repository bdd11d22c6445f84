"""Topics and filters: what is well formed, what matches, and how both are written where a byte has a meaning.

MQTT 5.0 section 4.7: a topic is `a/b/c`; a filter may have `+` for one level and `#` as the last for the rest.
"""

from __future__ import annotations

import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

from hubbub import limits
from hubbub.errors import BadFilter, BadTopic, Refusal

SHARE = "$share/"  # what a filter begins with whose messages a group shares (MQTT 5.0 section 4.8.2)

_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_ESCAPED_IN_LINE = re.compile("[\x00-\x20%\x7f-\x9f\u2028\u2029]")
_ESCAPED_IN_VALUE = re.compile("[\x00-\x20%/+#$\x7f-\x9f\u2028\u2029]")


def check_topic(topic: str) -> str:
    """Return `topic` as it is, or raise BadTopic. MQTT-4.7.1-1, MQTT-4.7.3-1 to 4.7.3-3."""
    if "+" in topic or "#" in topic:
        raise BadTopic("a topic has no wildcards; + and # are for filters")
    _check_name(topic, BadTopic)
    return topic


def check_filter(text: str) -> str:
    """Return the filter `text` as it is, or raise BadFilter. MQTT-4.7.1-1, MQTT-4.7.1-2."""
    _check_name(text, BadFilter)
    if "#" in text or "+" in text:
        levels = text.split("/")
        for level in levels:
            if len(level) > 1 and ("+" in level or "#" in level):
                raise BadFilter("+ and # stand alone in their level, as in a/+/b or a/#")
        if "#" in levels[:-1]:
            raise BadFilter("# is only allowed as the last level, as in a/#")
    return text


def unshared(filter: str) -> str:
    """Return the filter behind a group, `$share/GROUP/FILTER`, or one without a group as it is. Raises BadFilter.

    MQTT-4.8.2-1, MQTT-4.8.2-2.
    """
    if not filter.startswith(SHARE):
        return filter
    group, _, shared = filter[len(SHARE) :].partition("/")
    if not group or not shared or "+" in group or "#" in group:
        raise BadFilter("a shared filter is $share/GROUP/FILTER, with no + or # in the name of the group")
    if shared.startswith(SHARE):
        raise BadFilter("what is shared in one group isn't shared again in another")
    return shared


def _check_name(text: str, error: type[BadTopic | BadFilter]) -> None:
    if not text:
        raise error("it is empty")
    if "\0" in text:
        raise error("it contains NUL (U+0000)")
    if text.count("/") >= limits.MAX_TOPIC_LEVELS:
        refusal = error(f"it has more than {limits.MAX_TOPIC_LEVELS} levels")
        refusal.limit = "topic-levels"
        raise refusal
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise error("it contains a lone surrogate, which UTF-8 can't carry") from None
    if size > limits.TOPIC_BYTES:
        raise error(f"it is longer than {limits.TOPIC_BYTES} bytes")


def is_wildcard(text: str) -> bool:
    """Tell whether the well formed filter `text` can match more than one topic."""
    return "+" in text or text.endswith("#")


def matches(text: str, topic: str) -> bool:
    """Tell whether the filter `text` matches `topic`, both well formed.

    A leading wildcard doesn't match a topic that begins with `$` (MQTT-4.7.2-1); `a/#` matches `a` too.
    """
    if topic[0] == "$" and text[0] in "+#":
        return False
    wanted, levels = text.split("/"), topic.split("/")
    for at, level in enumerate(wanted):
        if level == "#":
            return True
        if at >= len(levels) or level not in ("+", levels[at]):
            return False
    return len(wanted) == len(levels)


def overlap(one: str, other: str) -> bool:
    """Tell whether a topic may match both filters, both well formed. Topics that begin with `$` aren't told apart."""
    levels, others = one.split("/"), other.split("/")
    for level, beside in zip(levels, others, strict=False):
        if "#" in (level, beside):
            return True
        if level != beside and "+" not in (level, beside):
            return False
    rest = levels[len(others) :] or others[len(levels) :]
    return rest in ([], ["#"])


def quote(text: str) -> str:
    """Write a topic or filter for a line: space, `%`, controls and line separators become %XX; `unquote` undoes it."""
    return _ESCAPED_IN_LINE.sub(_percent, text)


def quote_value(text: str) -> str:
    """Write any text as (part of) one topic level, for templates; the empty text becomes `-`."""
    return _ESCAPED_IN_VALUE.sub(_percent, text) or "-"


def _percent(found: re.Match[str]) -> str:
    return quote_from_bytes(found[0].encode(), safe="")


def unquote(data: bytes) -> str:
    """Read what `quote` wrote. Raises ValueError where a % isn't followed by two digits, or for what isn't UTF-8."""
    if b"%" not in data:
        return data.decode()
    if _PERCENT.search(data):
        raise ValueError("a % is followed by two hexadecimal digits, as in %20")
    return unquote_to_bytes(data).decode()


class TopicTable(dict[bytes, str]):
    """Topics as a link wrote them (see `quote`) -> as they are, so that each is parsed once. Bounded.

    Looking one up raises BadTopic, or Refusal (bad-utf8), where it isn't well formed.
    """

    __slots__ = ()

    def __missing__(self, raw: bytes) -> str:
        topic = check_topic(read_name(raw, BadTopic))
        if len(raw) <= limits.TOPIC_TABLE_BYTES:
            if len(self) >= limits.TOPIC_TABLE:
                self.clear()
            self[raw] = topic
        return topic


def read_name(raw: bytes, error: type[BadTopic | BadFilter]) -> str:
    """Read a topic or filter that `quote` wrote. Raises `error`, or Refusal (bad-utf8)."""
    try:
        text = unquote(raw)
    except UnicodeDecodeError:
        raise Refusal("bad-utf8", "a topic is UTF-8") from None
    except ValueError as why:
        raise error(str(why)) from None
    if _CONTROL.search(raw):
        raise error("control characters are written as %XX")
    return text
