"""What stands behind `--auth`, as text: KIND or KIND:ARGUMENT."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hubbub.errors import ConfigError
from hubbub.option import shown
from hubbub.service.config.endpoint import join, split

NONE = "none"  # the kind that ignores logins
_FILES = ("hubbub", "mosquitto")  # whose argument is a path


def read_spec(raw: object, source: str, folder: Path) -> tuple[str, str]:
    """Return where a spec stands and what it says, its paths meant from `folder`. Raises ConfigError."""
    if not isinstance(raw, str) or not raw:
        raise ConfigError(f"{source} {shown(raw)}: expected a kind of login, such as hubbub:/etc/hubbub/passwords")
    kind, _, argument = raw.partition(":")
    if kind in _FILES and argument:
        return source, f"{kind}:{folder / argument}"
    if kind == "jwt" and argument:
        try:
            parts = [(key, str(folder / str(value)) if key == "key" else value) for key, value in split(argument)]
        except ConfigError as error:
            raise ConfigError(f"{source} {kind}: {error}") from None
        return source, f"{kind}:{join(parts)}"
    return source, raw


def ignores(specs: Sequence[tuple[str, str]]) -> bool:
    """Return whether logins are ignored, which no other kind may stand beside. Raises ConfigError."""
    for source, spec in specs:
        if spec.partition(":")[0] == NONE:
            if spec != NONE:
                raise ConfigError(f"{source} {NONE}: it takes no argument")
            if len(specs) > 1:
                raise ConfigError(
                    f"{source} {NONE}: it can't be combined with others, because it ignores all credentials"
                )
            return True
    return False
