"""Messages of Cisco's systems: a counter, a host, a mark, a time and a zone, each of which may be missing.

    <189>48: switch1: *Mar  1 18:48:50.483 UTC: %SYS-5-CONFIG_I: Configured from console
    <189>Oct 11 22:14:15 10.0.0.7 48: Mar  1 18:48:50: %SYS-5-CONFIG_I: ...     with the header of a relay
    <166>Jul 18 2026 10:22:33 fw1 : %ASA-6-302013: Built outbound TCP connection

The app is the %FACILITY-SEVERITY-MNEMONIC; with the counter each message would get a topic of its own. The mark is `*`
if the clock was never set, `.` if it has lost its NTP server.
"""

from __future__ import annotations

import re

from hubbub_plugins.syslog.entry import PRI, Entry, fields
from hubbub_plugins.syslog.times import TIME, UPTIME

_HOST = rb"(?![0-9]+:? )[!-Z^-~\\]{1,255}"  # a number would be a counter
_COUNTER = rb"(?:[0-9]{1,10}: )"
_NAME = rb"%[A-Z0-9_]{1,32}(?:-[A-Za-z0-9_]{1,32}){0,3}-[0-7]-[A-Za-z0-9_]{1,64}"
_RELAYED = rb"(?:%b (?P<relayed>%b(?<!:)) (?:: (?!%%))?)?" % (TIME, _HOST)
_CLOCK = rb"[*.]?(?P<timestamp>%b|%b)" % (TIME, UPTIME)
_NAMED = re.compile(
    rb"%b ?:? ?%b%b{0,3}(?:(?P<before>%b?): ?)??(?:%b(?: (?P<behind>%b(?<!:)))? ?: ?)?"
    rb"(?:(?P<process>%b)\[(?P<procid>[0-9]{1,10})\] ?: ?)?(?P<app>%b) ?:(?: |\Z)"
    % (PRI, _RELAYED, _COUNTER, _HOST, _CLOCK, _HOST, _HOST, _NAME)
)
_UNNAMED = re.compile(rb"%b ?%b%b{1,3}(?:(?P<before>%b?): ?)??%b ?:(?: |\Z)" % (PRI, _RELAYED, _COUNTER, _HOST, _CLOCK))


def parse(frame: bytes) -> Entry | None:
    """Parse a message. None: it has neither such a name nor a counter and a time."""
    header = _NAMED.match(frame) or _UNNAMED.match(frame)
    if header is None:
        return None
    found = fields(header)
    hosts = [found.pop(name) for name in ("before", "behind", "relayed") if name in found]
    found.pop("process", None)
    if hosts:
        found["hostname"] = hosts[0]
    return Entry(found, {}, frame[header.end() :])
