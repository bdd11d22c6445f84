"""Tokens of addresses, and the hashed counter."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hubbub import limits
from hubbub.transports.proof import HashedCounter, Tokens


def test_a_token_is_short_and_for_one_address():
    tokens = {Tokens(b"secret").token("192.0.2.1", port, 0.0) for port in range(1, 1_000)}
    assert len(tokens) == 999
    assert all(re.fullmatch("[A-Za-z0-9_-]{7}", token) for token in tokens)
    assert Tokens(b"secret").token("192.0.2.1", 1, 0.0) != Tokens(b"other").token("192.0.2.1", 1, 0.0)
    assert Tokens(b"secret").token("192.0.2.1", 1, 0.0) != Tokens(b"secret").token("192.0.2.11", 1, 0.0)


@given(st.text(max_size=10), st.floats(0, 1e6))
def test_only_the_token_itself_is_good(guess, now):
    tokens = Tokens(b"secret")
    token = tokens.token("192.0.2.1", 1, now)
    assert tokens.check("192.0.2.1", 1, token, now)
    assert tokens.check("192.0.2.1", 1, guess, now) is (guess == token)
    assert tokens.check("192.0.2.1", 1, token + guess, now) is (guess == "")
    assert tokens.check("192.0.2.1", 1, token, now + limits.TOKEN_SECONDS)
    assert not tokens.check("192.0.2.1", 1, token, now + 2 * limits.TOKEN_SECONDS)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 2)), max_size=60))
def test_a_tally_never_counts_too_much(adds):
    tally = HashedCounter(b"secret", b"test", 3)
    counts: dict[Any, int] = {}
    for key, epoch in adds:
        counts[key, epoch] = counts.get((key, epoch), 0) + 1
        assert 1 <= tally.add(key, epoch) <= counts[key, epoch]
        assert tally.count(key, epoch) >= 1
    assert len(tally._rows) == 3
