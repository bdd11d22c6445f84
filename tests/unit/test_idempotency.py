"""The keys of messages that were refused: a retry gets the same answer, and nothing of it is kept."""

from __future__ import annotations

import json
import weakref

from hubbub.dialects.json import Json

RETRY = json.dumps({"op": "publish", "topic": "$SYS/x", "data": 1, "once": "key"}).encode() + b"\n"


def test_a_refusal_that_is_repeated_keeps_no_link(world):
    """The one that was raised first knows all that it was raised through, and is longer with each time."""
    said, dialects = set(), []
    for _ in range(3):
        link = world.link(Json)
        said.add(world.say(link, RETRY))
        dialects.append(weakref.ref(link.dialect))
        link.lost()
        link.wire.link = None
        del link
    assert len(said) == 1
    assert b"not-authorized" in said.pop()
    assert world.hub.idempotency.repeated == 2
    assert [one() for one in dialects] == [None] * 3
