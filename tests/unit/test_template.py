"""Templates: parsed and checked once, filled to one level a field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import ConfigError
from hubbub.template import Template
from hubbub.topics import check_topic


def test_a_template_is_filled():
    template = Template("plant/{id}/{host}")
    assert template.fields == {"id", "host"}
    assert template.fill({"id": "7", "host": "127.0.0.1", "port": "1"}) == "plant/7/127.0.0.1"


@pytest.mark.parametrize(
    ("value", "level"),
    [
        ("a/b", "a%2Fb"),
        ("+", "%2B"),
        ("#", "%23"),
        ("$x", "%24x"),
        ("50%", "50%25"),
        ("a b\0", "a%20b%00"),
        ("", "-"),
    ],
)
def test_a_value_is_percent_encoded(value, level):
    assert Template("plant/{id}").fill({"id": value}) == f"plant/{level}"


def test_a_missing_value_is_a_dash():
    assert Template("plant/{user}/x").fill({}) == "plant/-/x"


def test_without_fields_it_fills_to_itself():
    template = Template("plant/{{7}}")
    assert template.fields == frozenset()
    assert template.fill({}) is template.fill({"id": "x"})
    assert template.fill({}) == "plant/{7}"


@pytest.mark.parametrize(
    "text", ["a/{id", "a/id}", "a/{}", "a/{a b}", "a/{id!r}", "a/{id:>9}", "a/{0}", "a/{id.x}", "{a{b}}"]
)
def test_a_bad_brace_is_refused(text):
    with pytest.raises(ConfigError, match=r"brace|no name"):
        Template(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "topic"),
        ("a/#", "topic"),
        ("a/+/b", "topic"),
        ("a\0", "topic"),
        ("a/#/b", "filter"),
        ("{id}+", "filter"),
    ],
)
def test_a_bad_shape_is_refused(text, kind):
    with pytest.raises(ConfigError, match=f"is no {kind}: "):
        Template(text, kind)


def test_a_filter_has_wildcards():
    assert Template("plant/{id}/#", "filter").fill({"id": "7"}) == "plant/7/#"


def test_fields_without_a_value_are_refused():
    Template("{id}/{imei}").expect({"imei"})
    with pytest.raises(
        ConfigError, match=r"unknown field \{imei\}; there are \{client\} \{host\} \{id\} \{port\} \{user\}$"
    ):
        Template("{id}/{imei}").expect(())


def test_equal_templates_are_equal():
    assert Template("a/{id}") == Template("a/{id}")
    assert len({Template("a"), Template("a", "filter"), Template("a")}) == 2
    assert repr(Template("a")) == "Template('a', 'topic')"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_value_fills_exactly_one_level(value):
    filled = Template("a/{id}/b").fill({"id": value})
    assert check_topic(filled).count("/") == 2
