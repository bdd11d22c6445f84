"""What can go wrong, as one tree.

    HubbubError
    ├── ConfigError          an operator's mistake: one line on stderr, exit status 1
    └── Refusal              a client's mistake or a limit: an answer to that client, with a code
        ├── BadMethod
        ├── BadTopic
        ├── BadFilter
        ├── KeyReused
        └── NotKept

Its text says what was wrong, where, and what to do.
"""

from __future__ import annotations

CODES = frozenset(
    "bad-command bad-topic bad-filter bad-payload bad-utf8 too-long not-authorized rate-limited quota "
    "timeout no-responders unavailable internal".split()
)


class HubbubError(Exception):
    """The root of everything that hubbub raises on purpose."""


class ConfigError(HubbubError):
    """An option, a file or a plugin that can't be used; its text is one line for the operator."""


class Refusal(HubbubError):
    """A no to a client: `code` is one of CODES, `reason` a sentence for a person.

    It is raised inside the hub and given to `Dialect.outcome`, which says it in the client's own words.
    """

    limit = ""  # the name of the limit that was reached, where an operator can set it

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"


class BadMethod(Refusal):
    """An authentication method that no checker supports (MQTT 5.0 section 4.12)."""

    def __init__(self) -> None:
        super().__init__("not-authorized", "this hub has no logins of that method")


class BadTopic(Refusal):
    """A topic name that breaks MQTT 5.0 section 4.7."""

    def __init__(self, reason: str) -> None:
        super().__init__("bad-topic", reason)


class BadFilter(Refusal):
    """A topic filter that breaks MQTT 5.0 section 4.7.1."""

    def __init__(self, reason: str) -> None:
        super().__init__("bad-filter", reason)


class KeyReused(Refusal):
    """Another message of the same publisher had this idempotency key."""

    def __init__(self) -> None:
        super().__init__("bad-command", "another message of yours had this idempotency key; a key is for one message")


class NotKept(Refusal):
    """A message that must be kept, and can't be for now: a disk fails or is full, or too much waits for it."""

    def __init__(self, reason: str) -> None:
        super().__init__("unavailable", reason)
