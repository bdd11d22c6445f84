"""How a client of version 5 asks for the message history: user properties of its SUBSCRIBE.

    history-after: k3v9x0q2m1abcdef-1890000001     history-since: 24h     history-last: 10

Then SUBACK has `history-complete: no` where something is kept no more, and each message its `position`.
"""

from __future__ import annotations

from collections.abc import Iterable

from hubbub import HistoryRequest, Refusal
from hubbub.history_request import read_history

INCOMPLETE = ("history-complete", "no")
_PREFIX = "history-"
_NAMES = ("after", "since", "last")


def requested_history(pairs: Iterable[tuple[str, str]]) -> HistoryRequest | None:
    """Return what the user properties of a SUBSCRIBE ask for. Raises Refusal (bad-command)."""
    given = [(name.removeprefix(_PREFIX), value) for name, value in pairs if name.startswith(_PREFIX)]
    given = [one for one in given if one[0] in _NAMES]
    if len(given) > 1:
        raise Refusal("bad-command", "history-after, history-since and history-last: one of them")
    return read_history(*given[0]) if given else None
