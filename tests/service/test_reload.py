"""Reload, in memory: who takes whose place and when, what is lost (nothing), and what is said."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent

from hubbub.errors import ConfigError
from hubbub.service.auth.rechecks import Recheck
from hubbub.service.config.settings import Settings, parse_handler, parse_listener
from hubbub.service.links.listener import Listener
from hubbub.service.plugins.discovery import Plugins
from hubbub.service.plugins.handler_runner import HandlerRunner
from hubbub.service.reload import Reloader
from hubbub.testing import World
from matrix.speakers import seat

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


class Port:
    """A port that listens in memory, among those of `reactor`."""

    def __init__(self, reactor: Reactor, host: str, number: int) -> None:
        self._reactor, self._address = reactor, IPv4Address("TCP", host, number)
        reactor.open.append(number)

    def getHost(self) -> IPv4Address:
        return self._address

    def stopListening(self) -> None:
        self._reactor.open.remove(self._address.port)


class Reactor(Clock):
    """Listens in memory; ports in `taken` are somebody else's, and `open` are ours."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: set[int | str] = set()
        self.open: list[int] = []

    def listenTCP(self, port, factory, backlog=50, interface=""):
        if port in self.taken or f"{interface}:{port}" in self.taken or (port and port in self.open):
            raise CannotListenError(interface, port, OSError(errno.EADDRINUSE, "Address already in use"))
        return Port(self, interface, port)


class Daemon:
    """The parts that are reloaded, without the rest (service.running.Running)."""

    def __init__(self, world: World, folder: Path, **wanted) -> None:
        self.world = world
        self.hub = world.hub
        self.reactor = Reactor()
        self.folder = folder
        self.write(1)
        self.plugins = Plugins([folder])
        self.connectors: list = []
        self.parts: list = []
        self.settings = self.wanted = self.want(**wanted)
        self.listeners = [self.make_listener(config, self.settings, self.plugins) for config in self.settings.listeners]
        for listener in self.listeners:
            listener.listen(self.reactor)
        self.handlers = {config.id: self.make_runner(config, self.plugins) for config in self.settings.handlers}
        for runner in self.handlers.values():
            runner.start()
        self.reloader = Reloader(self)
        self.warnings: list[str] = []  # of the last reload

    def want(self, tcp=(), handlers=(), **more) -> Settings:
        """What the next reload reads."""
        self.wanted = Settings(
            listeners=tuple(parse_listener("tcp", spec, "--tcp") for spec in tcp),
            handlers=tuple(parse_handler(spec, "--handler") for spec in handlers),
            plugin_dirs=(self.folder,),
            **more,
        )
        return self.wanted

    def reread(self) -> Settings:
        return self.wanted

    async def recheck(self):
        found = await Recheck(self.hub, [listener.context for listener in self.listeners], lambda session: True).start()
        assert found.ended() == ""
        return []

    def make_listener(self, config, settings, plugins):
        return Listener(config, settings, plugins, self.hub)

    def make_connector(self, config, settings, plugins):
        raise AssertionError(config)

    def make_runner(self, config, plugins):
        return HandlerRunner(
            self.hub, plugins.make("handler", config.name, config.options), config.id, self.world.clock
        )

    def write(self, version, source=SHOUT):
        (self.folder / "shout.py").write_text(source.format(version=version))

    def reload(self) -> list[str]:
        """Reload, and return what was logged."""
        failed = []
        with capturedLogs() as logs:
            reloaded = self.reloader.reload()
            for _ in range(5):
                self.reactor.advance(0)
            reloaded.addErrback(lambda failure: failed.append(failure.trap(ConfigError)))
            assert reloaded.called
        lines = [formatEvent(event) for event in logs if "reloaded: " in (formatEvent(event) or "")]
        self.warnings = [formatEvent(event) for event in logs if event["log_level"] is LogLevel.warn]
        assert bool(failed) == ("not reloaded" in lines[-1])
        return lines


PLAIN, TWO = "tcp:0:id=one:dialect=plain", "tcp:0:id=two"


@pytest.fixture
def daemon(world, tmp_path):
    return Daemon(world, tmp_path, tcp=(PLAIN, TWO), handlers=["shout:mark=?"])


def test_a_handler_and_a_dialect_are_taken_up(world, daemon):
    client = seat(world, "tcp-lines")
    two = daemon.listeners[1].dialect_plan.dialects
    assert daemon.reload() == ["reloaded: nothing has changed"]
    daemon.write(2)
    assert daemon.reload() == ["reloaded: shout.py changed; new links of one, handler shout"]
    assert daemon.listeners[0].dialect_plan.first.version == 2
    assert daemon.listeners[1].dialect_plan.dialects == two
    client.publish("shout", b"hey")
    assert client.output() == [("message", "shout", b"hey?2")]


def test_a_broken_file_is_one_line_and_changes_nothing(world, daemon):
    """Nothing at all: not even what is right elsewhere."""
    shout, plain, listeners = daemon.handlers["shout"], daemon.listeners[0].dialect_plan, list(daemon.listeners)
    before = sys.modules["hubbub_plugin_shout"]
    daemon.write(2, "import json\n\nnonsense")
    (daemon.folder / "other.py").write_text("from hubbub import Handler\nclass Other(Handler): pass\n")
    daemon.want(tcp=(PLAIN, TWO, "tcp:0:id=three"), handlers=["shout:mark=?", "other"])
    why = f"{daemon.folder}/shout.py, line 3: NameError: name 'nonsense' is not defined"
    for _ in range(2):
        assert daemon.reload() == [f"not reloaded: {why}; what it was before stays"]
    assert daemon.handlers == {"shout": shout}
    assert daemon.listeners == listeners
    assert daemon.listeners[0].dialect_plan is plain
    assert not daemon.plugins.has("handler", "other")
    assert sys.modules["hubbub_plugin_shout"] is before


def test_a_broken_plugin_file_without_an_option_is_reported_and_the_daemon_runs(daemon):
    (daemon.folder / "other.py").write_text("1 / 0")
    daemon.write(2)
    assert daemon.reload() == [
        f"not reloaded: {daemon.folder}/other.py, line 1: ZeroDivisionError: division by zero",
        "reloaded: shout.py changed; new links of one, handler shout",
    ]


def test_options_that_do_not_fit_any_more(world, daemon):
    """All stays as it was, and the daemon says so until it is mended."""
    old, plain = daemon.handlers["shout"], daemon.listeners[0].dialect_plan
    daemon.write(2, SHOUT.replace("mark = option", "sign = option").replace("self.mark", "self.sign"))
    for _ in range(2):
        assert daemon.reload() == ["not reloaded: --handler shout:mark=?: shout: unknown key mark=, it takes sign="]
    assert daemon.handlers["shout"] is old
    assert daemon.listeners[0].dialect_plan is plain
    daemon.write(3)
    daemon.reload()
    assert daemon.handlers["shout"].handler.version == 3


def test_a_file_that_has_gone(world, daemon):
    """Its handler stops. A listener can't do without its dialect."""
    client, plain = seat(world, "tcp-lines"), daemon.listeners[0].dialect_plan
    (daemon.folder / "shout.py").unlink()
    (logged,) = daemon.reload()
    unknown = "--tcp tcp:0:id=one:dialect=plain: unknown dialect 'plain', did you mean lines?"
    assert logged.startswith(f"not reloaded: {unknown}")
    assert daemon.listeners[0].dialect_plan is plain
    daemon.want(tcp=[TWO], handlers=["shout:mark=?"])
    assert daemon.reload() == ["reloaded: shout.py gone; listener one removed, handler shout has stopped"]
    assert daemon.reload() == ["reloaded: nothing has changed"]
    client.publish("shout", b"hey")
    assert client.output() == []
    daemon.write(2)
    assert daemon.reload() == ["reloaded: shout.py new; handler shout"]
    client.publish("shout", b"hey")
    assert client.output() == [("message", "shout", b"hey?2")]


def test_a_handler_whose_class_has_another_name_now(daemon):
    """It stops, and the log warns of it: nobody has taken it out of the options."""
    daemon.write(2, SHOUT.replace("class Shout", "class Louder"))
    assert daemon.reload() == ["reloaded: shout.py changed; new links of one, handler shout has stopped"]
    assert daemon.warnings == [
        "handler shout has stopped: no file in the plugin folders has a handler named shout any more"
    ]


def test_a_handler_that_is_named_anew_has_to_be_there(daemon):
    before = sys.modules["hubbub_plugin_shout"]
    daemon.write(2)
    daemon.want(tcp=(PLAIN, TWO), handlers=["shout:mark=?", "nobody"])
    (logged,) = daemon.reload()
    assert sys.modules["hubbub_plugin_shout"] is before  # where the classes that run look up names
    assert logged.startswith("not reloaded: unknown handler 'nobody'")


def test_handlers_come_change_and_go(world, daemon):
    client = seat(world, "tcp-lines")
    daemon.want(tcp=(PLAIN, TWO), handlers=["shout:mark=#", "upper"])
    assert daemon.reload() == ["reloaded: handler shout, handler upper"]
    client.publish("shout", b"hey")
    assert client.output() == [("message", "shout", b"hey#1")]
    daemon.want(tcp=(PLAIN, TWO))
    assert daemon.reload() == ["reloaded: handler shout has stopped, handler upper has stopped"]
    assert daemon.warnings == []
    client.publish("shout", b"hey")
    assert client.output() == []


def test_a_folder_that_has_gone(daemon):
    daemon.folder.rename(f"{daemon.folder}-elsewhere")
    assert daemon.reload() == [f"not reloaded: --plugin-dir {daemon.folder}: there is no such folder"]
    assert not daemon.handlers["shout"]._stopping


@pytest.mark.parametrize(
    "body",
    ["subprotocols = 7", "transports = None", "@classmethod\n    def max_unit(cls, context): return 1 // 0"],
)
def test_a_dialect_that_makes_no_sense(daemon, body):
    before = daemon.listeners[0].dialect_plan
    daemon.write(2, SHOUT.replace('name = "plain"', f'name = "plain"\n    {body}'))
    logged = daemon.reload()
    assert logged[0].startswith("not reloaded: --tcp tcp:0:id=one:dialect=plain: ")
    assert daemon.listeners[0].dialect_plan is before


# Listeners


def test_listeners_come_change_and_go(daemon):
    """One whose endpoint is the same keeps its port."""
    one, two = daemon.listeners
    port = one.port
    daemon.want(tcp=["tcp:0:id=one:dialect=raw:topic=a:stall=5s:as=ann", "tcp:7777"], handlers=["shout:mark=?"])
    assert daemon.reload() == [
        "reloaded: listener one changed (dialect, topic, stall, as), listener two removed, listener tcp-7777 added"
    ]
    assert [listener.config.id for listener in daemon.listeners] == ["one", "tcp-7777"]
    assert daemon.listeners[0] is one
    assert one.port is port
    assert (one.dialect_plan.first.name, one.context.stall, one.context.user) == ("raw", 5.0, "ann")
    assert two.port is None
    assert daemon.reload() == ["reloaded: nothing has changed"]


def test_an_endpoint_that_has_changed_is_another_port(daemon):
    one = daemon.listeners[0]
    daemon.want(tcp=["tcp:7777:id=one:dialect=plain", TWO], handlers=["shout:mark=?"])
    assert daemon.reload() == ["reloaded: listener one moved"]
    assert daemon.listeners[0] is not one
    assert one.port is None
    assert daemon.listeners[0].port is not None


def test_a_port_in_use_leaves_all_as_it_was(daemon):
    """What was bound before it is let go."""
    before, handlers = list(daemon.listeners), dict(daemon.handlers)
    daemon.reactor.taken.add(9)
    daemon.want(tcp=["tcp:8", "tcp:9"])
    assert daemon.reload() == ["not reloaded: --tcp tcp:9: can't listen: Address already in use"]
    assert daemon.reactor.open == [0, 0]
    assert (daemon.listeners, daemon.handlers) == (before, handlers)
    daemon.reactor.taken.clear()
    what = "listener one removed, listener two removed, listener tcp-8 added, listener tcp-9 added"
    assert daemon.reload() == [f"reloaded: {what}, handler shout has stopped"]
    assert daemon.reactor.open == [8, 9]


def test_a_port_goes_from_one_listener_to_another(daemon):
    """The old one is closed first; where the new one can't have it after all, the old one opens again."""
    daemon.want(tcp=["tcp:8:id=old"])
    daemon.reload()
    daemon.want(tcp=["tcp:8:interface=127.0.0.2:id=new"])
    assert daemon.reload() == ["reloaded: listener old removed, listener new added"]
    assert daemon.reactor.open == [8]
    (new,) = daemon.listeners
    daemon.reactor.taken.add("127.0.0.3:8")
    daemon.want(tcp=["tcp:7", "tcp:8:interface=127.0.0.3:id=newer"])
    assert daemon.reload() == [
        "not reloaded: --tcp tcp:8:interface=127.0.0.3:id=newer: can't listen: Address already in use"
    ]
    assert daemon.listeners == [new]
    assert daemon.reactor.open == [8]
    assert new.port is not None


def test_a_part_that_refuses_is_asked_before_anything_changes(daemon):
    """Parts that can be prepared take effect with the rest, or not at all."""
    done = []

    def refuse(settings):
        raise ConfigError("users.toml: it isn't there")

    daemon.parts = [lambda settings: lambda: done.append(settings) or ["users"], refuse]
    daemon.write(2)
    assert daemon.reload() == ["not reloaded: users.toml: it isn't there"]
    assert not done
    daemon.parts.pop()
    assert daemon.reload() == ["reloaded: shout.py changed; new links of one, users, handler shout"]
    assert done == [daemon.wanted]
