"""Who a client has turned out to be: what a login learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """One user, as the login knows it.

    user     the name
    groups   names of groups that the login vouches for, such as a claim of a token
    grants   None: the login says nothing of rights; else the filters under "publish" and "subscribe", and no others
    expires  Unix seconds when this ends, or None
    """

    user: str
    groups: frozenset[str] = frozenset()
    grants: Mapping[str, tuple[str, ...]] | None = None
    expires: float | None = None
