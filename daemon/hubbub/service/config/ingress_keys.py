"""The keys of the flow of a link, `hello= answer= presence= silent= rate= over=`: how each is read, and what fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.kernel.ingress.rate_limiter import OVER, Rate
from hubbub.option import choice, octets, rate
from hubbub.template import Template


def hello(raw: object) -> bytes:
    """Read what is sent first on each link."""
    data = octets(raw)
    if len(data) > limits.HELLO_BYTES:
        raise ValueError(f"expected at most {limits.HELLO_BYTES} bytes")
    return data


def allowance(raw: object) -> Rate:
    """Read messages per time, "10/s", "10/min" or 10: that many at once are the burst, one at least."""
    per_second = rate(raw)
    burst = float(raw.partition("/")[0]) if isinstance(raw, str) else per_second
    if burst <= 0:
        raise ValueError("expected more than 0")
    return Rate(per_second, max(1.0, burst))


over: Callable[[object], str] = choice(*OVER)


def settle(own: dict[str, Any], transport: str) -> None:
    """Put `over=` into the rate, and look whether the keys fit together. Raises ConfigError."""
    policy = own.pop("over", None)
    if policy is not None:
        if "rate" not in own:
            raise ConfigError(f"over={policy} is for messages beyond a rate: add rate=10/s or the like")
        if transport == "udp" and policy in ("pause", "close"):  # there is no connection to pause or close
            policy = "drop"
        own["rate"] = own["rate"]._replace(over=policy)
    if "answer" in own and "subscribe" not in own:
        raise ConfigError("answer= is for a device that gets commands: name their filter with subscribe=")
    _check_presence(own, transport)


def _check_presence(own: Mapping[str, Any], transport: str) -> None:
    presence: Template | None = own.get("presence")
    if presence is None:
        if "silent" in own:
            raise ConfigError("silent= needs presence=TOPIC")
        return
    if transport == "udp" and "silent" not in own:
        raise ConfigError("presence= needs silent= over UDP, where silence is the only sign that a client has gone")
    presence.expect(())
