"""What waits for a batch goes on once that batch is safe, and not before."""

from __future__ import annotations

from hubbub.kernel.commits import Commits


class Waiter:
    def __init__(self, commits, *numbers):
        self.marks = 0
        for number in numbers:
            commits.wait(self, number)

    def mark(self):
        self.marks += 1


def test_each_goes_on_with_its_own_batch():
    commits = Commits()
    commits.open = 9
    two, nine, first = Waiter(commits, 2), Waiter(commits, 9), Waiter(commits, 4, 3, 4)
    marks = []
    for number in (1, 2, 2, 3, 8, 9):
        commits.done(number)
        marks.append((two.marks, first.marks, nine.marks))
    assert marks == [(0, 0, 0), (1, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 0), (1, 1, 1)]
    assert (commits.safe, commits.waiting) == (9, 0)


def test_what_is_safe_grows_alone():
    commits = Commits()
    commits.done(5)
    commits.done(3)
    assert commits.safe == 5


def test_those_that_have_gone_do_not_go_on():
    commits = Commits()
    gone, cut = Waiter(commits, 1), Waiter(commits, 2)
    commits.forget(gone)
    assert commits.take_waiting() == [cut]
    commits.done(2)
    assert (gone.marks, cut.marks, commits.waiting) == (0, 0, 0)


def test_one_that_waits_again_goes_on_once():
    commits = Commits()
    one = Waiter(commits, 1)
    commits.forget(one)
    commits.wait(one, 2)
    commits.done(1)
    assert one.marks == 0
    commits.done(2)
    assert one.marks == 1
