"""The identity of a client, as its login has established it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Identity:
    """One user, as the login knows it.

    user     the name
    groups   names of groups that the login vouches for, such as a claim of a token
    grants   None: the login says nothing of rights; else the filters under "publish" and "subscribe", and no others
    expires  Unix seconds when this ends, or None
    holds    tells whether the same login would be let in now, or None: it can't be known; asked at a reload
    mark     what its checker recognises the login by after a restart, which gives away no secret; "": nothing
    """

    user: str
    groups: frozenset[str] = frozenset()
    grants: Mapping[str, tuple[str, ...]] | None = None
    expires: float | None = None
    holds: Callable[[], bool] | None = field(default=None, compare=False, repr=False)
    mark: str = field(default="", compare=False, repr=False)
