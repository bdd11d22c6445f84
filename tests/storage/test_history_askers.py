"""Who asks for the history and goes costs no more."""

from __future__ import annotations

from contextlib import closing

from hubbub import limits
from hubbub.history_request import HistoryRequest
from hubbub.kernel.history.store import Newest
from hubbub.storage.reading import open_reader
from storage.test_history import publish, start
from unit.history_help import HistoryRule, Lines, hub_with, lines


def test_a_client_that_has_gone_is_searched_for_no_more():
    """However often a client comes, asks for the newest messages and goes."""
    world, store = hub_with(HistoryRule("#"), slow=True)
    lines(world, *[f"PUB a/{n} x" for n in range(3 * limits.HISTORY_PAGE_MESSAGES)])
    store.commit(3 * limits.HISTORY_PAGE_MESSAGES)
    for link in [world.link(Lines) for _ in range(10)]:
        lines(world, "SUB # LAST 9", link=link)
        link.lost()
    steps = 0
    while store.reads:
        store.answer()
        world.turn()
        steps += 1
    assert steps == 10


class Gone:
    """Has asked, and wants no answer any more."""

    gone = True


def test_a_client_that_has_gone_is_read_for_no_more(tmp_path):
    process = start(tmp_path / "state")
    publish(process, *[f"a {n}" for n in range(20)])
    history, reader = process.hub.world.hub.history, process.store.reader
    wanted = history.plan(HistoryRequest(after="0"), ["#"]).wanted
    jobs, answers = [], []
    reader.put, put = jobs.append, reader.put
    history.store.read(wanted, 0, answers.append, Gone())
    history.store.find_last(Newest(wanted, 1), 0, answers.append, Gone())
    reader.put = put
    with closing(open_reader(tmp_path / "state")) as connection:
        queries = []
        connection.exec_trace = lambda *query: queries.append(query) or True
        for job in jobs:
            job.read(connection)()
    assert (len(jobs), queries, answers) == (2, [], [])
    process.store.stop()
