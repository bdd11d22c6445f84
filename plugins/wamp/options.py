"""Options and details of WAMP messages, with the types that they must have."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar, cast

import msgspec

from hubbub.events import Subscribe
from hubbub_plugins.wamp.codec import Malformed, is_undefined
from hubbub_plugins.wamp.fields import MAX_ID
from hubbub_plugins.wamp.uris import MATCHES

T = TypeVar("T", bound=msgspec.Struct)
Id = Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)]  # larger ones may be made to collide in a set


class Encrypted(msgspec.Struct, gc=False, frozen=True):
    """Payloads in passthru mode, which hubbub doesn't carry."""

    enc_algo: Literal["cryptobox", "mqtt", "xbr"] | None = None
    enc_key: str | None = None
    enc_serializer: str | None = None
    ppt_scheme: str | None = None


class PublishOptions(Encrypted, gc=False, frozen=True):
    """PUBLISH.Options."""

    acknowledge: bool | None = None
    exclude_me: bool | None = None
    exclude: frozenset[Id] | None = None
    exclude_authid: frozenset[str] | None = None
    exclude_authrole: frozenset[str] | None = None
    eligible: frozenset[Id] | None = None
    eligible_authid: frozenset[str] | None = None
    eligible_authrole: frozenset[str] | None = None
    disclose_me: bool | None = None
    retain: bool | None = None
    transaction_hash: str | None = None
    forward_for: list[dict[str, Any]] | None = None

    @property
    def private(self) -> bool:
        """Return whether the message is for some sessions alone."""
        lists = (self.exclude, self.exclude_authid, self.exclude_authrole)
        more = (self.eligible, self.eligible_authid, self.eligible_authrole)
        return any(one is not None for one in (*lists, *more))


class SubscribeOptions(msgspec.Struct, gc=False, frozen=True):
    """SUBSCRIBE.Options."""

    match: str | None = None
    get_retained: bool | None = None
    forward_for: list[dict[str, Any]] | None = None


class CallOptions(Encrypted, gc=False, frozen=True):
    """CALL.Options."""

    timeout: int | None = None
    receive_progress: bool | None = None
    disclose_me: bool | None = None
    forward_for: list[dict[str, Any]] | None = None


class RegisterOptions(msgspec.Struct, gc=False, frozen=True):
    """REGISTER.Options."""

    match: str | None = None
    invoke: str | None = None
    concurrency: int | None = None
    force_reregister: bool | None = None


class YieldOptions(Encrypted, gc=False, frozen=True):
    """YIELD.Options."""

    progress: bool | None = None


class CancelOptions(msgspec.Struct, gc=False, frozen=True):
    """CANCEL.Options."""

    mode: Literal["skip", "kill", "killnowait"] | None = None


class _Role(msgspec.Struct, gc=False, frozen=True):
    features: dict[str, Any] | None = None


class HelloDetails(msgspec.Struct, gc=False, frozen=True):
    """HELLO.Details."""

    roles: dict[str, _Role]
    authid: str | None = None
    authmethods: list[str] | None = None
    authextra: dict[str, Any] | None = None
    agent: str | None = None

    def announces(self, role: str, feature: str) -> bool:
        """Return whether the client has announced a feature of one of its roles."""
        found = self.roles.get(role)
        return found is not None and (found.features or {}).get(feature) is True


_KINDS = (PublishOptions, SubscribeOptions, CallOptions, RegisterOptions, YieldOptions, CancelOptions)
_PLAIN: dict[type, msgspec.Struct] = {kind: kind() for kind in _KINDS}  # frozen: messages without options share them


def read(kind: type[T], raw: Any) -> T:
    """Read options or details; what is undefined there is none. Raises Malformed."""
    if type(raw) is dict and not raw and kind in _PLAIN:
        return cast(T, _PLAIN[kind])
    if raw is None or is_undefined(raw):
        raw = {}
    if type(raw) is dict:
        raw = {name: value for name, value in raw.items() if not is_undefined(value)}
    try:
        return msgspec.convert(raw, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Malformed(f"options: {error}") from None


def match_of(raw: str | None) -> str:
    """Return how a subscription matches. Raises Malformed."""
    if raw is not None and raw not in MATCHES:
        raise Malformed(f"match is one of {', '.join(MATCHES)}")
    return raw or MATCHES[0]


def policy_of(raw: str | None) -> str:
    """Return the policy of a registration. Raises Malformed."""
    if raw is not None and raw not in Subscribe.POLICIES:
        raise Malformed(f"invoke is one of {', '.join(Subscribe.POLICIES)}")
    return raw or Subscribe.POLICIES[0]
