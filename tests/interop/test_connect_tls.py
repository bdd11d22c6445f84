"""Devices and hubs that are dialled with TLS: whom a connector believes, and what it shows of itself."""

from __future__ import annotations

import ssl

import pytest

from certificates import Authority
from devices import Device
from running import Daemon, LineClient

KEYS = "id=plc:end=crlf:topic=plant/7/up:subscribe=plant/7/down"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def device(authority):
    """A device that wants to see a certificate too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("names/localhost.pem", "localhost", ("localhost",)))
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    with Device(context=context) as one:
        yield one


def run(connector):
    return Daemon("--tcp", "tcp:0", "--connect", connector)


def test_both_sides_show_a_certificate(authority, device):
    connector = f"tls:localhost:{device.address[1]}:trustRoots={authority.file}"
    connector += f":certificate={authority.issue('names/hub.pem', 'hub')}:{KEYS}"
    with run(connector) as daemon, LineClient(daemon.tcp[0]) as watcher, device.accept() as plc:
        assert watcher.ask("SUB #") == "OK SUB #"
        daemon.wait_for("plc: connected to tls localhost")
        assert plc.socket.getpeercert()["subject"] == ((("commonName", "hub"),),)
        plc.send(b"HELLO\r\n")
        assert watcher.line() == "MSG plant/7/up HELLO"
        watcher.send("PUB plant/7/down " + "x" * 100_000)
        assert plc.line() == b"x" * 100_000
        plc.close()
        daemon.wait_for("plc: (it has closed|the connection was lost)")


@pytest.mark.parametrize(
    ("host", "roots", "says"),
    [
        ("localhost", False, "TLS: certificate verify failed"),
        ("127.0.0.1", True, "TLS: its certificate isn't for 127.0.0.1"),
    ],
    ids=["unknown", "another name"],
)
def test_a_client_that_cannot_be_believed_gets_nothing(authority, device, host, roots, says):
    trusted = f":trustRoots={authority.file}" if roots else ""
    with run(f"tls:{host}:{device.address[1]}{trusted}:{KEYS}") as daemon:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            device.accept()
        daemon.wait_for(f"plc: .*{says}.*dialled again")
        assert "connected to" not in daemon.log
        assert "Traceback" not in daemon.log


@pytest.mark.parametrize("folder", [False, True])
def test_wss(authority, folder):
    own = authority.issue("names/localhost.pem", "localhost", ("localhost",))
    with Daemon("--tcp", "tcp:0", "--websocket", f"ssl:0:privateKey={own}:certKey={own}") as there:
        roots = authority.file.parent if folder else authority.file
        url = f"wss://localhost:{there.websocket[0][1]}/"
        keys = f"dialect=json:pull=up/#:subscribe=down/#:trustRoots={roots}"
        with run(f"{url}:{keys}") as here, LineClient(here.tcp[0]) as near, LineClient(there.tcp[0]) as far:
            for one in (near, far):
                assert one.ask("SUB #") == "OK SUB #"
            here.wait_for("connected to wss")
            far.send("PUB! up/1 hello")
            assert (near.line(), far.line()) == ("MSG up/1 hello",) * 2
            near.send("PUB down/1 " + "x" * 100_000)
            assert (near.line(), far.line()) == ("MSG down/1 " + "x" * 100_000,) * 2
        with run(f"{url}:dialect=json:id=there") as here:
            here.wait_for("there: TLS: certificate verify failed")
