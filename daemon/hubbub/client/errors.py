"""What a client library raises."""

from __future__ import annotations

from hubbub.errors import HubbubError


class ClientError(HubbubError):
    """The root of what the client library raises; its text is a sentence for a person."""


class Lost(ClientError):
    """There is no connection, or it ended before the answer came."""


class Closed(ClientError):
    """The program has closed the client."""


class Busy(ClientError):
    """Too many commands wait for their answers: await some of them first."""


class Refused(ClientError):
    """The hub refuses: `code` is one of hubbub.errors.CODES."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason
