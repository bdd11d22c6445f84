"""The map between topics and NATS subjects, both ways and without loss.

    topic, filter     subject          rule
    a/b/c             a.b.c            `/` is `.`
    a//b              a.%.b            an empty level is `%`
    a b/1.5/50%       a%20b.1%2E5.50%25   `%`, `.`, `*`, `>`, space and ASCII controls within a level are %XX
    a/+/c             a.*.c            `+` is `*`
    a/+/#             a.>              a last `>` is `#` without the parent, which `a/#` matches too
    #                 >

Each topic has exactly one subject. A subject that is none of these, such as `a/b` or `a%2Fb`, is refused.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from hubbub.errors import BadFilter, BadTopic
from hubbub.topics import SHARE, check_filter, check_topic

_ESCAPED = re.compile("[\x00-\x20\x7f%.*>]")
_LEVEL = re.compile(r"%|(?:[^\x00-\x20\x7f%.*>/+#]|%(?:0[1-9A-F]|1[0-9A-F]|20|25|2A|2E|3E|7F))+")
_ESCAPED_IN_QUEUE = re.compile("[%/+#]")
_WRONG = "a level has no / + # % and no wildcard beside other text; docs/nats.md says how these are written"


def subject_of(topic: str) -> str:
    """Return the subject of a well formed topic."""
    if _ESCAPED.search(topic) or "//" in topic or topic[0] == "/" or topic[-1] == "/":
        return ".".join([_quoted(level) for level in topic.split("/")])
    return topic.replace("/", ".")


def topic_of(subject: str) -> str:
    """Return the topic of a subject without wildcards. Raises BadTopic."""
    return check_topic("/".join([_unquoted(level, BadTopic) for level in subject.split(".")]))


def filter_of(subject: str) -> str:
    """Return the filter of a subject that may have wildcards. Raises BadFilter."""
    *parents, last = subject.split(".")
    levels = ["+" if level == "*" else _unquoted(level, BadFilter) for level in parents]
    if last == ">":
        levels += ["+", "#"] if levels else ["#"]
    else:
        levels.append("+" if last == "*" else _unquoted(last, BadFilter))
    return check_filter("/".join(levels))


def subjects_of(filter: str) -> tuple[str, ...]:
    """Return the subjects that together are a well formed filter: two for `a/#`, which matches `a` and all below it."""
    levels = ["*" if level == "+" else _quoted(level) for level in filter.split("/")]
    if levels[-1] != "#":
        return (".".join(levels),)
    parents = levels[:-1]
    if not parents or parents[-1] == "*":
        return (".".join([*parents[:-1], ">"]),)
    return ".".join(parents), ".".join([*parents, ">"])


def shared_filter(queue: str, filter: str) -> str:
    """Return the filter of a member of a queue group."""
    return f"{SHARE}{_ESCAPED_IN_QUEUE.sub(_percent, queue)}/{filter}"


def _quoted(level: str) -> str:
    return _ESCAPED.sub(_percent, level) or "%"


def _unquoted(level: str, error: type[BadTopic | BadFilter]) -> str:
    if not _LEVEL.fullmatch(level):
        raise error(_WRONG if level else "a level is empty, which is written %")
    return "" if level == "%" else unquote(level)


def _percent(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"
