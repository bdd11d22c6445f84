"""Rights that end while something is on its way: a login, the end of a link, an answer, a file that is written."""

from __future__ import annotations

import contextlib
import os
import socket

import pytest
from argon2 import PasswordHasher

from hubbub.errors import ConfigError
from hubbub.service.commands.client import ask
from running import Daemon, LineClient
from service.test_passwords import cheap
from system.clients import connect

SLOW = PasswordHasher(time_cost=12, memory_cost=64 * 1024, parallelism=1)  # half a second
SLOW_HANDLER = """
from twisted.internet.defer import Deferred

from hubbub import Handler, on


class Slow(Handler):
    def __init__(self):
        self.waiting = []

    @on("slow/ask")
    async def ask(self, message):
        answered = Deferred()
        self.waiting.append(answered)
        self.publish("slow/asked", "")
        await answered
        message.reply("answer")

    @on("slow/go")
    def go(self, message):
        for one in self.waiting:
            one.callback(None)
        self.waiting = []
        self.publish("slow/gone", "")
"""
RULES = '[[rule]]\nwho = "everyone"\nallow.subscribe = "#"\nallow.publish = "#"\n'


class Hub:
    """A daemon whose password file and rules a test writes."""

    def __init__(self, folder, stack):
        self.folder = folder
        self.stack = stack
        self.users("ann", "ben")
        self.rules(RULES)
        (folder / "plugins").mkdir()
        (folder / "plugins" / "slow.py").write_text(SLOW_HANDLER)
        options = ("--auth", "hubbub:passwords", "--permissions", "rules.toml", "--control", str(folder / "control"))
        handler = ("--plugin-dir", "plugins", "--handler", "slow")
        listeners = ("--tcp", "tcp:0:id=login", "--tcp", "tcp:0:id=open:anonymous=yes")
        self.daemon = stack.enter_context(Daemon(*options, *handler, *listeners, folder=folder))

    def users(self, *names, hash=cheap):
        fresh = self.folder / "fresh"
        fresh.write_text("".join(f"{name}:{hash(name[0])}\n" for name in names))
        fresh.replace(self.folder / "passwords")

    def rules(self, text):
        (self.folder / "rules.toml").write_text(text)

    def reload(self):
        return next(ask(self.folder / "control", {"command": "reload"}))["changed"]

    def come(self, user=None):
        client = self.stack.enter_context(LineClient(self.daemon.tcp[0 if user else 1]))
        if user:
            assert client.ask(f"AUTH {user} {user[0]}") == f"OK AUTH {user}"
        return client


@pytest.fixture
def hub(tmp_path):
    with contextlib.ExitStack() as stack:
        yield Hub(tmp_path, stack)


def test_a_login_that_is_being_checked_while_the_user_is_removed(hub):
    hub.users("ann", hash=SLOW.hash)
    hub.reload()
    client = hub.stack.enter_context(LineClient(hub.daemon.tcp[0], 60))
    client.send("AUTH ann a", "PUB ann/x 1")
    other = hub.come()
    assert other.ask("SUB ann/#") == "OK SUB ann/#"
    hub.users("ben")
    hub.reload()
    for _ in ("AUTH", "PUB"):
        assert client.line().startswith("ERR not-authorized")
    assert other.ask("PING") == "PONG"


def test_a_client_that_has_yet_to_log_in_is_not_sent_away_by_a_reload(hub):
    with LineClient(hub.daemon.tcp[0]) as client:
        assert client.ask("PING") == "PONG"
        hub.reload()
        assert client.ask("AUTH ann a") == "OK AUTH ann"


def test_a_link_that_is_closing_while_the_user_is_removed(hub):
    """What waits for a client that has said goodbye would still be sent for some seconds."""
    link = hub.stack.enter_context(connect(hub.daemon.tcp[0], 4096))
    client = LineClient(link)
    assert client.ask("AUTH ann a") == "OK AUTH ann"
    assert client.ask("SUB flood/#") == "OK SUB flood/#"
    publisher = hub.come()
    for _ in range(300):
        publisher.send("PUB flood/a " + "x" * 10_000)
    assert publisher.ask("PING") == "PONG"
    client.send("QUIT")
    assert publisher.ask("PING") == "PONG"
    hub.users("ben")
    hub.reload()
    read = 0
    with contextlib.suppress(ConnectionError):
        while data := link.recv(65536):
            read += len(data)
    assert read < 512 * 1024


@pytest.mark.parametrize("end", ["removed", "gone and removed", "revoked"])
def test_a_handler_that_answers_after_the_right_of_its_requester_has_ended(hub, end):
    watcher = hub.come()
    for filter in ("slow/#", "ann/#"):
        assert watcher.ask(f"SUB {filter}") == f"OK SUB {filter}"
    with socket.create_connection(hub.daemon.tcp[0]) as link:
        asking = LineClient(link)
        assert "authenticated" in asking.ask('{"op":"auth","user":"ann","password":"a"}')
        asking.send('{"op":"publish","topic":"slow/ask","data":"1","reply_to":"ann/answers"}')
        assert watcher.line().startswith("MSG slow/ask")
        assert watcher.line() == "MSG slow/asked "
        if end == "gone and removed":
            asking.close()
        if end == "revoked":
            hub.rules(RULES + '[[rule]]\nwho.user = "ann"\ndeny.publish = "ann/#"\n')
        else:
            hub.users("ben")
        hub.reload()
        watcher.send("PUB slow/go x")
        said = [watcher.line() for _ in range(2)]
        assert said == ["MSG slow/go x", "MSG slow/gone "]
        watcher.send("PING")
        assert watcher.line() == "PONG"


# Files


def refused(hub):
    with pytest.raises(ConfigError) as error:
        hub.reload()
    return str(error.value)


def test_a_password_file_that_a_login_has_found_broken_is_reported_at_each_reload(hub):
    (hub.folder / "passwords").write_text("ann:nonsense\n")
    assert hub.come().ask("AUTH ann b").startswith("ERR not-authorized")  # it looks at the file
    for _ in range(2):
        assert "passwords, line 1" in refused(hub)
    (hub.folder / "passwords").unlink()
    assert hub.come().ask("AUTH ann b").startswith("ERR not-authorized")
    for _ in range(2):
        assert "passwords: No such file" in refused(hub)
    hub.users("ben")
    hub.reload()
    assert hub.come().ask("AUTH ann a").startswith("ERR not-authorized")


def test_a_file_that_is_written_again_with_the_same_size_and_time(hub):
    """As `cp -p` and rsync do it, and two writes within one tick of the kernel's clock."""
    path = hub.folder / "passwords"
    client = hub.come("ann")
    before = path.stat()
    text = path.read_text()
    with path.open("r+") as stream:
        stream.write(text.replace("ann:", "eve:"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "1 link" in hub.reload()
    assert client.line().startswith("ERR not-authorized this login isn't good any more")


@pytest.mark.parametrize("text", ["\xff\xfe", None, "a = [" * 100_000, 'who = "\x00"'])
def test_rules_that_can_not_be_read(hub, text):
    path = hub.folder / "rules.toml"
    if text is None:
        path.unlink()
    else:
        path.write_bytes(text.encode("latin-1"))
    assert "rules.toml" in refused(hub)
    assert "Traceback" not in hub.daemon.log
