"""Checks how `auto` detects a dialect by its first bytes."""

from __future__ import annotations

from inspect import getattr_static

from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub import limits
from hubbub.dialect import Dialect
from hubbub.testing.cutting import damaged
from hubbub.testing.trial import attempt, broken, shown


def check_claims(dialect: type[Dialect], stream: bytes) -> None:
    """Fail the test where a claim is taken back, or doesn't come in time. `stream` is what its clients send."""
    if getattr_static(dialect, "claims") is getattr_static(Dialect, "claims"):
        return
    head = stream[: limits.DETECT_BYTES]
    if _claim(dialect, head) is not True:
        rule = f"claims({shown(head)}) isn't True, though the samples begin so"
        broken(dialect.name, rule, f"Within {limits.DETECT_BYTES} bytes it must tell its own clients from others")

    @settings(deadline=None, database=None, report_multiple_bugs=False)
    @given(st.one_of(st.binary(max_size=80), st.just(stream[:200]).flatmap(damaged), st.just(stream[:200])))
    def try_them(head: bytes) -> None:
        said = None
        for at in range(min(len(head), 2 * limits.DETECT_BYTES) + 1):
            now = _claim(dialect, head[:at])
            if said is not None and now is not said:
                rule = f"claims says {said} for {shown(head[: at - 1])}, and {now} with one byte more"
                broken(dialect.name, rule, "True and False are final; while it depends on what follows, return None")
            said = now

    try_them()


def _claim(dialect: type[Dialect], head: bytes) -> bool | None:
    what, mend = f"claims({shown(head)})", "A link may have sent nothing yet, or anything: return None, True or False"
    claim = attempt(dialect.name, what, mend, dialect.claims, head)
    if not (claim is None or isinstance(claim, bool)):
        broken(dialect.name, f"{what} is {claim!r}", mend)
    return claim
