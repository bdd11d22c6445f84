"""A login whose result comes once its link is being closed: the link gets nothing any more."""

from __future__ import annotations

import pytest

from hubbub.dialect import DialectContext
from hubbub.dialects.lines import Lines
from hubbub.errors import Refusal
from hubbub.kernel.connection.link import Link
from hubbub.kernel.connection.listener_context import ListenerContext
from hubbub.kernel.sessions.presence import Presence
from hubbub.template import Template
from unit.kernel_help import FakeWire, World

END = {
    "closed": lambda link: link.close("kicked"),
    "revoked": lambda link: link.revoke("the login has changed", Refusal("not-authorized", "it isn't good any more")),
}


@pytest.mark.parametrize("end", END)
def test_the_result_of_a_login_comes_too_late(end):
    world, asked = World(), []
    context = ListenerContext(
        "here", DialectContext("tcp"), anonymous=False, login=lambda *said: asked.append(said),
        subscribe=Template("to/{user}", "filter"),
        presence=Presence(world.hub.turn, world.hub.presences, Template("on/{user}"), None),
    )  # fmt: skip
    wire = FakeWire()
    link = wire.link = Link(world.hub, context, wire, Lines, "192.0.2.7", 4711)
    link.start()
    world.say(link, b"AUTH ann a\n")
    ((_, session, done),) = asked
    END[end](link)
    world.turn()
    session.user = "ann"
    done("ann")
    world.turn()
    assert (world.hub.subscriptions.count, world.hub.retained.count) == (0, 0)
    assert not world.hub.router.has_subscribers("to/ann")
    link.lost()
    world.turn()
    assert b"OK" not in wire.output()
