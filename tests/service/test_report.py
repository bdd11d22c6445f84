"""`hubbub status` for people: what it leaves out so that a line fits the terminal."""

from __future__ import annotations

import pytest

from hubbub.service.commands.report import report, table


def place(id, where, transport="websocket", **more):
    counts = dict.fromkeys(("links", "received", "sent", "waiting", "dropped", "refused"), 0)
    return {"id": id, "where": where, "transport": transport, "dialect": "auto", **counts, **more}


def status(**more):
    return {
        "version": "1.0", "pid": 1234567, "uptime": 100_000.0, "memory": 5 << 30, "links": 50_000,
        "listeners": [place("websocket-8999", "192.168.100.200:65535", received=123_456_789, sent=987_654_321)],
        "connectors": [place("tcp-device.example.org-7000", "10.0.0.5:7000", state="connected")],
        "topics": {"routed": 65_536, "subscriptions": 1_000_000, "retained": 100_000, "retained_bytes": 64 << 20},
        "outboxes": {"waiting": 0, "memory": 0, "worst": None},
        "sessions": {"away": 100, "queued": 1000, "bytes": 10_000},
        "counters": {"published": 123_456_789, "delivered": 123_456_789_012, "dropped": 12, "refused": 30},
        "refused": {"not-authorized": 10, "rate-limited": 10, "bad-payload": 5, "too-long": 3, "quota": 2},
        "store": {"folder": "/var/lib/hubbub/state", "durability": "fsync", "failing": ""},
        "plugins": ["gelf", "graphite", "influx", "json", "lines", "mqtt", "nats", "nmea", "statsd", "stomp", "syslog"],
        "busiest": None, "handlers": [],
    } | more  # fmt: skip


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_longer_than_the_terminal_is_wide(width):
    text = report(status(), width)
    assert max(map(len, text.splitlines())) <= width
    assert "123456789" in text
    assert "syslog" in text


def test_where_there_is_room_nothing_is_left_out():
    wide = report(status())
    assert wide == report(status(), 200)
    assert "tcp-device.example.org-7000" in wide
    assert "waiting  dropped  refused" in wide


def test_zeros_go_before_texts_are_cut_and_what_counts_stays():
    rows = [place("a", "udp 10.0.0.1:1", dropped=5)]
    columns = {name: lambda row, name=name: row[name] for name in ("id", "where", "waiting", "dropped", "refused")}
    assert table(rows, columns, 42).splitlines() == [
        "  id  where           waiting  dropped",
        "  a   udp 10.0.0.1:1        0        5",
    ]
    assert table(rows, columns, 30).splitlines() == ["  id  where           dropped", "  a   udp 10.0.0.1:1        5"]
    assert table(rows, columns, 24).splitlines() == ["  id  where      dropped", "  a   udp 10.0…        5"]
