"""Patterns, without groups, of the time as senders of RFC 3164 write it."""

from __future__ import annotations

_STOP = rb"(?=:?(?: |\Z))"
_YEAR = rb"(?:19|20)[0-9]{2}"
_CLOCK = rb"[0-2]?[0-9]:[0-5][0-9]:[0-6][0-9](?:[.,][0-9]{1,9})?"
_OFFSET = rb"[+-][0-9]{2}:?[0-9]{2}"
_ZONE = (  # any other word may be a hostname
    rb"(?:UTC|GMT|Z|WES?T|CES?T|EES?T|BST|IST|MSK|[ECMP][SD]T|AK[SD]T|HST|JST|KST|HKT|SGT|A[CEW][SD]T|NZ[SD]T|SAST|BRT"
    rb"|(?:TZ|UTC|GMT)[+-][0-9]{1,2}(?::[0-9]{2})?|%b)%b" % (_OFFSET, _STOP)
)
_MONTH = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_BSD = (
    rb"(?:%b )?%b {1,2}[0-3]?[0-9] (?:%b )?%b(?: %b)?(?: %b%b)?"
    % (_YEAR, _MONTH, _YEAR, _CLOCK, _ZONE, _YEAR, _STOP)
)  # fmt: skip
_ISO = rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]%b(?:Z|%b)?(?: %b)?" % (_CLOCK, _OFFSET, _ZONE)

TIME = rb"(?>%b|%b)" % (_BSD, _ISO)  # all of it: a zone or a year at its end is no hostname
UPTIME = (  # Cisco's, without a clock: 00:00:46, 1w2d
    rb"(?:[0-9]{1,4}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?|(?:[0-9]{1,4}[ywdh]){1,4})"
)
