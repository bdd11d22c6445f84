"""Streams that tests make, and connections that lose what passes them."""

from __future__ import annotations

import re

from hubbub.nats_protocol.headers import encode_headers
from hubbub.service.cluster.jetstream import MESSAGE_ID, JetStream, PubAck, StreamConfig, decode
from hubbub.service.cluster.wire import NO_HEADERS


class Api(JetStream):
    """What tests do with streams beside."""

    async def publish(self, subject, payload, headers=NO_HEADERS):
        return decode(await self.connection.request(subject, payload, headers), PubAck)

    async def delete_stream(self, name):
        await self.call(f"STREAM.DELETE.{name}", None, object)


async def stream(api, name, **how):
    return await api.ensure_stream(StreamConfig(name=name, subjects=(f"{name}.>",), **how))


def block(id, *more):
    return encode_headers([(MESSAGE_ID, id), *more])


def cut(connection):
    connection._joined.cut("a test")


class Over:
    """A connection over another one."""

    def __init__(self, connection):
        self._connection = connection

    def __getattr__(self, name):
        return getattr(self._connection, name)


class Losing(Over):
    """It loses the first message of a stream."""

    _left = 1

    def listen(self, subject, take):
        def some(subject, reply, *rest):
            if self._left and reply.startswith(b"$JS.ACK."):
                self._left -= 1
            else:
                take(subject, reply, *rest)

        return self._connection.listen(subject, some)


class Dropping(Over):
    """It loses one message that is published, by its index."""

    def __init__(self, connection, lost):
        super().__init__(connection)
        self._left = lost

    def write(self, data):
        for operation in re.findall(rb"HPUB .*?\r\n\r\n.*?\r\n", data, re.DOTALL):
            if self._left != 0:
                self._connection.write(operation)
            self._left -= 1
