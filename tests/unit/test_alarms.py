"""One heap of deadlines: everybody is woken once, in order, and a misbehaving sleeper costs nobody else."""

from __future__ import annotations

import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import limits
from hubbub.kernel.alarms import Alarms


class AlarmTarget:
    def __init__(self, act=None):
        self.alarm_at = None
        self.woken = []
        self.act = act

    def alarm(self, now):
        self.woken.append(now)
        if self.act is not None:
            self.act(now)


@pytest.fixture
def armed():
    return []


def test_it_arms_for_the_earliest(armed):
    alarms = Alarms(armed.append, float)
    one, two, three = AlarmTarget(), AlarmTarget(), AlarmTarget()
    alarms.at(one, 10.0)
    alarms.at(two, 20.0)
    alarms.at(three, 5.0)
    assert armed == [10.0, 5.0]
    alarms.ring(5.0)
    assert (one.woken, two.woken, three.woken) == ([], [], [5.0])
    assert armed[-1] == 10.0
    alarms.ring(30.0)
    assert (one.woken, two.woken, three.woken) == ([30.0], [30.0], [5.0])
    assert len(armed) == 3


def test_an_earlier_alarm_wins_and_a_later_one_costs_nothing(armed):
    alarms = Alarms(armed.append, float)
    one = AlarmTarget()
    alarms.at(one, 10.0)
    alarms.at(one, 20.0)
    assert len(alarms._heap) == 1
    alarms.at(one, 7.0)
    alarms.ring(7.0)
    alarms.ring(30.0)
    assert one.woken == [7.0]


def test_a_cancelled_one_sleeps_on(armed):
    alarms = Alarms(armed.append, float)
    one = AlarmTarget()
    alarms.at(one, 10.0)
    alarms.cancel(one)
    alarms.cancel(one)
    alarms.ring(20.0)
    assert one.woken == []
    alarms.at(one, 30.0)
    alarms.ring(30.0)
    assert one.woken == [30.0]


def test_cancelled_rows_leave_the_heap(armed):
    alarms = Alarms(armed.append, float)
    stays = AlarmTarget()
    alarms.at(stays, 1e6)
    for _ in range(20_000):
        one = AlarmTarget()
        alarms.at(one, 1e6)
        alarms.cancel(one)
    assert len(alarms._heap) < 4_000
    alarms.ring(1e6)
    assert len(stays.woken) == 1


def test_a_cancelled_wait_holds_nothing(armed):
    """A link that has gone takes its memory with it, not when its deadline would have been."""
    alarms = Alarms(armed.append, float)
    one, other = AlarmTarget(), AlarmTarget()
    gone = weakref.ref(one)
    alarms.at(one, 20.0)
    alarms.at(other, 30.0)
    alarms.at(one, 10.0)
    alarms.cancel(one)
    del one
    assert gone() is None
    alarms.ring(40.0)
    assert other.woken == [40.0]


def test_an_alarm_in_the_past_rings_in_the_next_turn(armed):
    """Within this one it would never end."""
    alarms = Alarms(armed.append, float)
    stuck = AlarmTarget(lambda now: alarms.at(stuck, 1.0) if len(stuck.woken) < 1_000 else None)
    other = AlarmTarget()
    alarms.at(stuck, 1.0)
    alarms.at(other, 2.0)
    alarms.ring(2.0)
    assert (stuck.woken, other.woken) == ([2.0], [2.0])
    assert armed[-1] == 1.0
    alarms.ring(3.0)
    assert stuck.woken == [2.0, 3.0]


def test_one_that_raises_affects_no_other(armed):
    alarms = Alarms(armed.append, float)

    def fail(now):
        raise RuntimeError("a plugin's fault")

    bad, due, later = AlarmTarget(fail), AlarmTarget(), AlarmTarget()
    alarms.at(bad, 1.0)
    alarms.at(due, 2.0)
    alarms.at(later, 9.0)
    with pytest.raises(RuntimeError):
        alarms.ring(2.0)
    assert armed[-1] == 2.0
    alarms.ring(2.0)
    assert due.woken == [2.0]
    assert armed[-1] == 9.0


def test_one_may_cancel_another_that_is_due_too(armed):
    alarms = Alarms(armed.append, float)
    second = AlarmTarget()
    first = AlarmTarget(lambda now: alarms.cancel(second))
    alarms.at(first, 1.0)
    alarms.at(second, 1.0)
    alarms.ring(1.0)
    assert second.woken == []


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("at"), st.integers(0, 4), st.floats(0.1, 9)),
            st.tuples(st.just("cancel"), st.integers(0, 4), st.just(0.0)),
            st.tuples(st.just("ring"), st.just(0), st.floats(0, 5)),
        )
    )
)
def test_it_is_a_table_of_the_earliest_deadline_of_each(ops):
    armed = []
    alarms = Alarms(armed.append, float)
    sleepers = [AlarmTarget() for _ in range(5)]
    table, now = {}, 0.0
    for op, who, value in ops:
        one = sleepers[who]
        if op == "at":
            alarms.at(one, now + value)
            table[one] = min(table.get(one, 1e9), now + value)
        elif op == "cancel":
            alarms.cancel(one)
            table.pop(one, None)
        else:
            now += value
            before = {one: len(one.woken) for one in sleepers}
            alarms.ring(now)
            for one in sleepers:
                due = one in table and table[one] <= now
                assert len(one.woken) - before[one] == due
                if due:
                    del table[one]
        assert {one: one.alarm_at[0] for one in sleepers if one.alarm_at is not None} == table
        if table:  # the timer is set for no later than needed
            assert min(armed[-2:]) <= min(table.values()) or armed[-1] <= min(table.values())


def test_a_ring_wakes_a_bounded_number(armed):
    alarms = Alarms(armed.append, float)
    sleepers = [AlarmTarget() for _ in range(limits.ALARMS_AT_ONCE + 20)]
    for at, one in enumerate(sleepers):
        alarms.at(one, 10.0 + at / 1000)
    alarms.ring(20.0)
    assert sum(len(one.woken) for one in sleepers) == limits.ALARMS_AT_ONCE
    assert armed[-1] < 20.0
    alarms.ring(20.0)
    assert all(one.woken == [20.0] for one in sleepers)


def test_a_ring_ends_with_its_share_of_the_turn(armed):
    """Some alarms cost much: the end of a session with many subscriptions, a will for a crowd."""
    time = [20.0]

    def work(now):
        time[0] += 0.4 * limits.TURN_SECONDS

    alarms = Alarms(armed.append, lambda: time[0])
    sleepers = [AlarmTarget(work) for _ in range(5)]
    for at, one in enumerate(sleepers):
        alarms.at(one, 10.0 + at)
    alarms.ring(20.0)
    assert [len(one.woken) for one in sleepers] == [1, 1, 1, 0, 0]
    assert armed[-1] == 13.0
    alarms.ring(20.0)
    assert [len(one.woken) for one in sleepers] == [1, 1, 1, 1, 1]
