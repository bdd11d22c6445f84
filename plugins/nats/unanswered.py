"""The reply to a request on a topic without subscribers."""

from __future__ import annotations

import json

from hubbub import Publish
from hubbub.nats_protocol.subjects import subject_of

_JETSTREAM = "$JS/API/"
_NO_JETSTREAM = json.dumps(
    {"error": {"code": 503, "err_code": 10076, "description": "hubbub has no JetStream: ask a nats-server"}}
).encode()


def unanswered(request: Publish, id: str) -> bytes:
    """Encode the reply to subscription `id`: status 503 (No Responders), or for JetStream's API its error."""
    assert request.reply_to is not None
    to = f"{subject_of(request.reply_to)} {id}".encode()
    if request.topic.startswith(_JETSTREAM):
        return b"MSG %b %d\r\n%b\r\n" % (to, len(_NO_JETSTREAM), _NO_JETSTREAM)
    block = f"NATS/1.0 503\r\nNats-Subject: {subject_of(request.topic)}\r\n\r\n".encode()
    return b"HMSG %b %d %d\r\n%b\r\n" % (to, len(block), len(block), block)
