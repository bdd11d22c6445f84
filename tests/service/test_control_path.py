"""Where a control socket is: systemd's folder, the session's, or one that nobody else can write to."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hubbub.errors import ConfigError
from hubbub.service.commands.report import size, table, time
from hubbub.service.control.control_path import default_path, make_folder, where_to_look


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        ({"RUNTIME_DIRECTORY": "/run/hubbub", "XDG_RUNTIME_DIR": "/run/user/7"}, "/run/hubbub/control.sock"),
        ({"RUNTIME_DIRECTORY": "/run/one:/run/two"}, "/run/one/control.sock"),
        ({"XDG_RUNTIME_DIR": "/run/user/7"}, "/run/user/7/hubbub/control.sock"),
    ],
)
def test_the_default(environment, path):
    assert default_path(environment) == Path(path)
    assert where_to_look(environment)[0] == Path(path)
    assert where_to_look(environment)[-1] == Path("/run/hubbub/control.sock")


def test_without_a_session_it_is_the_user_s_own_folder():
    assert default_path({}).parent.name == f"hubbub-{os.geteuid()}"
    assert len(where_to_look({"RUNTIME_DIRECTORY": "/run/hubbub"})) == 1


def test_the_folder_is_made_for_this_user_alone(tmp_path):
    for _ in range(2):
        make_folder(tmp_path / "own")
    assert stat.S_IMODE((tmp_path / "own").stat().st_mode) == 0o700


def test_a_folder_of_others(tmp_path):
    """In /tmp anybody may have been there first."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "file").write_text("")
    for name in ("open", "link", "file", "no/where"):
        with pytest.raises(ConfigError, match=name):
            make_folder(tmp_path / name)


def test_figures_for_people():
    assert [size(count) for count in (0, 1023, 1024, 10 * 1024, 3 << 20, 5 << 40)] == [
        "0 B", "1023 B", "1.0 KiB", "10 KiB", "3.0 MiB", "5120 GiB",
    ]  # fmt: skip
    assert [time(seconds) for seconds in (0, 59.9, 61, 3600, 90_061)] == [
        "0 s",
        "59 s",
        "1 min 1 s",
        "1 h 0 min",
        "1 d 1 h",
    ]
    assert table(
        [{"a": "x", "b": 7}, {"a": "long", "b": 12}], {"a": lambda row: row["a"], "b": lambda row: row["b"]}
    ) == ("  a      b\n  x      7\n  long  12\n")
