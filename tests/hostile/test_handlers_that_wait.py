"""Messages make a handler wait for something that never comes: memory has a bound, and others are answered."""

from __future__ import annotations

from hostile.canary import Canary
from hostile.test_turns import crowd, links, pour
from running import Daemon
from system.clients import MiB

HANDLER = """
from twisted.internet.defer import Deferred
from hubbub import Handler, on


class Waits(Handler):
    @on("waits")
    async def receive(self, message):
        await Deferred()
"""


def test_a_handler_whose_methods_never_end(tmp_path):
    (tmp_path / "waits.py").write_text(HANDLER)
    options = ("--tcp", "tcp:0", "--plugin-dir", str(tmp_path), "--handler", "waits")
    with Daemon(*options, "--limit", "message-rate=0") as daemon, links(daemon, 1) as publisher:
        before = daemon.memory()
        with Canary(daemon) as canary:
            pour(publisher, b"PUB waits %b\n" % (b"x" * 1_000) * crowd(50_000, 200_000) + b"PING\n", b"PONG\n")
        assert daemon.memory() - before < 64 * MiB
        canary.check()
        assert "Traceback" not in daemon.log
