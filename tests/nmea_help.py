"""A dialect nmea to feed, and checksums that share no code with what is tested."""

from __future__ import annotations

from hubbub import DialectContext, Publish, Template
from hubbub.kernel.sessions.session import Session
from hubbub.option import configure
from hubbub_plugins.nmea import Nmea

PEER = Session("192.0.2.9", 10110, "udp", "boat")
MAX = 2000


def nmea(transport="udp", max_message=MAX, topic=None, **options):
    """One link's dialect."""
    return configure(Nmea, options)(DialectContext(transport, max_message, topic and Template(topic)), PEER)


def check(body):
    check = 0
    for byte in body.encode():
        check ^= byte
    return f"{check:02X}"


def summed(body, start="$"):
    """A sentence with its checksum."""
    return f"{start}{body}*{check(body)}"


def tagged(fields, sentence=""):
    """A sentence behind a TAG block."""
    return f"\\{fields}*{check(fields)}\\{sentence}"


def read(sentence, **more):
    """The one message of a sentence that came alone."""
    (event,) = nmea(**more).receive(sentence.encode() + b"\r\n", 0)
    assert isinstance(event, Publish), event
    return event


def shown(events):
    """Topic and payload of each publish, the class of anything else."""
    return [
        f"{event.topic} {event.payload.decode()}" if isinstance(event, Publish) else type(event) for event in events
    ]


GGA = "$GPGGA,184353.07,1929.045,S,02410.506,E,1,04,2.6,100.00,M,-33.9,M,,0000*6D"
AIS = "!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C"
