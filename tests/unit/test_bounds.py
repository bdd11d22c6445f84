"""The limits that an operator may set: from a file and the command line, read, refused, listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubbub import limits
from hubbub.bounds import DEFAULTS, KINDS, Bounds, read_bound, table
from hubbub.errors import ConfigError
from hubbub.service.config.options import Options

PAGE = Path(__file__).parents[2] / "docs" / "limits.md"


def settings(*words):
    options = Options()
    options.parseOptions(list(words))
    return options.settings()


def test_the_defaults_are_on():
    bounds = settings().bounds
    assert bounds == DEFAULTS == Bounds()
    assert all(getattr(bounds, name.replace("-", "_")) for name in KINDS if name != "local")


def test_each_is_read_in_its_unit():
    bounds = settings(
        "--limit", "connections=10", "--limit", "message-rate=600/min", "--limit", "byte-rate=2MiB/s",
        "--limit", "handshake=500ms", "--limit", "local=yes", "--limit", "outbox-bytes=1GiB",
        "--limit", "topic_levels=3",
    ).bounds  # fmt: skip
    assert (bounds.connections, bounds.message_rate, bounds.byte_rate) == (10, 10.0, 2 * limits.MiB)
    assert (bounds.handshake, bounds.local, bounds.topic_levels) == (0.5, True, 3)
    assert bounds.outbox_bytes == 1024 * limits.MiB
    assert bounds.subscriptions == limits.SUBSCRIPTIONS


def test_the_command_line_replaces_one_of_the_file(tmp_path):
    file = tmp_path / "hubbub.toml"
    file.write_text('[limits]\nconnections = 5\nsource-connections = 2\nbyte-rate = "1MiB/s"\n')
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/more.toml").write_text("[limits]\nlocal = true\n")
    bounds = settings("--config", str(file), "--limit", "connections=7").bounds
    assert bounds == Bounds(connections=7, source_connections=2, byte_rate=1.0 * limits.MiB, local=True)


@pytest.mark.parametrize(("spec", "says"), [
    ("connections", "--limit connections: expected NAME=VALUE"),
    ("conections=1", "there is no limit conections, did you mean connections?"),
    ("connections=0", "more than 0: this limit can't be turned off"),
    ("connections=many", "connections=many: expected a whole number"),
    ("byte-rate=fast", "byte-rate=fast: expected bytes per second, such as 32MiB/s"),
    ("topic-levels=1025", "expected 1024 at most"),
    ("outbox-bytes=0", "can't be turned off"),
])  # fmt: skip
def test_a_mistake_is_one_line(spec, says):
    with pytest.raises(SystemExit) as found:
        settings("--limit", spec)
    assert says in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(("one", "two", "says"), [
    ("limits = 5", "", "limits is a table, as in [limits]"),
    ("[limits]\nlocal = 'no'", "[limits]\nlocal = 'yes'", "limits: local is set in"),
    ("[limits]\nfoo = 1", "", "there is no limit foo; there are connections, "),
])  # fmt: skip
def test_a_mistake_in_a_file_names_it(tmp_path, one, two, says):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "hubbub.toml").write_text(one)
    (tmp_path / "conf.d/more.toml").write_text(two)
    with pytest.raises(SystemExit) as found:
        settings("--config", str(tmp_path / "hubbub.toml"))
    assert says in str(found.value)
    assert str(tmp_path) in str(found.value)


def test_help_and_the_page_list_each_with_its_default():
    usage = " ".join(Options().getUsage().split())
    page = PAGE.read_text()
    for name, default, help in table():
        assert f"{name}={default} {help}" in usage
        assert f"| `{name}` | {default} | " in page
        kind = KINDS[name]
        assert kind(default) == getattr(DEFAULTS, name.replace("-", "_"))
    assert len(table()) == page.count("\n| `"), "a row for each, and no other"


def test_a_later_one_counts():
    assert settings("--limit", "local=yes", "--limit", "local=no").bounds == DEFAULTS
    with pytest.raises(ConfigError, match=r"^here: local=perhaps: expected yes or no$"):
        read_bound(("local", "perhaps"), "here")
