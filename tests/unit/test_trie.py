"""The tree of filters finds what a plain look at each filter finds, and forgets what is removed."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from hubbub.kernel.routing.trie import Trie
from hubbub.topics import matches
from unit.kernel_help import FILTERS, TOPICS


def filters_of(found):
    return sorted(entry.filter for entry in found)


def empty(trie):
    return not trie._exact and trie._root.empty()


@given(st.lists(st.tuples(st.booleans(), FILTERS), max_size=40), st.lists(TOPICS, min_size=1, max_size=12))
def test_it_matches_like_a_look_at_every_filter(changes, topics):
    trie, there = Trie(), {}
    for add, filter in changes:
        if add and filter not in there:
            there[filter] = trie.add(filter)
        elif not add and filter in there:
            del there[filter]
            trie.remove(filter)
        assert trie.get(filter) is there.get(filter)
        assert trie.levels == nodes(trie._root) - 1 <= sum(map(trie.cost, there))
    for topic in topics:
        assert filters_of(trie.match(topic)) == sorted(one for one in there if matches(one, topic))
    for filter in list(there):
        trie.remove(filter)
    assert empty(trie)
    assert trie.levels == 0


@given(st.sets(FILTERS), st.sets(FILTERS))
def test_removing_some_leaves_what_only_the_others_would_make(keep, gone):
    both, alone = Trie(), Trie()
    for filter in [*keep, *gone - keep]:
        both.add(filter)
    for filter in gone - keep:
        both.remove(filter)
    for filter in keep:
        alone.add(filter)
    assert shape(both._root) == shape(alone._root)
    assert both._exact.keys() == alone._exact.keys()


def nodes(node):
    return 1 + sum(map(nodes, node.children.values()))


def shape(node):
    return (
        node.here is not None,
        node.rest is not None,
        {level: shape(below) for level, below in node.children.items()},
    )


def test_the_exact_filter_comes_first():
    trie = Trie()
    for filter in ("#", "a/+", "a/b", "+/b"):
        trie.add(filter)
    assert trie.match("a/b")[0].filter == "a/b"


def test_nested_wildcards_cost_no_more_than_their_nodes():
    trie = Trie()
    for levels in itertools.product("+a", repeat=10):
        trie.add("/".join(levels))
    assert len(trie.match("/".join("a" * 10))) == 1024
    assert len(trie.match("/".join("a" * 9 + "b"))) == 512
    assert trie.match("a/a") == ()
