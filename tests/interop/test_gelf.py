"""GELF: pygelf, graypy, logging-gelf and gelf-pro, over UDP and TCP, short, long, and with a traceback."""

from __future__ import annotations

import logging
import random
import socket

import graypy
import pytest
from logging_gelf.formatters import GELFFormatter
from logging_gelf.handlers import GELFTCPSocketHandler, GELFUDPSocketHandler
from pygelf import GelfTcpHandler, GelfUdpHandler

from interop.senders.hub import Hub, send_from_node

HERE = socket.gethostname()
RANDOM = random.Random(7)
LONG = "".join(chr(RANDOM.randrange(0x4E00, 0x9FFF)) for _ in range(20_000))  # which doesn't shrink much


@pytest.fixture(scope="module")
def hub():
    with Hub("gelf") as one:
        yield one


def logging_gelf(kind, null):
    def make(host, port):
        handler = kind(host, port)
        handler.setFormatter(GELFFormatter(null_character=null))
        return handler

    return make


# transport, handler, the property that has the name of the logger
HANDLERS = {
    "pygelf": ("udp", lambda *at: GelfUdpHandler(*at, debug=True), "field.logger_name"),
    "pygelf, plain": ("udp", lambda *at: GelfUdpHandler(*at, debug=True, compress=False), "field.logger_name"),
    "pygelf, TCP": ("tcp", lambda *at: GelfTcpHandler(*at, debug=True), "field.logger_name"),
    "graypy": ("udp", graypy.GELFUDPHandler, "facility"),
    "graypy, plain": ("udp", lambda *at: graypy.GELFUDPHandler(*at, compress=False), "facility"),
    "graypy, TCP": ("tcp", graypy.GELFTCPHandler, "facility"),
    "logging-gelf": ("udp", logging_gelf(GELFUDPSocketHandler, False), None),
    "logging-gelf, TCP": ("tcp", logging_gelf(GELFTCPSocketHandler, False), None),
    "logging-gelf, TCP, NUL": ("tcp", logging_gelf(GELFTCPSocketHandler, True), None),
}


@pytest.fixture
def log():
    log = logging.getLogger("press")
    log.setLevel(logging.DEBUG)
    yield log
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()


@pytest.mark.parametrize("name", HANDLERS)
def test_handlers_of_python(hub, log, name):
    transport, make, named = HANDLERS[name]
    log.addHandler(make(*hub.listeners[transport]))
    log.warning("größe %d", 7)
    topic, said, about = hub.output()
    assert (topic, said["short_message"], said["level"]) == (f"gelf/{HERE}/warning", "größe 7", 4)
    assert about["hostname"] == HERE
    assert named is None or about[named] == "press"
    try:
        raise ValueError("too\nhot")
    except ValueError:
        log.exception("it failed")
    topic, said = hub.next()
    assert (topic, said["short_message"]) == (f"gelf/{HERE}/err", "it failed")
    assert said["full_message"].rstrip().endswith("ValueError: too\nhot")
    if name != "logging-gelf":  # which has no chunks: so long a datagram can't be sent
        log.info(LONG)
        assert hub.next()[1]["short_message"] == LONG


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_gelf_pro(hub, need, transport):
    """It opens a connection for each message, so that they come in any order over TCP."""
    send_from_node(need("node"), "gelf-pro", hub, transport)
    output = {topic: (said, about) for topic, said, about in (hub.output() for _ in range(4))}
    assert output.keys() == {f"gelf/press1/{level}" for level in ("info", "err", "warning", "debug")}
    said, about = output["gelf/press1/info"]
    assert (said["short_message"], about["field.facility"]) == ("short", "press")
    said, _ = output["gelf/press1/err"]
    assert (said["short_message"], said["_error_message"]) == ("failed", "too hot")
    assert "send.js" in said["_error_stack"]
    said, _ = output["gelf/press1/warning"]
    assert (said["short_message"], said["_text"]) == ("nested", "größe")
    said, _ = output["gelf/press1/debug"]
    assert len(said["short_message"]) > 60_000
