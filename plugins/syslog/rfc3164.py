"""RFC 3164: a PRI, and a time, a host and a TAG, each of which may be missing.

rsyslog cuts a TAG, with its colon, at 32 characters. Meraki writes Unix seconds after the 1 of RFC 5424.
"""

from __future__ import annotations

import re

from hubbub_plugins.syslog.entry import NOTICE, PRI, Entry, fields, priority
from hubbub_plugins.syslog.times import TIME

# A hostname has no brackets and doesn't end with a single colon, which tells it from a TAG in its place.
_HOST = rb"(?:[!-Z^-~\\]{1,255}(?<!:)|[0-9A-Fa-f:]{0,36}::)"
_TAG = re.compile(  # not a number, and not the beginning of JSON or of a bracket
    rb"(?![0-9]+:)(?P<app>[A-Za-z0-9_%./\\~@#*+&-][!-9;-Z^-~\\]{0,254})"
    rb"(?:\[(?P<procid>[!-Z^-~\\]{0,128})\]:? ?|:(?: |\Z))"
)
_CUT = re.compile(  # a TAG of 32 characters, which isn't a hash in hexadecimal
    rb"(?=[!-9;-~]{32}(?: |\Z))(?![0-9A-Fa-f]{32})(?P<app>[!-Z^-~\\]{1,32})(?:\[[!-Z^-~\\]*)?(?: |\Z)"
)
_HEADER = re.compile(rb"%b ?(?:(?P<timestamp>%b)(?:: ?|\Z| (?:(?P<hostname>%b) (?:: )?)?))?" % (PRI, TIME, _HOST))
_MERAKI = re.compile(
    rb"%b(?:1 )?(?P<timestamp>[0-9]{9,11}(?:\.[0-9]{1,9})?) (?P<hostname>%b) (?P<app>[!-~]{1,64})(?: |\Z)"
    % (PRI, _HOST)
)


def parse(frame: bytes) -> Entry:
    """Parse any message; without a PRI all of it is text."""
    if meraki := _MERAKI.match(frame):
        return Entry(fields(meraki), {}, frame[meraki.end() :])
    header = _HEADER.match(frame)
    if header is None:
        return Entry(priority(NOTICE), {}, frame)
    found, at = fields(header), header.end()
    if tag := _TAG.match(frame, at):
        found |= {name: value.decode() for name, value in tag.groupdict().items() if value}
        at = tag.end()
    elif "hostname" in found and (cut := _CUT.match(frame, at)):
        found["app"], at = cut["app"].decode(), cut.end()
    elif "hostname" in found and frame[at : at + 1] == b" ":  # an empty TAG
        at += 1
    return Entry(found, {}, frame[at:])
