"""The configuration file: conf.d, credentials, and what a mistake in it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.service.config.toml import read
from hubbub.service.config.toml_place import places


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "conf.d").mkdir()
    return tmp_path


def values(folder, name):
    return [value for _, value in read(str(folder / "hubbub.toml"))[name]]


def test_arrays_of_strings_and_tables(folder):
    (folder / "hubbub.toml").write_text(
        'websocket = ["tcp:8999"]\nplugin-dir = ["p"]\n'
        '[[tcp]]\nendpoint = "tcp:7000"\nsize = 16\n[[tcp]]\nendpoint = "tcp:1"\n'
    )
    assert values(folder, "websocket") == ["tcp:8999"]
    assert values(folder, "tcp") == [{"endpoint": "tcp:7000", "size": 16}, {"endpoint": "tcp:1"}]
    assert values(folder, "plugin-dir") == ["p"]
    assert values(folder, "udp") == []


def test_conf_d_adds_up_by_name(folder):
    (folder / "hubbub.toml").write_text('tcp = ["tcp:1"]')
    (folder / "conf.d" / "20.toml").write_text('tcp = ["tcp:3"]')
    (folder / "conf.d" / "10.toml").write_text('tcp = ["tcp:2"]')
    (folder / "conf.d" / "10.toml~").write_text("left by an editor")
    (folder / "conf.d" / ".10.toml").write_text("left by an editor")
    assert values(folder, "tcp") == ["tcp:1", "tcp:2", "tcp:3"]
    assert str(read(str(folder / "hubbub.toml"))["tcp"][1][0]) == f"{folder}/conf.d/10.toml:1"


def test_a_file_without_conf_d(tmp_path):
    (tmp_path / "hubbub.toml").write_text("")
    assert not any(read(str(tmp_path / "hubbub.toml")).values())


def test_credentials_are_expanded(folder, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/hubbub")
    (folder / "hubbub.toml").write_text(
        'tcp = ["ssl:1:privateKey=${CREDENTIALS_DIRECTORY}/k"]\n'
        '[[handler]]\nname = "x"\nfiles = ["${CREDENTIALS_DIRECTORY}/f", 1]\n'
    )
    assert values(folder, "tcp") == ["ssl:1:privateKey=/run/credentials/hubbub/k"]
    assert values(folder, "handler") == [{"name": "x", "files": ["/run/credentials/hubbub/f", 1]}]


def test_credentials_without_a_directory(folder, monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (folder / "hubbub.toml").write_text('tcp = ["ssl:1:privateKey=${CREDENTIALS_DIRECTORY}/k"]')
    with pytest.raises(ConfigError, match=r"hubbub.toml:1: .*CREDENTIALS_DIRECTORY isn't set"):
        values(folder, "tcp")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"tcp = [\n  'a'\n  'b'\n]", r"hubbub\.toml:3:3: Unclosed array"),
        (b"tcp = ['a'", r"hubbub\.toml:1:11: Unclosed array"),
        (b"x = 1\ny =", r"hubbub\.toml:2:4: Invalid value"),
        (b"a = 1\na = 2", r"hubbub\.toml:2:6: Cannot overwrite a value"),
        (b"a = 1\nb = '\xff'", r"hubbub\.toml:2:6: it isn't UTF-8"),
        (b"a = " + b"9" * 5000, r"hubbub\.toml:1:5005: Exceeds the limit"),
        (b"tpc = ['a']", r"hubbub\.toml:1: unknown key tpc, did you mean tcp\?$"),
        (b"plugin_dir = ['a']", r"unknown key plugin_dir, did you mean plugin-dir\?$"),
        (b"zzz = ['a']", r"unknown key zzz; there are tcp, udp, websocket, connect, handler, "),
        (b"tcp = 'tcp:1'", r"hubbub\.toml:1: tcp is an array, as in tcp = \[\.\.\.\] or \[\[tcp\]\]$"),
        (b"[tcp]\nendpoint = 'tcp:1'", r"tcp is an array"),
        (b"#" * (limits.CONFIG_BYTES + 1), r"hubbub\.toml is longer than"),
        (b"tcp = " + b"[" * 100_000, r"hubbub\.toml is nested too deeply"),
    ],
)
def test_a_mistake_names_its_file_and_place(folder, content, message):
    (folder / "hubbub.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        values(folder, "tcp")


def test_a_mistake_in_conf_d_names_that_file(folder):
    (folder / "hubbub.toml").write_text("")
    (folder / "conf.d" / "x.toml").write_text("=")
    with pytest.raises(ConfigError, match=r"conf\.d/x\.toml:1:1: "):
        values(folder, "tcp")


def test_files_that_cannot_be_read_are_named(folder):
    with pytest.raises(ConfigError, match=r"hubbub\.toml: No such file or directory"):
        values(folder, "tcp")
    (folder / "hubbub.toml").mkdir()
    with pytest.raises(ConfigError, match=r"hubbub\.toml: Is a directory"):
        values(folder, "tcp")


def test_a_conf_d_that_is_no_folder(tmp_path):
    (tmp_path / "hubbub.toml").write_text("")
    (tmp_path / "conf.d").write_text("")
    with pytest.raises(ConfigError, match=r"conf\.d: Not a directory"):
        values(tmp_path, "tcp")


def test_conf_d_is_bounded(folder, monkeypatch):
    monkeypatch.setattr(limits, "CONFIG_FILES", 1)
    (folder / "hubbub.toml").write_text("")
    for name in ("a.toml", "b.toml"):
        (folder / "conf.d" / name).write_text("")
    with pytest.raises(ConfigError, match=r"conf\.d has more than 1 files"):
        values(folder, "tcp")


TEXT = """\
drain = "5s"
websocket = ["tcp:1", "tcp:2"]
[[tcp]]
endpoint = "tcp:3"

[[ tcp ]]  # two
endpoint = "tcp:4"
[limits]
local = true
[[handler]]
name = "x"
drain = 1
"""


@pytest.mark.parametrize(
    ("name", "count", "table", "lines"),
    [
        ("drain", 1, None, [1]),
        ("websocket", 2, None, [2, 2]),
        ("tcp", 2, None, [3, 6]),
        ("tcp", 3, None, [None] * 3),
        ("limits", 1, None, [8]),
        ("local", 1, "limits", [9]),
        ("local", 1, None, [None]),
        ("nothing", 1, None, [None]),
    ],
)
def test_the_line_of_each_entry(name, count, table, lines):
    assert [place.line for place in places(TEXT, Path("x.toml"), name, count, table)] == lines


def test_a_mistake_names_the_line_of_its_entry(folder):
    (folder / "hubbub.toml").write_text(TEXT + "[[tpc]]\n")
    with pytest.raises(ConfigError, match=r"hubbub\.toml:13: unknown key tpc, did you mean tcp\?$"):
        read(str(folder / "hubbub.toml"))
