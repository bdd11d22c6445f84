"""What an operator gave, as an option string or as a TOML table: its parts, and how messages name it."""

from __future__ import annotations

from collections.abc import Callable

from hubbub.errors import ConfigError
from hubbub.option import shown
from hubbub.service.config.endpoint import Part, split
from hubbub.service.config.remote import masked

Split = Callable[[str], list[Part]]


def parts_of(raw: object, first: str, source: str, split: Split = split) -> tuple[str, list[Part]]:
    """Return the spec for messages and the parts of an option string or table. Raises ConfigError.

    first   the key of a table that has what the option string begins with
    source  where it stands, for messages
    """
    table: dict[str, object] = dict(raw) if isinstance(raw, dict) else {first: raw}
    head = table.pop(first, None)
    if not isinstance(head, str):
        raise ConfigError(f'{source}: expected text or a table with {first} = "..."')
    spec = f"{source} {shown(masked(head))}"
    try:
        parts = split(head) + list(table.items())
    except ConfigError as error:
        raise ConfigError(f"{spec}: {error}") from None
    seen = set()
    for name in (key.replace("_", "-") for key, _ in parts if key is not None):
        if name in seen:
            raise ConfigError(f"{spec}: {shown(name)}= is given twice")
        seen.add(name)
    return spec, parts
