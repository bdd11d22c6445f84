"""plugins/nats against what holds for every dialect."""

from __future__ import annotations

from hubbub.testing import DialectContract
from hubbub_plugins.nats import Nats

BLOCK = b"NATS/1.0\r\nA: 1\r\nContent-Type: text/csv\r\n\r\n"


class TestNats(DialectContract):
    dialect = Nats
    greeting = b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n'
    samples = [
        (b"PUB a.b 4\r\n21.5\r\n", ["Publish a/b '21.5'"]),
        (b"PUB a.b  0\r\n\r\n", ["Publish a/b ''"]),
        (b"PUB a.b c.d 2\r\n\r\n\r\n", ["Publish a/b '\\r\\n' reply_to='c/d' tag=True"]),
        (b"PUB a.* 1\r\nx\r\n", ["Fault bad-topic"]),
        (
            b"HPUB a.b %d %d\r\n%bx\r\n" % (len(BLOCK), len(BLOCK) + 1, BLOCK),
            ["Publish a/b 'x' content_type='text/csv'"],
        ),
        (b"HPUB a.b c 3 4\r\nabcd\r\n", ["Fault bad-payload"]),
        (b"SUB a.* 1\r\n", ["Subscribe a/+ id='1'"]),
        (b"SUB a.> workers 2\r\n", ["Subscribe $share/workers/a/+/# id='2'"]),
        (b"SUB a..b 3\r\n", ["Fault bad-filter"]),
        (b"UNSUB 1\r\n", ["Unsubscribe  id='1'"]),
        (b"UNSUB 2 7\r\n", ["Unsubscribe  after=7 id='2'"]),
        (b"PING\r\n", ["Answer 'PONG\\r\\n'"]),
        (b"PONG\r\n", []),
        (b"pub a 1\nx\r\n", ["Publish a 'x'"]),
        (b"QUIT\r\n", ["Close bad-command: there is no such operation"]),
    ]


class TestConnect(DialectContract):
    dialect = Nats
    samples = [
        (
            b'CONNECT {"user":"ada","pass":"secret","name":"lab"}\r\n',
            ["Connect client='lab' user='ada'"],
        ),
        (b"PUB a 1\r\nx\r\n", ["Publish a 'x' tag=True"]),
        (b'CONNECT {"auth_token":"t","verbose":false}\r\n', ["Connect client=''"]),
        (b"PUB a 1\r\nx\r\n", ["Publish a 'x'"]),
        (b"CONNECT {}}\r\n", ["Close bad-command"]),
    ]
