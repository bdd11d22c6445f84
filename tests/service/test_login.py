"""Logins: checkers in their order, threads and queue, sources that fail too often, and kinds that others bring."""

from __future__ import annotations

import threading

import pytest
from twisted.cred.checkers import FilePasswordDB
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, DeferredList, gatherResults

from hubbub import limits
from hubbub.errors import ConfigError, Refusal
from hubbub.events import Connect
from hubbub.identity import Identity
from hubbub.kernel.sessions.session import Session
from hubbub.service.auth import login as module
from hubbub.service.auth.kinds import Password, Token
from hubbub.service.auth.login import Logins
from hubbub.service.config.settings import Settings
from service.test_passwords import cheap


def the_reactor():
    from twisted.internet import reactor

    return reactor


class Attempts:
    """Those of one source."""

    def __init__(self, left=1_000):
        self.left = left

    def allowed(self, host):
        return self.left > 0

    def failed(self, host):
        self.left -= 1


class Checker:
    """A plugin's: in a thread, and as slow as the test wants."""

    credentialInterfaces = (IUsernamePassword,)
    blocking = True

    def __init__(self, users=("ann",)):
        self.users = users
        self.go = threading.Event()
        self.threads = set()

    def requestAvatarId(self, credentials):
        self.threads.add(threading.current_thread().name)
        assert self.go.wait(30)
        if credentials.username.decode() not in self.users:
            raise UnauthorizedLogin("a text that says too much")
        return credentials.username


@pytest.fixture
def make(monkeypatch):
    def made(*checkers, attempts=None):
        named = dict(zip("abc", checkers, strict=False))
        monkeypatch.setattr(module, "make_checker", lambda source, spec: named[spec])
        return Logins(the_reactor(), [("--auth", name) for name in named], attempts or Attempts())

    return made


async def refused(asked):
    with pytest.raises(Refusal) as found:
        await asked
    return found.value


async def test_the_first_that_says_yes_decides(make):
    one, two = Checker(["ann"]), Checker(["ben"])
    one.go.set()
    two.go.set()
    logins = make(one, two)
    assert await logins.identify(Password("ann", ""), "192.0.2.1") == Identity("ann")
    assert await logins.identify(Password("ben", ""), "192.0.2.1") == Identity("ben")
    refusal = await refused(logins.identify(Password("eve", ""), "192.0.2.1"))
    assert (refusal.code, refusal.reason) == ("not-authorized", "wrong user or password")
    assert (await refused(logins.identify(Token("x"), "192.0.2.1"))).reason == "this hub has no such logins"


async def test_few_threads_and_a_bounded_queue(make, monkeypatch):
    monkeypatch.setattr(limits, "LOGIN_QUEUE", 10)
    checker = Checker()
    logins = make(checker)
    asked = [logins.identify(Password("ann", ""), f"192.0.2.{at}") for at in range(10)]
    assert (await refused(logins.identify(Password("ann", ""), "192.0.2.99"))).code == "unavailable"
    checker.go.set()
    assert await gatherResults(asked) == [Identity("ann")] * 10
    assert len(checker.threads) <= limits.LOGIN_THREADS
    assert await logins.identify(Password("ann", ""), "192.0.2.99") == Identity("ann")


async def test_the_end_does_not_wait_for_the_queue(make):
    checker = Checker()
    logins = make(checker)
    asked = [logins.identify(Password("ann", ""), f"192.0.2.{at}") for at in range(50)]
    threading.Timer(0.1, checker.go.set).start()
    logins._workers.stop()
    done = await DeferredList(asked, consumeErrors=True)
    assert [good for good, _ in done].count(True) <= limits.LOGIN_THREADS


async def test_one_address_does_not_fill_the_queue(make):
    checker = Checker()
    logins = make(checker)
    asked = [logins.identify(Password("ann", ""), "192.0.2.1") for _ in range(limits.LOGIN_QUEUE_SOURCE)]
    assert (await refused(logins.identify(Password("ann", ""), "192.0.2.1"))).code == "unavailable"
    asked.append(logins.identify(Password("ann", ""), "192.0.2.2"))
    asked += [logins.identify(Password("ann", ""), f"2001:db8::{at:x}") for at in range(limits.LOGIN_QUEUE_SOURCE)]
    assert (await refused(logins.identify(Password("ann", ""), "2001:db8::ffff"))).code == "unavailable", "a /64 is one"
    checker.go.set()
    await gatherResults(asked)
    assert not logins._waiting


async def test_a_client_that_fails_too_often_is_ignored(make):
    checker = Checker()
    checker.go.set()
    logins = make(checker, attempts=Attempts(3))
    for _ in range(3):
        assert (await refused(logins.identify(Password("eve", ""), "192.0.2.1"))).code == "not-authorized"
    assert (await refused(logins.identify(Password("ann", ""), "192.0.2.1"))).code == "rate-limited"


async def test_guesses_at_once_are_worth_no_more_than_one_after_the_other(make):
    checker = Checker()
    logins = make(checker, attempts=Attempts(3))
    users = ["eve"] * 6 + ["ann"] + ["eve"]
    asked = [logins.identify(Password(user, ""), "192.0.2.1") for user in users]
    checker.go.set()
    done = await DeferredList(asked, consumeErrors=True)
    codes = [result.value.code for good, result in done if not good]
    assert sorted(codes) == ["not-authorized"] * 3 + ["rate-limited"] * 5


async def test_what_is_too_long_does_not_wait(make):
    checker = Checker()
    assert (await refused(make(checker).identify(Password("ann", "x" * 10_000), "192.0.2.1"))).code == "not-authorized"
    assert not checker.threads


async def test_a_checker_that_breaks_is_reported_in_the_log(make, monkeypatch):
    class Broken(Checker):
        def requestAvatarId(self, credentials):
            raise ZeroDivisionError

    logins, reported = make(Broken()), []
    monkeypatch.setattr(logins, "log", type("", (), {"failure": lambda *_: reported.append(1)})())
    assert (await refused(logins.identify(Password("ann", ""), "192.0.2.1"))).code == "unavailable"
    assert reported


async def test_a_place_is_reported_once(make):
    checker = Checker()
    checker.go.set()
    logins, session = make(checker), Session("192.0.2.1", 1, "tcp", "door")
    for user, wanted in (("ann", "ann"), ("eve", Refusal)):
        found = Deferred()
        logins.login(Connect(user=user, password=""), session, found.callback)
        result = await found
        assert result == wanted or isinstance(result, wanted)
    assert session.user == "ann"


def logins(*specs):
    return Logins(the_reactor(), [("--auth", spec) for spec in specs], Attempts())


async def test_kinds_of_twisted(tmp_path):
    (tmp_path / "file").write_text("ann:secret\n")
    made = logins(f"file:{tmp_path}/file", "memory:ben:sesame")
    assert isinstance(made._checkers[0], FilePasswordDB)
    assert await made.identify(Password("ann", "secret"), "::1") == Identity("ann")
    assert await made.identify(Password("ben", "sesame"), "::1") == Identity("ben")
    for user, password in (("ann", "sesame"), ("ben", "secret"), ("ben", "")):
        assert (await refused(made.identify(Password(user, password), "::1"))).code == "not-authorized"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("nonsense:secret", "--auth nonsense: there is no such kind of login; --help-auth lists them"),
        ("anonymous", "--auth anonymous: no client of hubbub can log in in this way"),
        ("hubbub:/nowhere/passwords", "--auth hubbub: /nowhere/passwords: No such file or directory"),
        ("certificate:dn", "--auth certificate: expected certificate, certificate:cn or certificate:san"),
        ("memory:secret", "--auth memory: InvalidAuthArgumentString: "),
    ],
)
def test_a_spec_that_can_not_be_used(spec, says):
    with pytest.raises(ConfigError) as found:
        logins(spec)
    assert str(found.value).startswith(says)
    assert "secret" not in str(found.value)


async def test_a_reload_takes_up_what_is_named_anew(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(f"{name}:{cheap(name)}\n")
    made = logins(f"hubbub:{tmp_path}/a")
    assert list(made.prepare(Settings(auth=(("--auth", f"hubbub:{tmp_path}/a"),)))()) == []
    commit = made.prepare(Settings(auth=(("--auth", f"hubbub:{tmp_path}/b"),)))
    assert await made.identify(Password("a", "a"), "::1") == Identity("a")
    assert commit() == ["logins changed"]
    assert await made.identify(Password("b", "b"), "::1") == Identity("b")
    assert (await refused(made.identify(Password("a", "a"), "::1"))).code == "not-authorized"
    with pytest.raises(ConfigError):
        made.prepare(Settings(auth=(("--auth", "hubbub:/nowhere"),)))
    (tmp_path / "b").write_text("nonsense\n")
    with pytest.raises(ConfigError, match="b, line 1: "):
        made.prepare(Settings(auth=(("--auth", f"hubbub:{tmp_path}/b"),)))
    assert await made.identify(Password("b", "b"), "::1") == Identity("b")
