"""What is sent to hubbub and to nats-server alike. Subjects begin with `T.`, which is another word for each script."""

from __future__ import annotations

from interop.nats_play import Step

QUIET = b'CONNECT {"verbose":false,"pedantic":false}\r\n'
FULL = b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"protocol":1}\r\n'
VERBOSE = b'CONNECT {"verbose":true,"headers":true,"no_responders":true}\r\n'
ALONE = b'CONNECT {"verbose":false,"echo":false,"protocol":1}\r\n'


def hpub(subject: bytes, block: bytes, payload: bytes = b"", reply: bytes = b"") -> bytes:
    words = b" ".join([b"HPUB", subject, *[reply] * bool(reply), b"%d %d" % (len(block), len(block) + len(payload))])
    return words + b"\r\n" + block + payload + b"\r\n"


def alone(*data: bytes, hello: bytes = QUIET) -> list[Step]:
    return [("c", hello + data[0]), *(("c", one) for one in data[1:])]


A, B = b"NATS/1.0\r\nA: 1\r\n\r\n", b"NATS/1.0\r\nA: 1\r\nA:2\r\nb-C:  x y \r\n\r\n"
EAR = ("ear", FULL + b"SUB T.> 1\r\n")

SCRIPTS: dict[str, list[Step]] = {
    # Publish and subscribe
    "to oneself": alone(b"SUB T.a 1\r\nPUB T.a 5\r\nhello\r\n"),
    "without CONNECT": [("c", b"SUB T.a 1\r\nPUB T.a 5\r\nhello\r\n")],
    "an empty payload": alone(b"SUB T.a 1\r\n", b"PUB T.a 0\r\n\r\n"),
    "a payload of any bytes": alone(b"SUB T.a 1\r\nPUB T.a 6\r\n\0\r\n\xff \n\r\n"),
    "with a reply": alone(b"SUB T.a 1\r\nPUB T.a T.r 1\r\nx\r\n"),
    "two spaces, tabs and LF alone": alone(b"SUB  T.a\t1\nPUB T.a  1\nx\r\n"),
    "small letters": alone(b"sub T.a 1\r\npub T.a 1\r\nx\r\nping\r\n"),
    "to another": [EAR, ("c", QUIET + b"PUB T.a.b 1\r\nx\r\n")],
    "wildcards": [
        ("c", FULL + b"SUB T.*.x 1\r\nSUB T.> 2\r\nSUB T.a.* 3\r\n"),
        ("mouth", QUIET + b"PUB T.a 1\r\n1\r\n"), ("mouth", b"PUB T.b.x 1\r\n2\r\n"),
        ("mouth", b"PUB T.b.y 1\r\n3\r\n"), ("mouth", b"PUB T.b.x.y 1\r\n4\r\n"),
    ],
    "the parent": [("c", FULL + b"SUB T.a.> 1\r\nPUB T.a 1\r\nx\r\nPUB T.a.b 1\r\ny\r\n")],
    "a wildcard within a level": alone(b"SUB T.a*b 1\r\nPUB T.a*b 1\r\nx\r\n"),
    "subscribing to other characters": alone(b"SUB T.a/b 1\r\nSUB T.%41 2\r\nSUB T.+ 3\r\n"),
    "publishing on other characters": [EAR, ("c", QUIET + b"PUB T.a/b 1\r\nx\r\n"), ("c", b"PUB T.%41 1\r\nx\r\n")],
    "publishing with a wildcard": [EAR, ("c", QUIET + b"PUB T.* 1\r\nx\r\n")],
    "publishing with a wildcard, pedantic": [
        EAR, ("c", b'CONNECT {"verbose":false,"pedantic":true}\r\nPUB T.* 1\r\nx\r\n'), ("c", b"PUB T..a 1\r\nx\r\n"),
    ],
    "publishing with an empty level": [EAR, ("c", QUIET + b"PUB T..a 1\r\nx\r\n"), ("c", b"PUB T.a. 1\r\nx\r\n")],
    "a reply with a wildcard": [EAR, ("c", QUIET + b"PUB T.a T.* 1\r\nx\r\n")],
    "names beyond ASCII": alone("SUB T.ü 1\r\nPUB T.ü 1\r\nx\r\n".encode()),
    "names that aren't UTF-8": alone(b"SUB T.\xff 1\r\nPUB T.\xff 1\r\nx\r\n"),
    "a bad subject": alone(b"SUB T..a 1\r\n", b"SUB T.>.a 1\r\n", b"SUB T.a. 1\r\n", b"SUB .T.a 1\r\n"),
    "ids of any form": alone(b"SUB T.a x-1\r\nSUB T.a \xc3\xa9\r\nPUB T.a 1\r\nx\r\n"),
    "an id again, another subject": alone(b"SUB T.a 1\r\nSUB T.b 1\r\n", b"PUB T.a 1\r\nx\r\n", b"PUB T.b 1\r\ny\r\n"),
    "no echo": [("c", ALONE + b"SUB T.a 1\r\nPUB T.a 1\r\nx\r\n"), ("d", QUIET + b"PUB T.a 1\r\ny\r\n")],
    "a message of the largest size": alone(b"SUB T.a 1\r\nPUB T.a 1048576\r\n" + b"x" * 1_048_576 + b"\r\n"),
    # UNSUB
    "unsubscribe": alone(b"SUB T.a 1\r\nUNSUB 1\r\nPUB T.a 1\r\nx\r\n"),
    "unsubscribe after two": alone(b"SUB T.a 1\r\nUNSUB 1 2\r\n", b"PUB T.a 1\r\n1\r\n" * 3),
    "unsubscribe after one, too late": alone(b"SUB T.a 1\r\nPUB T.a 1\r\n1\r\n", b"UNSUB 1 1\r\nPUB T.a 1\r\n2\r\n"),
    "unsubscribe after some that have come": alone(
        b"SUB T.a 1\r\nPUB T.a 1\r\n1\r\n", b"UNSUB 1 2\r\n", b"PUB T.a 1\r\n2\r\n" * 2
    ),
    "unsubscribe after, then at once": alone(b"SUB T.a 1\r\nUNSUB 1 2\r\nUNSUB 1\r\nPUB T.a 1\r\n1\r\n"),
    "unsubscribe with a space behind": alone(b"SUB T.a 1\r\nUNSUB 1 \r\nPUB T.a 1\r\n1\r\n"),
    "unsubscribe what isn't there": alone(b"UNSUB 7\r\n", hello=VERBOSE),
    "unsubscribe without an id": alone(b"UNSUB\r\n"),
    "unsubscribe after words": alone(b"SUB T.a 1\r\nUNSUB 1 x\r\n", b"PUB T.a 1\r\n1\r\n"),
    # Queue groups
    "a queue of one": alone(b"SUB T.a q 1\r\nPUB T.a 1\r\nx\r\nPUB T.a 1\r\ny\r\n"),
    "a queue and another": alone(b"SUB T.a q 1\r\nSUB T.a 2\r\nPUB T.a 1\r\nx\r\n"),
    "two queues": alone(b"SUB T.a q 1\r\nSUB T.a p 2\r\nPUB T.a 1\r\nx\r\n"),
    "a queue with wildcards in its name": alone(b"SUB T.a a.*/b 1\r\nPUB T.a 1\r\nx\r\n"),
    "a queue with a maximum": alone(b"SUB T.a q 1\r\nUNSUB 1 1\r\n", b"PUB T.a 1\r\nx\r\n" * 2),
    # Headers
    "headers": [EAR, ("c", FULL + hpub(b"T.a", A, b"x")), ("c", hpub(b"T.a", B, b"x", b"T.r"))],
    "headers alone": [EAR, ("c", FULL + hpub(b"T.a", A))],
    "headers to a client that takes none": [("ear", QUIET + b"SUB T.> 1\r\n"), ("c", FULL + hpub(b"T.a", A, b"x"))],
    "headers of a client that takes none": [EAR, ("c", QUIET + hpub(b"T.a", A, b"x"))],
    "a status": [EAR, ("c", FULL + hpub(b"T.a", b"NATS/1.0 404 No Messages\r\n\r\n"))],
    "headers that are none": [EAR, ("c", FULL + hpub(b"T.a", b"x", b"x"))],
    "headers longer than all": [("c", FULL + b"HPUB T.a 5 3\r\nabc\r\n")],
    # Requests
    "no responders": alone(b"SUB T.r 1\r\nPUB T.a T.r 1\r\nx\r\n", hello=FULL),
    "no responders, an inbox": alone(b"SUB T.r.* 1\r\nPUB T.a T.r.7 1\r\nx\r\n", hello=FULL),
    "no responders, all": alone(b"SUB T.r.> 1\r\nPUB T.a T.r.x.7 1\r\nx\r\n", hello=FULL),
    "no responders, with headers": alone(b"SUB T.r 1\r\n" + hpub(b"T.a", A, b"x", b"T.r"), hello=FULL),
    "no responders and no inbox": alone(b"PUB T.a T.r 1\r\nx\r\n", hello=FULL),
    "no responders, not wished": alone(b"SUB T.r 1\r\nPUB T.a T.r 1\r\nx\r\n"),
    "no responders, no headers": alone(b"", hello=b'CONNECT {"verbose":false,"no_responders":true}\r\n'),
    "a reply": [
        ("service", FULL + b"SUB T.a 1\r\n"), ("c", FULL + b"SUB T.r 2\r\nUNSUB 2 1\r\nPUB T.a T.r 1\r\n?\r\n"),
        ("service", b"PUB T.r 1\r\n!\r\n"), ("service", b"PUB T.r 1\r\n!\r\n"),
    ],
    # verbose, pedantic
    "verbose": alone(b"SUB T.a 1\r\n", b"PUB T.b 1\r\nx\r\n", b"UNSUB 1\r\n", hello=VERBOSE),
    "verbose, no responders": alone(b"SUB T.r 1\r\n", b"PUB T.a T.r 1\r\nx\r\n", hello=VERBOSE),
    "verbose, to oneself": alone(b"SUB T.a 1\r\n", b"PUB T.a 1\r\nx\r\n", hello=VERBOSE),
    "connect twice": alone(b"SUB T.a 1\r\n", VERBOSE, b"PUB T.a 1\r\nx\r\n"),
    # What ends the connection
    "an unknown operation": alone(b"HELLO\r\n"),
    "an empty line": alone(b"\r\n"),
    "an HTTP request": [("c", b"GET / HTTP/1.1\r\n\r\n")],
    "CONNECT that is no JSON": [("c", b"CONNECT {x}\r\n")],
    "CONNECT with another type": [("c", b'CONNECT {"verbose":"no"}\r\n')],
    "CONNECT alone": [("c", b"CONNECT\r\n")],
    "too long": alone(b"PUB T.a 1048577\r\n"),
    "too long with headers": alone(b"HPUB T.a 20 1048577\r\n", hello=FULL),
    "a size that is none": alone(b"PUB T.a x\r\n"),
    "a size below zero": alone(b"PUB T.a -1\r\n"),
    "no size": alone(b"PUB T.a\r\n"),
    "PUB with too many words": alone(b"PUB T.a T.r x 1\r\nx\r\n"),
    "a payload that goes on": alone(b"PUB T.a 1\r\nxy\r\n"),
    "SUB alone": alone(b"SUB\r\n"),
    "SUB without an id": alone(b"SUB T.a\r\n"),
    "SUB with too many words": alone(b"SUB T.a q 1 2\r\n"),
    "HPUB with one size": alone(b"HPUB T.a 1\r\nx\r\n", hello=FULL),
    "a line of 5,000 bytes": alone(b"SUB T." + b"a" * 5_000 + b" 1\r\n"),
    "INFO of a client": alone(b"INFO {}\r\n"),
    "MSG of a client": alone(b"MSG T.a 1 1\r\nx\r\n"),
    "OK and ERR of a client": alone(b"+OK\r\n", b"-ERR 'x'\r\n"),
    # JetStream
    "JetStream": alone(b"SUB T.r 1\r\nPUB $JS.API.INFO T.r 0\r\n\r\n", hello=FULL),
}  # fmt: skip
