"""What rules come to for one client: who they are about, what wins, and what values in filters can't do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import limits
from hubbub.errors import Refusal
from hubbub.kernel.authorization.permissions import Audience, Clause, Permissions, Rule, Subject
from hubbub.kernel.sessions.session import Session
from hubbub.template import Template
from hubbub.topics import matches


def rule(who=None, **said):
    """A rule that allows what is said, as in publish="a/#"; deny_publish= denies."""
    clauses = []
    for key, texts in said.items():
        verb, _, action = key.rpartition("_")
        texts = texts if isinstance(texts, list) else [texts]
        clauses += [Clause(verb != "deny", action, Template(text, "filter"), f"rule {text}") for text in texts]
    return Rule(who or Audience(), tuple(clauses))


def rights(*rules, user="ann", client="c1", listener="tcp-6999", groups=(), file_groups=None, grants=None):
    return Permissions(rules, file_groups).rights(Subject(user, client, listener, frozenset(groups), grants))


def may(rights, action, name):
    if action == "receives":
        return rights.receives(name)
    try:
        getattr(rights, action)(name)
    except Refusal as refusal:
        return refusal.code != "not-authorized"
    return True


def names(*them):
    return frozenset(them)


@pytest.mark.parametrize(
    ("who", "whom", "expected"),
    [
        (Audience(), {}, True),
        (Audience(), {"user": None}, True),
        (Audience(users=names("ann", "ben")), {}, True),
        (Audience(users=names("ben")), {}, False),
        (Audience(users=names("ann")), {"user": None}, False),
        (Audience(groups=names("ops")), {"file_groups": {"ops": names("ann")}}, True),
        (Audience(groups=names("ops")), {"file_groups": {"ops": names("ben")}}, False),
        (Audience(groups=names("ops")), {"file_groups": {"ops": names()}, "groups": ["ops"]}, True),
        (Audience(groups=names("ops")), {"user": None, "file_groups": {"ops": names("ann")}}, False),
        (Audience(clients=names("c1")), {}, True),
        (Audience(clients=names("c2")), {}, False),
        (Audience(listeners=names("tcp-6999")), {}, True),
        (Audience(listeners=names("udp-6999")), {}, False),
        (Audience(login=True), {}, True),
        (Audience(login=True), {"user": None}, False),
        (Audience(login=False), {}, False),
        (Audience(login=False), {"user": None}, True),
        (Audience(users=names("ann"), listeners=names("tcp-6999")), {}, True),
        (Audience(users=names("ann"), listeners=names("udp-6999")), {}, False),
    ],
)
def test_audience(who, whom, expected):
    assert may(rights(rule(who, publish="a"), **whom), "publish", "a") is expected


@pytest.mark.parametrize(
    ("said", "action", "name", "expected"),
    [
        ({}, "publish", "a", False),
        ({"publish": "a/#"}, "publish", "a/b", True),
        ({"publish": "a/#"}, "publish", "b", False),
        ({"publish": "a/#"}, "subscribe", "a/b", False),
        ({"publish": "#"}, "publish", "$own/x", False),
        ({"publish": "#", "deny_publish": "a/+"}, "publish", "a/b", False),
        ({"publish": "#", "deny_publish": "a/+"}, "publish", "a/b/c", True),
        ({"publish": "a/b", "deny_publish": "#"}, "publish", "a/b", False),
        ({"subscribe": "a/#"}, "subscribe", "a/+/c", True),
        ({"subscribe": "a/#"}, "subscribe", "#", False),
        ({"subscribe": "a/+"}, "subscribe", "a/#", False),
        ({"subscribe": ["a", "a/+/#"]}, "subscribe", "a/#", True),
        ({"subscribe": "#"}, "subscribe", "$SYS/#", False),
        ({"subscribe": ["#", "$SYS/#"]}, "subscribe", "$SYS/#", True),
        ({"subscribe": "#", "deny_subscribe": "a/secret"}, "subscribe", "#", False),
        ({"subscribe": "#", "deny_subscribe": "a/secret"}, "subscribe", "a/+", False),
        ({"subscribe": "#", "deny_subscribe": "a/secret"}, "subscribe", "b/#", True),
        ({"subscribe": "#", "deny_publish": "a"}, "subscribe", "#", True),
        ({"subscribe": "a/#"}, "receives", "a/b", True),
        ({"subscribe": "a/#"}, "receives", "b", False),
        ({"subscribe": "#", "manage": "$hubbub/#"}, "subscribe", "$hubbub/clients/+", True),
        ({"subscribe": ["#", "$SYS/#"]}, "subscribe", "$hubbub/clients", False),
        ({"manage": "$hubbub/#", "deny_manage": "$hubbub/x"}, "publish", "$hubbub/y", True),
        ({"manage": "$hubbub/#", "deny_manage": "$hubbub/x"}, "publish", "$hubbub/x", False),
    ],
)
def test_what(said, action, name, expected):
    one = rights(rule(**said))
    assert may(one, action, name) is expected
    assert may(one, action, name) is expected, "remembered"


def test_rules_add_up_and_a_deny_of_any_wins():
    one = rights(rule(publish="a/#"), rule(Audience(users=names("ann")), publish="b"), rule(deny_publish="+/x"))
    assert [may(one, "publish", topic) for topic in ("a/b", "b", "a/x", "c")] == [True, True, False, False]


def test_what_a_login_allows_adds_to_the_rules_and_is_denied_by_them():
    grants = (("publish", "{user}/#"), ("publish", "bad/#/filter"), ("subscribe", "s/#"))
    one = rights(rule(publish="a", deny_publish="+/x"), grants=grants)
    said = [may(one, "publish", topic) for topic in ("a", "{user}/y", "{user}/x", "ann/y", "bad/1/filter", "s/1")]
    assert said == [True, True, False, False, False, False]
    assert may(one, "subscribe", "s/+")


def session(user=None, grants=None):
    one = Session("192.0.2.1", 1, "tcp", "tcp-6999", user)
    one.grants = grants
    return one


def test_without_a_file_only_a_login_limits():
    nobody_said = Permissions(open=True)
    assert nobody_said.of(session()) is None
    limited = nobody_said.of(session("ann", {"publish": ("a",)}))
    assert [may(limited, "publish", "a"), may(limited, "publish", "b"), may(limited, "subscribe", "a")] == [
        True,
        False,
        False,
    ]
    assert Permissions().of(session()) is not None


# F32: users and clients whose names are patterns


HOSTILE = ["#", "+", "/", "a/b", "../x", "$SYS", "", "-", "%2F", "+/#", "{user}", "a b", "é", "\0", "*"]


@pytest.mark.parametrize("field", ["user", "client"])
@pytest.mark.parametrize("value", HOSTILE)
def test_a_name_that_is_a_pattern_widens_nothing(field, value):
    one = rights(rule(publish=f"home/{{{field}}}/#", subscribe=f"home/{{{field}}}/+"), **{field: value})
    for topic in ("home/other/x", "home/x", "home", "home/a/b/x", "$SYS/x", "home/-/x" if value != "-" else "home/x/x"):
        assert not may(one, "publish", topic)
    for filter in ("home/#", "home/+/x", "#", "+/+/+"):
        assert not may(one, "subscribe", filter)


@given(st.text(max_size=8), st.text(max_size=8))
def test_two_names_share_nothing(one, other):
    allowed = Permissions([rule(publish="home/{user}/#")])
    mine, theirs = (list(allowed.rights(Subject(user, "", "l"))._clauses) for user in (one, other))
    assert len(mine) == (one != "")
    if one != other:
        assert not {filter for _, _, filter in mine} & {filter for _, _, filter in theirs}
    for _, _, filter in mine:
        assert filter.count("/") == 2
        assert filter.count("#") == 1
        assert "+" not in filter
        assert not matches(filter, "home/another/x") or one == "another"


def test_a_client_that_has_no_name_gets_nothing_that_is_for_a_name():
    one = rights(rule(publish=["home/{user}", "a"], deny_publish="{client}"), user=None, client="")
    assert [may(one, "publish", topic) for topic in ("home/-", "home/", "a")] == [False, False, True]


# Remembering


def test_clients_of_one_kind_share_what_is_remembered():
    by_user = Permissions([rule(publish="{user}/#")])
    assert by_user.rights(Subject("ann", "c1", "l")) is by_user.rights(Subject("ann", "c2", "l"))
    assert by_user.rights(Subject("ann", "", "l")) is not by_user.rights(Subject("ben", "", "l"))
    by_client = Permissions([rule(publish="{client}/#")])
    assert by_client.rights(Subject("ann", "c1", "l")) is not by_client.rights(Subject("ann", "c2", "l"))


def test_what_is_remembered_is_bounded():
    permissions = Permissions([rule(publish="{user}/#")])
    for at in range(3 * limits.RIGHTS):
        one = permissions.rights(Subject(str(at), "", "l"))
    assert len(permissions._known) <= limits.RIGHTS
    for at in range(3 * limits.RIGHTS_TOPICS):
        may(one, "publish", f"x/{at}")
    may(one, "publish", "x" * (limits.TOPIC_TABLE_BYTES + 1))
    assert len(one._topics) <= limits.RIGHTS_TOPICS
    assert max(map(len, one._topics)) <= limits.TOPIC_TABLE_BYTES


def test_a_verdict_names_what_decides():
    one = rights(rule(publish="a/#", subscribe=["b", "b/+/#", "c/+"], deny_publish="a/x"))
    assert [str(clause) for clause in one.decide("publish", "a/b").clauses] == ['rule a/#: allow.publish = "a/#"']
    assert [str(clause) for clause in one.decide("publish", "a/x").clauses] == ['rule a/x: deny.publish = "a/x"']
    assert one.decide("publish", "z") == (False, ())
    assert [clause.template.text for clause in one.decide("subscribe", "b/#").clauses] == ["b", "b/+/#"]
    assert [clause.template.text for clause in one.parts("subscribe", "c/#")] == ["c/+"]


def test_rights_are_equal_where_they_allow_the_same():
    assert rights(rule(publish="a")) == rights(rule(publish="a"), user="ben")
    assert rights(rule(publish="a")) != rights(rule(publish="b"))
    assert rights(rule(publish="a")) != rights(rule(deny_publish="a"))
