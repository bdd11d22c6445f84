"""Unix sockets: who may connect to them is said by their files."""

from __future__ import annotations

import os
import stat

import pytest

from running import Daemon, LineClient

PROXY = ("--trust-proxy", "127.0.0.1")


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sockets")
    before = os.umask(0)
    try:
        sockets = ("unix:lines", "haproxy:unix:proxied:anonymous=yes", "unix:public:mode=666")
        options = [word for one in sockets for word in ("--tcp", one)]
        with Daemon(*options, "--websocket", "unix:web", "--metrics", "unix:metrics", *PROXY, folder=folder) as one:
            one.folder = folder
            yield one
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    ("name", "mode"), [("lines", 0o660), ("proxied", 0o660), ("web", 0o660), ("metrics", 0o660), ("public", 0o666)]
)
def test_the_mode_is_660_unless_the_operator_says_otherwise(hub, name, mode):
    assert stat.S_IMODE((hub.folder / name).stat().st_mode) == mode


def test_its_user_comes_in(hub):
    with LineClient(str(hub.folder / "lines")) as client:
        assert client.ask("PING") == "PONG"
