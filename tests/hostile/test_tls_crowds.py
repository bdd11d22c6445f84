"""A crowd of TLS clients: others are answered while it shakes hands."""

from __future__ import annotations

import ssl

from hostile.canary import Canary
from hostile.test_turns import SOURCE, crowd, links
from running import Daemon

SHARE = 0.02  # seconds that others may wait: one handshake takes under 1 ms
DRIPPED = 20  # bytes that come one by one


def hello() -> bytes:
    """What a client says first."""
    context = ssl.create_default_context()
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError


def test_hellos_that_come_byte_by_byte(certificate):
    """All that came before the last byte cost little."""
    data = hello()
    with (
        Daemon("--tcp", "tcp:0", "--tcp", f"ssl:0:privateKey={certificate}:certKey={certificate}", *SOURCE) as daemon,
        links(daemon, crowd(500, 900), at=1) as many,
    ):
        for one in many:
            one.sendall(data[:-DRIPPED])
        with Canary(daemon) as canary:
            for at in range(DRIPPED):
                for one in many:
                    one.sendall(data[-DRIPPED:][at : at + 1])
            for one in many:
                assert one.recv(100)
        canary.check(SHARE)
        assert "Traceback" not in daemon.log
