"""Connections and failed logins by where they come from, in tables that strangers can't make grow."""

from __future__ import annotations

import pytest

from hubbub import limits
from hubbub.bounds import Bounds
from hubbub.kernel.ingress.sources import ConnectionLimit, Sources, source_of


class Where:
    def __init__(self, **bounds):
        self.bounds = Bounds(**bounds)
        self.now = 1_000.0
        self.sources = Sources(lambda: self.bounds, lambda: self.now)

    def refused(self, host):
        with pytest.raises(ConnectionLimit) as found:
            self.sources.acquire(host)
        assert found.value.code == "unavailable"
        return found.value.limit


@pytest.mark.parametrize(("host", "source"), [
    ("192.0.2.7", "192.0.2.7"),
    ("::ffff:192.0.2.7", "192.0.2.7"),
    ("::ffff:c000:207", "192.0.2.7"),
    ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
    ("fe80::1%eth0", "fe80::/64"),
    ("127.0.0.1", ""),
    ("127.9.9.9", ""),
    ("::ffff:127.0.0.1", ""),
    ("::1", ""),
    ("unix", ""),
])  # fmt: skip
def test_what_counts_as_one(host, source):
    assert source_of(host) == source


def test_a_source_has_so_many_and_all_have_so_many():
    where = Where(connections=4, source_connections=2)
    first = [where.sources.acquire("2001:db8::1"), where.sources.acquire("2001:db8::2")]
    assert where.refused("2001:db8::3") == "source-connections"
    where.sources.acquire("::ffff:192.0.2.7")
    where.sources.acquire("192.0.2.7")
    assert where.refused("198.51.100.1") == "connections"
    where.sources.release(first.pop())
    where.sources.acquire("2001:db8::4")
    assert where.sources.connections == 4


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "unix"])
def test_local_peers_are_no_source_unless_that_is_asked_for(host):
    where = Where(source_connections=1)
    where.sources.acquire(host)
    where.sources.acquire(host)
    assert not where.sources.rated(host)
    where.bounds = Bounds(source_connections=1, local=True)
    assert where.refused(host) == "source-connections"
    assert where.sources.rated(host)


def test_the_total_holds_for_local_peers_too():
    where = Where(connections=1)
    where.sources.acquire("127.0.0.1")
    assert where.refused("127.0.0.1") == "connections"


def test_zero_is_no_limit():
    where = Where(source_connections=0, failed_logins=0)
    for _ in range(2_000):
        where.sources.acquire("192.0.2.7")
        where.sources.failed("192.0.2.7")
    assert where.sources.allowed("192.0.2.7")


def test_what_has_gone_leaves_nothing():
    where = Where()
    there = [where.sources.acquire(f"198.51.{high}.{low}") for high in range(8) for low in range(256)]
    assert len(where.sources._counts) == 2_048
    for source in there:
        where.sources.release(source)
    assert where.sources._counts == {}
    assert where.sources.connections == 0


def test_failed_logins_are_counted_for_a_minute():
    where = Where(failed_logins=3)
    for _ in range(3):
        assert where.sources.allowed("2001:db8::1")
        where.sources.failed("2001:db8::1")
    assert not where.sources.allowed("2001:db8::ffff"), "the same /64"
    assert where.sources.allowed("2001:db8:0:1::1")
    where.now += 60
    assert where.sources.allowed("2001:db8::1")


def test_local_logins_may_fail_unless_that_is_asked_for():
    where = Where(failed_logins=1)
    where.sources.failed("127.0.0.1")
    assert where.sources.allowed("127.0.0.1")
    where.bounds = Bounds(failed_logins=1, local=True)
    assert not where.sources.allowed("unix")


def test_a_flood_of_addresses_does_not_grow_the_table():
    where = Where(failed_logins=1)
    for number in range(5 * limits.SOURCE_TABLE):
        where.sources.failed(f"2001:db8:{number >> 16:x}:{number & 65535:x}::1")
    assert len(where.sources._failures._rows) == limits.SOURCE_TABLE
