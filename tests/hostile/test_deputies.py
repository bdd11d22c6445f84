"""Handlers that a client might have do what it may not do itself."""

from __future__ import annotations

import pytest

from running import Daemon, LineClient

RULES = """
[[rule]]
who.listener = "inside"
allow.publish = "#"
allow.subscribe = "#"
[[rule]]
who.listener = "outside"
allow.publish = ["in/#", "chat/#"]
allow.subscribe = ["out/#", "chat/#"]
"""
ROUTES = ("route:from=in/#:to={rest}:changed=yes", "route:from=in/#:to=late/{rest}:at-most=100/s:id=late")


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deputies")
    (folder / "rules.toml").write_text(RULES)
    handlers = [word for one in ROUTES for word in ("--handler", one)]
    listeners = ("--tcp", "tcp:0:id=inside", "--tcp", "tcp:0:id=outside")
    with Daemon(*listeners, "--permissions", "rules.toml", *handlers, folder=folder) as one:
        yield one


@pytest.mark.parametrize("topic", ["$SYS/uptime", "$hubbub/stop", "$SYS", "x" + "/y" * 127])
def test_a_route_to_where_nothing_may_be_published(hub, topic):
    """It is refused and counted; the log has a line that says so, and no traceback."""
    with LineClient(hub.tcp[1]) as outside, LineClient(hub.tcp[0]) as inside:
        inside.ask("SUB #")
        inside.ask("SUB $SYS/#")
        outside.send(f"PUB in/{topic} forged")
        inside.send("PUB end x")
        reported = []
        while "end x" not in (line := inside.line()):
            reported.append(line)
        assert not [line for line in reported if line.startswith(f"MSG {topic[:20]}")]
    assert "Traceback" not in hub.log
    assert "critical" not in hub.log.lower()
