"""The file of `--permissions`: what it may say, and what a mistake in it says; `hubbub check-acl`."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubbub.errors import ConfigError
from hubbub.kernel.authorization.permissions import Subject
from hubbub.service.auth.permissions import load
from hubbub.service.cli import main
from hubbub.service.commands import check_acl

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "permissions.toml"

    def write(text):
        path.write_text(text)
        return path

    return write


def test_all_that_a_file_may_say(file):
    rules = load(
        file("""
        [groups]
        ops = ["ann", "ben"]
        night = "cat"
        tokens = []
        [[rule]]
        who = "everyone"
        allow.subscribe = "news/#"
        [[rule]]
        who.group = ["ops", "night"]
        who.listener = "tcp-6999"
        who.login = "yes"
        allow = { publish = ["a/#", "home/{user}"], subscribe = "#" }
        deny.publish = "a/{client}"
        [[rule]]
        who.client = "c1"
        who.user = "dan"
        allow.manage = "$hubbub/#"
        [[rule]]
        who.group = "tokens"
        allow.publish = "t"
        """)
    )
    for who, allowed in [
        (Subject(None, "", "x"), {"subscribe news/1"}),
        (Subject("ann", "c", "tcp-6999"), {"subscribe news/1", "publish a/b", "publish home/ann", "subscribe b"}),
        (Subject("cat", "b", "tcp-6999"), {"subscribe news/1", "publish a/c", "publish home/cat", "subscribe b"}),
        (Subject("ann", "c", "udp-6999"), {"subscribe news/1"}),
        (Subject("dan", "c1", "udp-6999"), {"subscribe news/1", "subscribe $hubbub/#"}),
        (Subject("eve", "", "x", frozenset({"tokens"})), {"subscribe news/1", "publish t"}),
    ]:
        asked = "subscribe news/1|publish a/b|publish a/c|publish home/ann|publish home/cat|subscribe b|"
        asked += "subscribe $hubbub/#|publish t"
        rights = rules.rights(who)
        assert {one for one in asked.split("|") if rights.decide(*one.split(" ")).allowed} == allowed


def test_an_empty_file_denies_everything(file):
    assert not load(file("")).rights(Subject("ann", "", "")).decide("publish", "a").allowed
    assert load(None).open


RULE = '[[rule]]\nwho = "everyone"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rule = 1", ": rule is an array of tables: each rule begins with [[rule]]"),
        ("[[rules]]", ": unknown key rules, did you mean rule?"),
        ("x = 1", ": unknown key x; there are groups, rule"),
        ("groups = 1", ': groups is a table, as in [groups] and below it operators = ["ann", "ben"]'),
        ("[groups]\na = [1]", ": groups: a = [1]: expected a text or a list of them, none of them empty"),
        ("[[rule]\n", ":1:7: Expected ']]' at the end of an array declaration"),
        ('\n[[rule]]\nallow.publish = "a"', ':2: rule 1: it needs who, as in who.user = "ann" or who = "everyone"'),
        (RULE, ':1: rule 1: it has neither allow nor deny; add allow.subscribe = "#" or the like'),
        (RULE + 'allows.publish = "a"', ":1: rule 1: unknown key allows, did you mean allow?"),
        (RULE + "allow = 1", ":1: rule 1: allow: expected a table with publish subscribe manage"),
        (RULE + 'allow.pubish = "a"', ":1: rule 1: allow: unknown key pubish, did you mean publish?"),
        (RULE + "allow.publish = []", ":1: rule 1: allow.publish = []: expected a text or a list of them"),
        (RULE + 'allow.publish = "a/#/b"', ":1: rule 1: allow.publish: 'a/#/b' is no filter: # is only allowed"),
        (
            RULE + 'allow.publish = "a/{id}"',
            ":1: rule 1: allow.publish: 'a/{id}' has {id}; there are {user} and {client}",
        ),
        (RULE + 'deny.publish = "a/{user"', ":1: rule 1: deny.publish: 'a/{user' has a brace without its partner"),
        (
            RULE + 'allow.publish = "$hubbub/x"',
            ":1: rule 1: allow.publish: '$hubbub/x': what begins with $hubbub/, and",
        ),
        (
            RULE + 'allow.manage = "a"',
            ":1: rule 1: allow.manage: 'a': what begins with $hubbub/, and nothing else, is for",
        ),
        ('[[rule]]\nwho = "ann"', ":1: rule 1: it has neither allow nor deny"),
        (
            '[[rule]]\nwho = "ann"\nallow.publish = "a"',
            ':1: rule 1: who = ann: expected "everyone", or who.user = "ann"',
        ),
        ('[[rule]]\nwho = {}\nallow.publish = "a"', ':1: rule 1: who = {}: expected "everyone"'),
        ('[[rule]]\nwho.users = "a"\nallow.publish = "a"', ":1: rule 1: who: unknown key users, did you mean user?"),
        ('[[rule]]\nwho.user = ""\nallow.publish = "a"', ":1: rule 1: who.user = : expected a text"),
        ('[[rule]]\nwho.login = 3\nallow.publish = "a"', ":1: rule 1: who.login = 3: expected yes or no"),
        (
            '[[rule]]\nwho.group = "x"\nallow.publish = "a"',
            ":1: rule 1: who.group = x: there is no such group; add x = [...]",
        ),
        (RULE + 'allow.publish = "a"\n' + RULE + "deny.x = 1", ":4: rule 2: deny: unknown key x; there are publish"),
        ('x = """\n[[rule]]\n"""', ": unknown key x"),
        ('rule = [{ who = "everyone" }]', ": rule 1: it has neither allow nor deny"),
    ],
)
def test_a_mistake_is_one_line(file, capsys, text, says):
    path = file(text)
    with pytest.raises(ConfigError) as mistake:
        load(path)
    assert str(mistake.value).startswith(f"{path}{says}")
    assert main(["check-acl", "ann", "publish", "a", "--permissions", str(path)]) == 1
    assert capsys.readouterr().err == f"hubbub: {mistake.value}\n"


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: No such file"):
        load(tmp_path / "none.toml")


CHECKED = """[groups]
ops = ["ann"]
night = []

[[rule]]
who.group = "ops"
allow.subscribe = ["plant", "plant/+/#", "line/+"]
allow.publish = "plant/{user}/#"
deny.publish = "plant/ann/lock"

[[rule]]
who.group = "night"
allow.publish = "night"
[[rule]]
who = {client = "c", listener = "l", login = "no"}
allow.publish = "c"
"""


@pytest.mark.parametrize(
    ("asked", "status", "says"),
    [
        ("ann publish plant/ann/x", 0, ['allowed by {}:5: rule 1: allow.publish = "plant/{user}/#"']),
        ("ann publish plant/ann/lock", 1, ['denied by {}:5: rule 1: deny.publish = "plant/ann/lock"']),
        ("ann publish plant/ben/x", 1, ["denied: no rule of {} allows it"]),
        ("- publish plant/-/x", 1, ["denied: no rule of {} allows it"]),
        (
            "ann subscribe plant/#", 0,
            [
                'allowed by {}:5: rule 1: allow.subscribe = "plant"',
                'allowed by {}:5: rule 1: allow.subscribe = "plant/+/#"',
            ],
        ),
        (
            "ann subscribe line/#", 1,
            [
                "denied: no rule of {} allows it",
                'only a part of it is allowed by {}:5: rule 1: allow.subscribe = "line/+"',
            ],
        ),
        ("ann subscribe $share/g/plant", 0, ['allowed by {}:5: rule 1: allow.subscribe = "plant"']),
        ("ben publish night", 1, ["denied: no rule of {} allows it"]),
        ("ben publish night --group night", 0, ['allowed by {}:11: rule 2: allow.publish = "night"']),
        ("- publish c --client c --listener l", 0, ['allowed by {}:14: rule 3: allow.publish = "c"']),
        ("- publish c --client c", 1, ["denied: no rule of {} allows it"]),
        ("ann manage $hubbub/x", 1, ["denied: no rule of {} allows it"]),
    ],
)  # fmt: skip
def test_check_acl(file, capsys, asked, status, says):
    path = file(CHECKED)
    assert main(["check-acl", *asked.split(), "--permissions", str(path)]) == status
    assert capsys.readouterr().out.splitlines() == [line.replace("{}", str(path), 1) for line in says]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("ann publish", "check-acl: the following arguments are required: TOPIC; `hubbub check-acl --help` shows how"),
        ("ann delete a", "check-acl: argument ACTION: unknown 'delete'; there are publish"),
        ("ann publish a/+", "check-acl: a/+: a topic has no wildcards; + and # are for filters"),
        (
            "ann subscribe $share/g",
            "check-acl: $share/g: a shared filter is $share/GROUP/FILTER, with no + or # in the name of the group",
        ),
        ("ann subscribe a/#/b", "check-acl: a/#/b: # is only allowed as the last level, as in a/#"),
    ],
)
def test_check_acl_that_is_asked_wrongly(file, capsys, asked, says):
    assert main(["check-acl", *asked.split(), "--permissions", str(file(CHECKED))]) == 1
    assert capsys.readouterr().err.startswith(f"hubbub: {says}")


def test_check_acl_without_its_file_names_the_option(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(check_acl, "DEFAULT", tmp_path / "none.toml")
    assert main(["check-acl", "ann", "publish", "a"]) == 1
    says = f"hubbub: {tmp_path}/none.toml: No such file or directory; --permissions FILE names another\n"
    assert capsys.readouterr().err == says


def test_help(capsys):
    for command in ("check-acl", "import"):
        assert main([command, "--help"]) == 0
        assert capsys.readouterr().out.startswith(f"hubbub {command}: ")


def test_the_example_is_right():
    rules = load(ROOT / "etc/hubbub/permissions.toml")
    assert rules.rights(Subject("ann", "", "")).decide("subscribe", "#").allowed
