"""The map between topics and WAMP's URIs, both ways and without loss: as the one of NATS subjects.

    topic, filter     URI              rule
    com/app/temp      com.app.temp     `/` is `.`
    a//b              a.%.b            an empty level is `%`
    a b/1.5/50%       a%20b.1%2E5.50%25   `%`, `.`, `*`, `>`, white space and controls within a level are %XX
    a/+/c             a..c             with match=wildcard an empty component is `+`
    a/#               a                with match=prefix: `a` and what is below it; `a.` is the same

Each topic has exactly one URI. One that is none of these, such as `a/b` or `a%2Fb`, is refused.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from hubbub import limits
from hubbub.errors import BadFilter, BadTopic
from hubbub.topics import check_filter, check_topic

EXACT, PREFIX, WILDCARD = MATCHES = ("exact", "prefix", "wildcard")
_ESCAPED = re.compile(r"[\s\x00-\x20\x7f%.*>]")
_ESCAPE = re.compile("(?:%[0-9A-F]{2})+")
_WRONG = "a component of a URI has no / + # % nor white space; docs/wamp.md says how these are written"


def uri_of(topic: str) -> str:
    """Return the URI of a well formed topic."""
    if not _ESCAPED.search(topic) and "//" not in topic and topic[0] != "/" and topic[-1] != "/":
        return topic.replace("/", ".")
    return ".".join([_ESCAPED.sub(_percent, level) or "%" for level in topic.split("/")])


def topic_of(uri: str) -> str:
    """Return the topic of a URI. Raises BadTopic."""
    return check_topic("/".join([_unquoted(level, BadTopic) for level in uri.split(".")]))


def filter_of(uri: str, match: str) -> str:
    """Return the filter of a subscription to a URI; `match` is one of MATCHES. Raises BadFilter."""
    if match == PREFIX:
        levels = [_unquoted(level, BadFilter) for level in uri.removesuffix(".").split(".")] if uri else []
        return check_filter("/".join([*levels, "#"]))
    wild = match == WILDCARD
    levels = ["+" if wild and not level else _unquoted(level, BadFilter) for level in uri.split(".")]
    return check_filter("/".join(levels))


def _unquoted(level: str, error: type[BadTopic | BadFilter]) -> str:
    if level == "%":
        return ""
    if not level or any(one in level for one in "/+#"):
        raise error(_WRONG if level else "a component of a URI is empty; an empty level of a topic is written %")
    if "%" not in level:
        if _ESCAPED.search(level):
            raise error(_WRONG)
        return level
    try:
        text = _ESCAPE.sub(lambda found: unquote(found[0], errors="strict"), level)
    except UnicodeDecodeError:
        raise error("an escape of a URI is no UTF-8") from None
    if _ESCAPED.sub(_percent, text) != level:
        raise error(_WRONG)
    return text


def _percent(found: re.Match[str]) -> str:
    return quote(found[0], safe="") if found[0] not in "." else "%2E"


class Topics(dict[str, str]):
    """Topics by URI, so that each is parsed once. Bounded. Looking one up raises BadTopic."""

    __slots__ = ("_mount",)

    def __init__(self, mount: str = "") -> None:
        super().__init__()
        self._mount = mount

    def __missing__(self, uri: str) -> str:
        topic = self._mount + topic_of(uri)
        if len(uri) <= limits.TOPIC_TABLE_BYTES:
            if len(self) >= limits.TOPIC_TABLE:
                self.clear()
            self[uri] = topic
        return topic
