"""What JetStream refuses, in words for the operator."""

from __future__ import annotations

from hubbub.errors import HubbubError

# Error codes of the server, https://github.com/nats-io/nats-server/blob/main/server/errors.json
STREAM_NOT_FOUND = 10059
STREAM_NAME_IN_USE = 10058  # with another configuration
NO_MESSAGE_FOUND = 10037
CONSUMER_EXISTS = 10148  # with another configuration
_WRONG_LAST_SEQUENCE = frozenset((10071, 10164))  # the second one: another such write is still in flight
_ASK_AGAIN = frozenset((10008, 10023, 10158))  # no leader, no resources for now, a duplicate that is still in process

_ADVICE = {
    10005: "there are fewer servers with JetStream than replicas=: start more of them, or choose fewer replicas",
    10039: "the account has no JetStream: enable it in the configuration of nats-server",
    10047: "JetStream has less room than stream-bytes=: raise max_file of nats-server, or lower stream-bytes=",
    10065: "another stream has these subjects: give this cluster a NATS account of its own",
    10074: "this nats-server is alone: start a cluster of them, or choose replicas=1",
    10076: "nats-server runs without JetStream: start it with -js",
}


class JetStreamError(HubbubError):
    """JetStream refuses something.

    code  its `err_code`, or 0
    """

    def __init__(self, reason: str, code: int = 0) -> None:
        super().__init__(reason)
        self.code = code


class Unavailable(JetStreamError):
    """JetStream doesn't answer now: it has no leader, or NATS is gone. The same request may succeed later."""


class Conflict(JetStreamError):
    """Another one has written since the revision that was expected."""


def error_of(status: int, code: int, description: str) -> JetStreamError:
    """Return the error that an answer names; `status` as in HTTP."""
    advice = _ADVICE.get(code)
    text = f"JetStream refuses: {description}" + (f"; {advice}" if advice else "")
    if code in _WRONG_LAST_SEQUENCE:
        return Conflict(text, code)
    if code in _ASK_AGAIN or (status == 503 and advice is None):
        return Unavailable(text, code)
    return JetStreamError(text, code)
