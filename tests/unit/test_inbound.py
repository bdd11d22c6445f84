"""Events that are held back, and let go on by an event among them: a login whose result is there at once."""

from __future__ import annotations

from hubbub import limits
from hubbub.events import Answer, Connect, ForPeer
from unit.kernel_help import Tiny


class Login(Tiny):
    """`auth USER` logs in."""

    def command(self, command, rest):
        return Connect(user=rest[0]) if command == "auth" else super().command(command, rest)

    def outcome(self, event, result):
        return b"ok auth\n" if isinstance(event, Connect) else super().outcome(event, result)


class Rights:
    """Only ann may receive anything."""

    def __init__(self, user):
        self.user = user

    def subscribe(self, filter):
        pass

    def receives(self, topic):
        return self.user == "ann"


def log_in(event, session, done):
    session.user = event.user
    done(event.user)


def test_a_login_among_held_back_commands_that_ends_a_subscription(world):
    """The notice of that fills the answers: it is held back too, within the login that is being acted on."""
    link = world.link(Login, login=log_in, rights=lambda session: Rights(session.user))
    assert world.say(link, b"auth ann\nsub t\n") == b"ok auth\nok t\n"
    fill = limits.ANSWER_BYTES - len("\nok auth\n")
    output = world.say(link, b"say x %d\nsay y %d\nauth ben\nping\nping\n" % (limits.ANSWER_BYTES, fill))
    assert output.lstrip(b"x\n").lstrip(b"y") == b"\nok auth\nno not-authorized\npong 0\npong 0\n"
    assert link.wire.is_reading
    assert len(link.inbound) == 0


def test_one_that_reads_no_answers_and_is_asked_by_another_for_ever(world):
    """What another link has it say is held back behind its own, and is bounded too."""
    link, other = world.link(), world.link()
    link.wire.full = True
    for _ in range(2):  # the first pauses its transport
        world.say(link, b"say x %d\n" % (2 * limits.ANSWER_BYTES))
    assert link.holding
    other.act(ForPeer(link.session, [Answer(b"interrupt\n")]) for _ in range(limits.PENDING_EVENTS + 1))
    world.turn()
    assert not link.open
    assert world.say(other, b"ping\n") == b"pong 0\n"
