"""plugins/syslog: the forms of a message that real senders write, and what each says."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import DialectContext, Publish
from hubbub.kernel.sessions.session import Session
from hubbub_plugins.syslog import Syslog
from hubbub_plugins.syslog.dialect import parse

PEER = Session("192.0.2.9", 514, "udp", "logs")
SENDER = "192.0.2.9"  # what stands for a hostname that isn't said
LONG = "a" * 60
TAG31 = "abcdefghijklmnopqrstuvwxyz01234"
ISO = "2026-11-28T18:02:01.958783+00:00"

RFC5424 = {
    "rsyslog: APP-NAME of 60, a space before the text, LF": (f"<13>1 {ISO} web {LONG} 7 - -  x\n", "web", LONG, "x"),
    "the longest APP-NAME": (f"<13>1 {ISO} web {'a' * 255} - - - x", "web", "a" * 255, "x"),
    "syslog-pro: no APP-NAME": (f"<13>1 {ISO} web  - - - x\n", "web", "-", "x"),
    "syslog-pro: the letters BOM": (f"<13>1 {ISO} web  - - - BOMx\n", "web", "-", "BOMx"),
    "rfc5424-logging-handler: a newline": (f"<13>1 {ISO} web shop - - - a\\nb\n", "web", "shop", "a\\nb"),
    "no PROCID": (f"<13>1 {ISO} web shop  - - x", "web", "shop", "x"),
    "no MSGID": (f"<13>1 {ISO} web shop -  - x", "web", "shop", "x"),
    "no HOSTNAME": (f"<13>1 {ISO}  shop - - - x", SENDER, "shop", "x"),
    "no TIMESTAMP": ("<13>1  web shop - - - x", "web", "shop", "x"),
    "no STRUCTURED-DATA": (f"<13>1 {ISO} web shop - -  x", "web", "shop", "x"),
    "a zone without a colon": ("<13>1 2026-11-28T18:02:01+0100 web shop - - - x", "web", "shop", "x"),
    "no text, and LF": (f"<13>1 {ISO} web shop - - -\n", "web", "shop", ""),
    "no text, a space and LF": (f"<13>1 {ISO} web shop - - - \n", "web", "shop", ""),
    "syslog-ng: whole seconds and its own data": (
        '<13>1 2026-11-28T18:03:01+00:00 web shop - - [meta sequenceId="1"] x\n', "web", "shop", "x"),
    "a BOM, and then a space": (f"<13>1 {ISO} web shop - - - \ufeff x", "web", "shop", "x"),
    "two spaces": (f"<13>1 {ISO} web shop - - -   x", "web", "shop", " x"),
}  # fmt: skip

RFC3164 = {
    "rsyslog: a TAG cut within its PID": (f"<13>Oct 11 22:14:15 web {TAG31[:29]}[12 x", "web", TAG31[:29], "x"),
    "rsyslog: a TAG cut before its PID": (f"<13>Oct 11 22:14:15 web {TAG31}5 x", "web", f"{TAG31}5", "x"),
    "rsyslog: a TAG cut before its colon": (f"<13>Oct 11 22:14:15 web {TAG31[:27]}[12] x", "web", TAG31[:27], "x"),
    "rsyslog: a TAG of 31 with its colon": (f"<13>Oct 11 22:14:15 web {TAG31}: x", "web", TAG31, "x"),
    "rsyslog: a TAG cut, and no text": (f"<13>{ISO} web {TAG31}5", "web", f"{TAG31}5", ""),
    "a hash is no TAG": (f"<13>Oct 11 22:14:15 web {'d41d8cd9' * 4} x", "web", "-", f"{'d41d8cd9' * 4} x"),
    "a word of 33 is no TAG": (f"<13>Oct 11 22:14:15 web {TAG31}56 x", "web", "-", f"{TAG31}56 x"),
    "no text, and LF": ("<13>Oct 11 22:14:15 web app:\n", "web", "app", ""),
    "busybox: no text, a space and LF": ("<13>Oct 11 22:14:15 root: \n", SENDER, "root", ""),
    "no text, no time, and LF": ("<13>app:\n", SENDER, "app", ""),
    "an IPv6 host that ends in ::": ("<13>Oct 11 22:14:15 2001:db8:: app: x", "2001:db8::", "app", "x"),
    "an IPv6 host": ("<13>Oct 11 22:14:15 2001:db8::7 app[1]: x", "2001:db8::7", "app", "x"),
    "a year behind the day": ("<13>Oct 11 2026 22:14:15 web app: x", "web", "app", "x"),
    "a year behind the time": ("<13>Oct 11 22:14:15 2026 web app: x", "web", "app", "x"),
    "a year before the month": ("<13>2026 Oct 11 22:14:15 web app: x", "web", "app", "x"),
    "fractions": ("<13>Oct 11 22:14:15.123456 web app: x", "web", "app", "x"),
    "fractions with a comma": ("<13>Oct 11 22:14:15,123 web app: x", "web", "app", "x"),
    "an unpadded day": ("<13>Oct 1 22:14:15 web app: x", "web", "app", "x"),
    "a padded day": ("<13>Oct  1 22:14:15 web app: x", "web", "app", "x"),
    "a day with a zero": ("<13>Oct 01 22:14:15 web app: x", "web", "app", "x"),
    "a space behind PRI": ("<13> Oct 11 22:14:15 web app: x", "web", "app", "x"),
    "a space behind PRI, and no time": ("<13> app: x", SENDER, "app", "x"),
    "a zone": ("<13>Oct 11 22:14:15 UTC web app: x", "web", "app", "x"),
    "a zone as an offset": ("<13>Oct 11 22:14:15 +0100 web app: x", "web", "app", "x"),
    "a zone behind fractions": ("<13>Oct 11 22:14:15.1 CEST web app: x", "web", "app", "x"),
    "a zone and a year": ("<13>Oct 11 22:14:15 CST 1987 web app: x", "web", "app", "x"),
    "a host of capitals is no zone": ("<13>Oct 11 22:14:15 FW1 app: x", "FW1", "app", "x"),
    "a date as numbers, with a blank": ("<13>2026-10-11 22:14:15 web app: x", "web", "app", "x"),
    "rsyslog: a date as RFC 3339 has it": (f"<13>{ISO} web app: x", "web", "app", "x"),
    "a date with a zone without a colon": ("<13>2026-10-11T22:14:15+0100 web app: x", "web", "app", "x"),
    "Meraki: Unix seconds": (
        "<134>1 1563249630.774247467 MX84 events type=vpn", "MX84", "events", "type=vpn"),
    "Meraki: whole Unix seconds": ("<134>1 1563249630 MX84 urls src=1", "MX84", "urls", "src=1"),
    "busybox: no host": ("<13>Nov 28 18:01:36 till: out of paper\n", SENDER, "till", "out of paper"),
    "busybox: no time": ("<13>app: notime\n", SENDER, "app", "notime"),
    "no time, and a PID": ("<13>app[3]: notime", SENDER, "app", "notime"),
    "syslog-pro: an empty TAG": ("<190>Nov 28 06:08:06 web  x\n", "web", "-", "x"),
    "no TAG": ("<13>Nov 28 06:08:06 web one two\n", "web", "-", "one two"),
    "a time alone": ("<13>Oct 11 22:14:15", SENDER, "-", ""),
    "a TAG of 48": (f"<13>Oct 11 22:14:15 web {'a' * 48}[7]: x", "web", "a" * 48, "x"),
    "a number is no TAG": ("<13>48: x", SENDER, "-", "48: x"),
    "JSON is no TAG": ("<13>{'a': 1}", SENDER, "-", "{'a': 1}"),
    "a NUL and LF behind it": ("<13>app: x\n\0", SENDER, "app", "x"),
}  # fmt: skip

NAME = "%25A-5-B"  # as topics write it
CISCO = {
    "a counter": ("<189>1: %A-5-B: c", SENDER, NAME, "c"),
    "a counter, a mark, a time and a zone": (
        "<189>48: *Mar  1 18:48:50.483 UTC: %A-5-B: c", SENDER, NAME, "c"),
    "all of it": ("<189>48: sw1: *Mar  1 18:48:50.483 UTC: %A-5-B: c", "sw1", NAME, "c"),
    "a counter and a host": ("<189>48: sw1: %A-5-B: c", "sw1", NAME, "c"),
    "two counters": ("<189>48: 000045: .Mar  1 18:48:50: %A-5-B: c", SENDER, NAME, "c"),
    "three counters": ("<189>48: 45: 000046: *Mar  1 18:48:50: %A-5-B: c", SENDER, NAME, "c"),
    "a time and a zone": ("<189>Oct 11 22:14:15 UTC: %A-5-B: x", SENDER, NAME, "x"),
    "a time": ("<189>Oct 11 22:14:15: %A-5-B: x", SENDER, NAME, "x"),
    "a time, a zone and a year": ("<189>Oct 11 22:14:15.001 UTC 2026: %A-5-B: x", SENDER, NAME, "x"),
    "a zone and how far off it is": ("<189>48: Oct 11 22:14:15 GMT+1: %A-5-B: x", SENDER, NAME, "x"),
    "a time, and a mark": ("<189>*Oct 11 22:14:15: %A-5-B: x", SENDER, NAME, "x"),
    "a time, and a mark of a lost server": ("<189>.Oct 11 22:14:15.001 CEST: %A-5-B: x", SENDER, NAME, "x"),
    "a host and a time": ("<189>sw1: Oct 11 22:14:15: %A-5-B: x", "sw1", NAME, "x"),
    "a time and a host": ("<189>Oct 11 22:14:15 sw1: %A-5-B: x", "sw1", NAME, "x"),
    "nothing": ("<189>%A-5-B: x", SENDER, NAME, "x"),
    "a relay": ("<189>Oct 11 22:14:15 10.0.0.7 48: *Mar  1 18:48:50.483 UTC: %A-5-B: c", "10.0.0.7", NAME, "c"),
    "a relay, and a host of its own": ("<189>Oct 11 22:14:15 10.0.0.7 48: sw1: Mar  1 18:48:50: %A-5-B: c", "sw1",
                                       NAME, "c"),
    "a relay, and only the name": ("<189>Oct 11 22:14:15 sw1 %A-5-B: c", "sw1", NAME, "c"),
    "an IPv6 host": ("<189>48: 2001:db8::7: *Mar  1 18:48:50: %A-5-B: c", "2001:db8::7", NAME, "c"),
    "no clock": ("<189>48: 00:00:46: %A-5-B: c", SENDER, NAME, "c"),
    "no clock, a mark and milliseconds": ("<189>48: *00:00:46.123: %A-5-B: c", SENDER, NAME, "c"),
    "no clock for weeks": ("<189>48: 1w2d: %A-5-B: c", SENDER, NAME, "c"),
    "ASA: a year and a colon": ("<166>Jul 18 2026 10:22:33: %ASA-6-302013: Built", SENDER, "%25ASA-6-302013", "Built"),
    "ASA: a host": ("<166>Jul 18 2026 10:22:33 fw1 : %ASA-6-302013: Built", "fw1", "%25ASA-6-302013", "Built"),
    "ASA: EMBLEM": ("<166>:Jul 18 10:22:33 UTC: %ASA-config-5-111008: x", SENDER, "%25ASA-config-5-111008", "x"),
    "NX-OS": ("<189>: 2026 Mar  1 18:48:50 UTC: %A-5-B: c", SENDER, NAME, "c"),
    "NX-OS behind a relay": ("<189>Oct 11 22:14:15 sw1 : 2026 Oct 11 22:14:14 UTC: %A-5-B: c", "sw1", NAME, "c"),
    "IOS XR": ("<189>1234: RP/0/RSP0/CPU0:Mar  1 18:48:50.483 UTC: config[65]: %MGBL-SYS-5-CONFIG_I : c",
               "RP%2F0%2FRSP0%2FCPU0", "%25MGBL-SYS-5-CONFIG_I", "c"),
    "IOS XE: a stack member": ("<189>48: *Mar  1 18:48:50.483: %IOSXE-5-PLATFORM: R0/0: c", SENDER,
                               "%25IOSXE-5-PLATFORM", "R0/0: c"),
    "no name": ("<191>49: *Mar  1 18:48:50.483 UTC: ICMP: echo reply", SENDER, "-", "ICMP: echo reply"),
    "no name, and a host": ("<191>49: sw1: *Mar  1 18:48:50: ICMP: echo reply", "sw1", "-", "ICMP: echo reply"),
    "no text": ("<189>48: *Mar  1 18:48:50: %A-5-B:\n", SENDER, NAME, ""),
    "an eighth severity is none": ("<189>48: %A-8-B: x", SENDER, "-", "48: %A-8-B: x"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("frame", "host", "app", "text"),
    [
        pytest.param(*values, id=f"{kind}: {name}")
        for kind, table in (("5424", RFC5424), ("3164", RFC3164), ("Cisco", CISCO))
        for name, values in table.items()
    ],
)
def test_forms(frame: str, host: str, app: str, text: str) -> None:
    (event,) = Syslog(DialectContext("udp"), PEER).receive(frame.encode(), 0)
    assert isinstance(event, Publish)
    _, *levels, _ = event.topic.split("/")
    assert (levels, event.payload.decode()) == ([host, app], text)


@pytest.mark.parametrize(
    ("frame", "when", "procid"),
    [
        (f"<13>{ISO} web app[7]: x", ISO, "7"),
        ("<13>Oct 11 2026 22:14:15 web app[]: x", "Oct 11 2026 22:14:15", None),
        ("<13>Oct 11 22:14:15 CST 1987 web app[7]: x", "Oct 11 22:14:15 CST 1987", "7"),
        ("<13>Oct 11 22:14:15.1 +01:00 web app[7] x", "Oct 11 22:14:15.1 +01:00", "7"),
        ("<134>1 1563249630.77 MX84 events x", "1563249630.77", None),
        ("<189>48: sw1: *Mar  1 18:48:50.483 UTC: %A-5-B: c", "Mar  1 18:48:50.483 UTC", None),
        ("<189>Oct 11 22:14:15 relay 48: 1w2d: %A-5-B: c", "1w2d", None),
        ("<189>Oct 11 22:14:15.1 UTC 2026: %A-5-B: c", "Oct 11 22:14:15.1 UTC 2026", None),
        ("<166>Jul 18 2026 10:22:33 fw1 : %ASA-6-302013: Built", "Jul 18 2026 10:22:33", None),
        ("<189>1: RP/0/RSP0/CPU0:Mar  1 18:48:50 UTC: config[65]: %A-5-B : c", "Mar  1 18:48:50 UTC", "65"),
        (f"<13>Oct 11 22:14:15 web {TAG31[:29]}[12 x", "Oct 11 22:14:15", None),  # a part of it says nothing
    ],
)
def test_time_and_process_are_as_they_were_written(frame: str, when: str, procid: str | None) -> None:
    fields = parse(frame.encode()).fields
    assert (fields.get("timestamp"), fields.get("procid")) == (when, procid)
    assert fields.keys() <= {"facility", "severity", "timestamp", "hostname", "app", "procid", "msgid"}


def test_names_are_cut_where_a_relay_writes_them() -> None:
    (event,) = Syslog(DialectContext("udp"), PEER).receive(f"<13>1 {ISO} web {LONG} - - - x".encode(), 0)
    sent = Syslog.encode(event, False)
    assert sent is not None
    assert sent.endswith(f"Z web {LONG[:48]} - - - x".encode())


PARTS = "<13>|1 |Oct 11 22:14:15|2026 | UTC|: |:| |48: |*|%A-5-B|web|a[1]|-|::".split("|")


@given(st.lists(st.sampled_from(PARTS), max_size=30), st.binary(max_size=20))
def test_nothing_is_lost_that_is_no_header(parts: list[str], tail: bytes) -> None:
    text = b"\x01" + tail.rstrip(b"\0\r\n")  # a character that no header has
    assert parse("".join(parts).encode() + text).msg.endswith(text)


@pytest.mark.parametrize("piece", ["48: ", "a: ", ":", "a:", "[1]: ", "Oct 11 22:14:15 ", "%A-5-", "1w", "a ", "1 - "])
@pytest.mark.parametrize("head", ["<189>", "<189>48: ", "<189>Oct 11 22:14:15 ", "<13>1 - "])
def test_no_form_takes_long(head: str, piece: str) -> None:
    frame = (head + piece * (64 * 1024 // len(piece))).encode()
    began = time.process_time()
    parse(frame)
    assert time.process_time() - began < 0.2  # 2 ms are usual
