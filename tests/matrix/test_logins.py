"""Login, refusal and anonymity, alike over each pair of transport and dialect; and that no pair lacks a row.

Each pair has a listener that wants a login, one with anonymous=yes and one with as=plant, all below seat/{id}/{user}:
what a watcher of seat/# hears tells who published.
"""

from __future__ import annotations

import itertools
import ssl
from contextlib import suppress

import pytest
from websockets.exceptions import InvalidStatus, WebSocketException

from certificates import Authority
from hubbub.service.plugins.discovery import Plugins
from matrix.login_clients import AUTH, KEY, SAYS, client_of
from running import Daemon, LineClient
from service.test_passwords import cheap

CARRIERS = {"tcp": "tcp", "tls": "tcp", "unix": "tcp", "ws": "websocket", "wss": "websocket", "udp": "udp"}
DIALECTS = {one.name: one.load() for one in Plugins() if one.kind == "dialect"}
PAIRS = [(one, name) for one in CARRIERS for name, kind in DIALECTS.items() if CARRIERS[one] in kind.transports]


def ways(transport, dialect):
    """How a client of that pair can say who it is; where there is none, the listener does with as=."""
    if transport == "udp":
        return ["sign"]
    found = ["auth"] if dialect in AUTH else []
    found += ["header"] if transport in ("ws", "wss") else []
    return found + (["certificate"] if transport in ("tls", "wss") else [])


TABLE = {pair: ways(*pair) for pair in PAIRS}
LOGINS = [(*pair, way) for pair, found in TABLE.items() for way in found]


class LoginHub:
    """The daemon, and what a client needs to reach it."""

    def __init__(self, daemon, folder, authority):
        self.daemon = daemon
        self.folder = folder
        self.authority = authority
        self.watcher = LineClient(str(folder / "watch.sock"))
        self.watcher.ask("SUB seat/#")
        self.numbers = itertools.count()
        self.ports = {"tcp": iter(daemon.tcp), "udp": iter(daemon.udp), "websocket": iter(daemon.websocket)}
        self.addresses = {}

    def output(self):
        """Who was heard since the last look, as (listener, user)."""
        mark = f"MSG mark {next(self.numbers)}"
        self.watcher.send("SUB mark", f"PUB mark {mark.split()[-1]}")
        found = []
        while (line := self.watcher.line()) != mark:
            if line.startswith("MSG seat/"):
                found.append(tuple(line.split(" ")[1].split("/")[1:3]))
        return found

    def trust(self, way):
        context = ssl.create_default_context(cafile=self.authority.file)
        if way == "certificate":
            context.load_cert_chain(self.folder / "ann.pem")
        elif way == "wrong certificate":
            context.load_cert_chain(self.folder / "eve.pem")
        return context


def specs(folder):
    """Yield the option, the spec and the id of each listener."""
    hub = folder / "hub.pem"
    for transport, dialect in PAIRS:
        kinds = {"login": "", "anonymous": ":anonymous=yes", "as": ":as=plant"}
        if "certificate" in TABLE[transport, dialect]:
            kinds["certificate"] = f":client-ca={folder}/Test-authority.crt"
        for kind, keys in kinds.items():
            id = f"{transport}-{dialect}-{kind}"
            endpoint = {
                "tls": f"ssl:0:privateKey={hub}", "wss": f"ssl:0:privateKey={hub}",
                "unix": f"unix:{folder}/{transport}{dialect}{kind}", "udp": "udp:0",
            }.get(transport, "tcp:0")  # fmt: skip
            more = SAYS[dialect][1] if CARRIERS[transport] == "tcp" else ""
            yield (
                CARRIERS[transport],
                f"{endpoint}:id={id}:dialect={dialect}:prefix=seat/{{id}}/{{user}}{keys}{more}",
                id,
            )


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    authority, stranger = Authority(folder), Authority(folder, "Stranger")
    authority.issue("hub.pem", "hub", ("localhost", "127.0.0.1"))
    authority.issue("ann.pem", "ann")
    stranger.issue("eve.pem", "ann")
    (folder / "passwords").write_text(f"ann:{cheap('right')}:key={KEY.hex()}\n")
    found = list(specs(folder))
    options = [word for option, spec, _ in found for word in (f"--{option}", spec)]
    watch = ("--tcp", f"unix:{folder}/watch.sock:anonymous=yes")
    auth = ("--auth", f"hubbub:{folder}/passwords", "--auth", "certificate")
    with Daemon(*options, *watch, *auth) as daemon:
        made = LoginHub(daemon, folder, authority)
        for option, _, id in found:
            made.addresses[id] = str(folder / id.replace("-", "")) if id[:4] == "unix" else next(made.ports[option])
        yield made
        made.watcher.close()


def test_no_pair_lacks_a_row():
    assert set(SAYS) == set(DIALECTS)
    assert {CARRIERS[transport] for transport, _ in TABLE} == {"tcp", "udp", "websocket"}
    assert [pair for pair, found in TABLE.items() if not found] == [
        (transport, dialect) for transport, dialect in PAIRS if transport in ("tcp", "unix") and dialect not in AUTH
    ], "and those have as="


@pytest.mark.parametrize(("transport", "dialect", "way"), LOGINS)
def test_login(hub, transport, dialect, way):
    kind = "certificate" if way == "certificate" else "login"
    client = client_of(hub, transport, dialect, kind, way)
    client.publish()
    assert f"/{transport}-{dialect}-{kind}/ann/" in hub.watcher.line()
    client.finish()
    assert hub.output() == []


@pytest.mark.parametrize(("transport", "dialect", "way"), LOGINS)
def test_refusal(hub, transport, dialect, way):
    kind = "certificate" if way == "certificate" else "login"
    if way == "header":
        with pytest.raises(InvalidStatus) as found:
            client_of(hub, transport, dialect, kind, way, right=False)
        assert found.value.response.status_code == 401
    elif way == "certificate":
        said = ""
        with suppress(OSError, EOFError, WebSocketException):  # whichever comes first: the alert or the end
            client = client_of(hub, transport, dialect, kind, way, right=False)
            client.publish()
            said = client.receive()
        assert said == ""
    else:
        client = client_of(hub, transport, dialect, kind, way, right=False)
        if way == "auth":
            assert "not-authorized" in client.said
        client.publish()
        if dialect in AUTH:
            assert "not-authorized" in client.receive()
        client.finish()
    assert hub.output() == []


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_without_a_login(hub, pair):
    transport, dialect = pair
    client = client_of(hub, *pair, "login")
    client.publish()
    if dialect in AUTH:
        assert "not-authorized" in client.receive()
    client.finish()
    assert hub.output() == []
    for kind, user in (("anonymous", "-"), ("as", "plant")):
        client = client_of(hub, *pair, kind)
        client.publish()
        assert f"/{transport}-{dialect}-{kind}/{user}/" in hub.watcher.line()
        client.end.close()


@pytest.mark.parametrize("dialect", [one for one in AUTH if "udp" in DIALECTS[one].transports])
def test_over_udp_a_password_is_not_taken(hub, dialect):
    client = client_of(hub, "udp", dialect, "login", "auth")
    assert "not-authorized" in client.said
    assert "SIGN" in client.said
    assert hub.output() == []
