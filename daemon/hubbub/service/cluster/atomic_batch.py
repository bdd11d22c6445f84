"""An atomic batch of messages for a stream, of which JetStream stores all or nothing, with one acknowledgement.

See ADR-50 of nats-architecture-and-design.
"""

from __future__ import annotations

from collections.abc import Sequence

MAX_MESSAGES = 1_000  # messages of one batch: the most that nats-server takes; about 5 ms of the node
HEADER_BYTES = 128
"""Bytes that a batch adds to the headers of each message, at most."""

_TRUSTED = (2, 15, 0)
_MEMBER = b"Nats-Batch-Id: %b\r\nNats-Batch-Sequence: %d\r\n\r\n"
_COMMIT = b"Nats-Batch-Commit: 1\r\n"


def encode_batch(id: bytes, reply: bytes, messages: Sequence[tuple[bytes, bytes, bytes]]) -> bytes:
    """Return the operations that publish a batch. A message is its subject, its payload and its block of headers.

    id  no other batch has it; reply: where the acknowledgement goes
    """
    parts = []
    for index, (subject, payload, block) in enumerate(messages, 1):
        headers = block[:-2] + _MEMBER % (id, index)
        if index == len(messages):
            subject, headers = b"%b %b" % (subject, reply), headers[:-2] + _COMMIT + b"\r\n"
        size = len(headers)
        parts.append(b"HPUB %b %d %d\r\n%b%b\r\n" % (subject, size, size + len(payload), headers, payload))
    return b"".join(parts)


def takes_batches(version: str) -> bool:
    """Return whether a nats-server of that version may be given batches for streams with replicas.

    Earlier ones have bugs there: a deadlock, a panic and a data race when the leader changes.
    """
    numbers = version.partition("-")[0].split(".")
    return all(map(str.isdigit, numbers)) and tuple(map(int, numbers)) >= _TRUSTED
