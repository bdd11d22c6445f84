"""Reload, in memory: who takes whose place and when, what is lost (nothing), and what is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from hubbub import Handler, limits, on
from hubbub.service.config import Settings, parse_handler, parse_listener
from hubbub.service.handlers import HandlerRunner
from hubbub.service.listeners import Listener
from hubbub.service.plugins import Plugins
from hubbub.service.reload import reload
from hubbub.testing import World
from matrix.speakers import seat


@pytest.fixture
def world():
    return World()


# One handler in another's place


class Log(Handler):
    """Write down what comes, in a list that all instances share."""

    def __init__(self, name: str, seen: list) -> None:
        self.mark = name
        self.seen = seen

    def start(self):
        self.seen.append(f"{self.mark} starts")

    def stop(self):
        self.seen.append(f"{self.mark} stops")

    @on("a/#")
    def hear(self, message):
        self.seen.append(f"{self.mark} {message.payload.decode()}{'!' if message.retained else ''}")


def run(world: World, handler: Handler) -> HandlerRunner:
    runner = HandlerRunner(world.hub, handler, "log", world.clock)
    runner.start()
    return runner


def replace(world: World, old: HandlerRunner, handler: Handler) -> HandlerRunner:
    runner = HandlerRunner(world.hub, handler, "log", world.clock)
    runner.replace(old)
    return runner


def test_what_waits_comes_to_the_new_one(world):
    """Published in the turn of the change, before it and after it: each once, in order."""
    seen = []
    old = run(world, Log("old", seen))
    speaker = seat(world, "tcp-lines")
    world.turn()
    speaker.publish("a", b"1")
    speaker.publish("a", b"2")
    speaker.client.move()
    replace(world, old, Log("new", seen))
    speaker.publish("a", b"3")
    speaker.client.move()
    world.turn()
    assert seen == ["old starts", "old stops", "new starts", "new 1", "new 2", "new 3"]
    assert old.dropped == 0


def test_a_full_inbox_goes_over_too(world):
    seen = []
    old = run(world, Log("old", seen))
    speaker = seat(world, "tcp-lines")
    for number in range(limits.INBOX_TURN * 3):
        speaker.publish("a", b"%d" % number)
    speaker.client.move()
    world.hub.flush()
    new = replace(world, old, Log("new", seen))
    world.turn()
    heard = [line.split()[1] for line in seen if not line.endswith(("starts", "stops"))]
    assert heard == [str(number) for number in range(limits.INBOX_TURN * 3)]
    assert old.dropped == new.dropped == 0


def test_retained_messages_come_to_the_new_one(world):
    seen = []
    seat(world, "tcp-lines").publish("a", b"kept", retain=True)
    world.turn()
    old = run(world, Log("old", seen))
    world.turn()
    replace(world, old, Log("new", seen))
    world.turn()
    assert seen == ["old starts", "old kept!", "old stops", "new starts", "new kept!"]


def test_while_the_old_one_stops_messages_wait(world):
    """A stop that takes its time may hold what the new one needs."""
    seen, stopped = [], Deferred()

    class Slow(Log):
        def stop(self):
            super().stop()
            return stopped

    old = run(world, Slow("old", seen))
    speaker = seat(world, "tcp-lines")
    new = replace(world, old, Log("new", seen))
    newer = replace(world, new, Log("newer", seen))
    speaker.publish("a", b"1")
    world.turn()
    assert seen == ["old starts", "old stops", "newer starts", "newer 1"]  # `new` had never begun
    again = replace(world, newer, Slow("last", seen))
    assert seen[4:] == ["newer stops", "last starts"]
    later = replace(world, again, Log("later", seen))
    speaker.publish("a", b"2")
    world.turn()
    assert seen[6:] == ["last stops"]
    stopped.callback(None)
    world.turn()
    assert seen[7:] == ["later starts", "later 2"]
    assert later.failed == 0


def test_a_stop_that_never_ends_is_waited_for_a_while(world):
    seen = []

    class Stuck(Log):
        def stop(self):
            return Deferred()

    replace(world, run(world, Stuck("old", seen)), Log("new", seen))
    with capturedLogs():
        world.advance(limits.DRAIN_SECONDS - 1)
        assert seen == ["old starts"]
        world.advance(1)
    assert seen == ["old starts", "new starts"]


def test_the_old_one_s_time_is_over(world):
    """Its timers and coroutines end, and it can't begin others."""
    seen = []

    class Busy(Log):
        def start(self):
            self.every(1, lambda: seen.append("every"))
            self.later(1, lambda: seen.append("later"))

        @on("wait")
        async def wait(self, message):
            try:
                await Deferred()
            finally:
                seen.append("cancelled")
                self.every(1, lambda: seen.append("again"))
                self.later(1, lambda: seen.append("again"))()

    old = run(world, Busy("old", seen))
    seat(world, "tcp-lines").publish("wait", b"")
    world.turn()
    replace(world, old, Log("new", seen))
    world.advance(5)
    assert seen == ["old stops", "cancelled", "new starts"]
    assert old.failed == 0


def test_the_new_one_is_told_who_is_here(world):
    here = []

    class Door(Handler):
        def peer_joined(self, peer):
            here.append(peer.port)

        def peer_left(self, peer):
            here.remove(peer.port)

    clients = [seat(world, "tcp-lines").client for _ in range(3)]
    old = run(world, Door())
    world.turn()
    ports = sorted(here)
    assert ports == sorted(client.port for client in clients)
    clients[0].vanish()  # which the old one hasn't been told when it goes
    here.clear()
    replace(world, old, Door())
    world.turn()
    assert sorted(here) == sorted(client.port for client in clients[1:])


# Everything together


SHOUT = """\
from hubbub import Dialect, Handler, on, option

class Shout(Handler):
    mark = option("!")
    version = {version}

    @on("shout")
    def shout(self, message):
        message.reply(message.text + self.mark + str(self.version))

class Plain(Dialect):
    name = "plain"
    version = {version}
"""


class Daemon:
    """The parts that are reloaded, without the rest."""

    def __init__(self, world: World, folder: Path, *listeners: tuple[str, str], handler: str = "shout") -> None:
        self.world = world
        self.folder = folder
        self.write(1)
        self.plugins = Plugins([folder])
        self.settings = Settings(
            listeners=tuple(parse_listener(transport, spec, f"--{transport}") for transport, spec in listeners),
            handlers=(parse_handler(handler, "--handler"),),
        )
        self.listeners = [
            Listener(config, self.settings, self.plugins, world.hub) for config in self.settings.listeners
        ]
        self.runners = {config.id: self.make(config) for config in self.settings.handlers}
        for runner in self.runners.values():
            runner.start()

    def make(self, config):
        handler = self.plugins.make("handler", config.name, config.options)
        return HandlerRunner(self.world.hub, handler, config.id, self.world.clock)

    def write(self, version, source=SHOUT):
        (self.folder / "shout.py").write_text(source.format(version=version))

    def reload(self) -> list[str]:
        """Reload, and return what was logged."""
        with capturedLogs() as logs:
            reload(self.plugins, self.listeners, self.settings.handlers, self.runners, self.make)
        return [formatEvent(event) for event in logs]


@pytest.fixture
def daemon(world, tmp_path):
    return Daemon(
        world, tmp_path, ("tcp", "tcp:0:id=one:dialect=plain"), ("tcp", "tcp:0:id=two"), handler="shout:mark=?"
    )


def test_a_handler_and_a_dialect_are_taken_up(world, daemon):
    client = seat(world, "tcp-lines")
    two = daemon.listeners[1].spoken
    assert daemon.reload() == ["reloaded: nothing has changed"]
    daemon.write(2)
    assert daemon.reload() == ["reloaded: shout.py changed; new links of one, handler shout"]
    assert daemon.listeners[0].spoken.first.version == 2
    assert daemon.listeners[1].spoken is two
    client.publish("shout", b"hey")
    assert client.heard() == [("message", "shout", b"hey?2")]


def test_a_broken_file_is_one_line_and_changes_nothing(world, daemon):
    shout, plain = daemon.runners["shout"], daemon.listeners[0].spoken
    daemon.write(2, "import json\n\nnonsense")
    why = f"{daemon.folder}/shout.py, line 3: NameError: name 'nonsense' is not defined"
    for _ in range(2):
        assert daemon.reload() == [
            f"not reloaded: {why}; what it was before stays",
            "reloaded: nothing has changed",
        ]
    assert daemon.runners["shout"] is shout
    assert daemon.listeners[0].spoken is plain


def test_options_that_do_not_fit_any_more(world, daemon):
    """The old one runs on, and the daemon says so until it is mended."""
    old = daemon.runners["shout"]
    daemon.write(2, SHOUT.replace("mark = option", "sign = option").replace("self.mark", "self.sign"))
    for files in ("shout.py changed; ", ""):
        assert daemon.reload() == [
            "not reloaded: shout: unknown key mark=, it takes sign=; the old one runs on",
            f"reloaded: {files}new links of one" if files else "reloaded: nothing has changed",
        ]
    assert daemon.runners["shout"] is old
    daemon.write(3)
    daemon.reload()
    assert daemon.runners["shout"].handler.version == 3


def test_a_file_that_has_gone(world, daemon):
    """Its handler stops; a listener can't do without its dialect, and keeps the one it has."""
    client, plain = seat(world, "tcp-lines"), daemon.listeners[0].spoken
    (daemon.folder / "shout.py").unlink()
    logged = daemon.reload()
    assert logged[0].startswith("not reloaded: --tcp tcp:0:id=one:dialect=plain: unknown dialect 'plain'; ")
    assert logged[0].endswith("; new links get what there was")
    assert logged[1:] == ["reloaded: shout.py gone; handler shout has stopped"]
    assert daemon.listeners[0].spoken is plain
    client.publish("shout", b"hey")
    assert client.heard() == []
    daemon.write(2)
    assert daemon.reload() == ["reloaded: shout.py new; new links of one, handler shout"]
    client.publish("shout", b"hey")
    assert client.heard() == [("message", "shout", b"hey?2")]


def test_a_folder_that_has_gone(daemon):
    daemon.folder.rename(f"{daemon.folder}-elsewhere")
    assert daemon.reload() == [f"not reloaded: --plugin-dir {daemon.folder}: there is no such folder"]
    assert not daemon.runners["shout"]._stopping


@pytest.mark.parametrize(
    "body",
    ["subprotocols = 7", "transports = None", "@classmethod\n    def max_unit(cls, setting): return 1 // 0"],
)
def test_a_dialect_that_makes_no_sense(daemon, body):
    before = daemon.listeners[0].spoken
    daemon.write(2, SHOUT.replace('name = "plain"', f'name = "plain"\n    {body}'))
    logged = daemon.reload()
    assert logged[0].startswith("not reloaded: --tcp tcp:0:id=one:dialect=plain: ")
    assert daemon.listeners[0].spoken is before
