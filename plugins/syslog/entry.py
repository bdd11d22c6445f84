"""The content of a log message, whatever its format."""

from __future__ import annotations

import re
from typing import NamedTuple

SEVERITIES = "emerg alert crit err warning notice info debug".split()
FACILITIES = (
    "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp audit console cron2 "
    "local0 local1 local2 local3 local4 local5 local6 local7"
).split()
NOTICE = 13  # user.notice: what has no valid PRI (RFC 3164 section 4.3.3)
PRI = rb"<(?P<pri>[0-9]|[1-9][0-9]|1[0-8][0-9]|19[01])>"
BOM = b"\xef\xbb\xbf"

StructuredData = dict[str, dict[str, list[str]]]


class Entry(NamedTuple):
    """One parsed message.

    fields  the header: severity and facility as words, and the other fields that it has
    data    SD-ID -> PARAM-NAME -> values
    msg     the text in the sender's encoding, without BOM and without NUL, CR or LF at its end
    """

    fields: dict[str, str]
    data: StructuredData
    msg: bytes


def priority(pri: int) -> dict[str, str]:
    """Return facility and severity in words (RFC 5424 section 6.2.1)."""
    return {"facility": FACILITIES[pri >> 3], "severity": SEVERITIES[pri & 7]}


def fields(header: re.Match[bytes]) -> dict[str, str]:
    """Return the named groups of a header, without those that are empty or `-`."""
    found = {name: value.decode() for name, value in header.groupdict().items() if value not in (None, b"", b"-")}
    return priority(int(found.pop("pri"))) | found
