"""What permissions and rates hold back or end costs the others nothing, however much it is.

Each test is a row of docs/security.md's table. `make test` has a small crowd; with HUBBUB_FULL=1 it is the table's.
"""

from __future__ import annotations

import contextlib
import signal

import pytest

from hostile.canary import Canary
from hostile.test_turns import SOURCE, crowd, links, pour
from running import Daemon
from system.clients import connect


@pytest.mark.parametrize("denied", ["other/+", "reload/1/+/+"])
def test_permissions_change_for_many_subscriptions(tmp_path, denied):
    """They are checked anew in steps, and no garbage collection looks at all of them."""
    count, each = crowd(5, 11), crowd(2_000, 10_000)
    rules = '[[rule]]\nwho = "everyone"\nallow.publish = "#"\nallow.subscribe = "#"\n'
    permissions = tmp_path / "permissions.toml"
    permissions.write_text(rules)
    with (
        Daemon("--tcp", "tcp:0", "--permissions", str(permissions)) as daemon,
        links(daemon, count) as many,
    ):
        for at, one in enumerate(many):
            names = "".join(f"SUB reload/{at}/{n}/+\n" for n in range(each))
            pour([one], names.encode() + b"PING\n", b"PONG\n", 120)
        permissions.write_text(f'{rules}deny.subscribe = "{denied}"\n')
        with Canary(daemon) as canary:
            daemon.process.send_signal(signal.SIGHUP)
            ended = each if denied.startswith("reload") else 0
            daemon.wait_for(rf"permissions changed \({ended} subscriptions ended\)")
        canary.check()
        assert "Traceback" not in daemon.log


def test_many_links_whose_rate_pauses_them():
    """What waits costs nothing until its time has come, however much it is."""
    with (
        Daemon("--tcp", "tcp:0", "--tcp", "tcp:0:id=slow:rate=1000/s:over=pause", *SOURCE) as daemon,
        contextlib.ExitStack() as stack,
    ):
        many = [stack.enter_context(connect(daemon.tcp[1], seconds=60)) for _ in range(crowd(5, 50))]
        with Canary(daemon) as canary:
            before = daemon.processor()
            pour(many, b"PUB paused x\n" * crowd(2_000, 8_000) + b"PING\n", b"PONG\n", 60)
            assert daemon.processor() - before < len(many) * crowd(2_000, 8_000) * 40e-6 + 1
        canary.check()
