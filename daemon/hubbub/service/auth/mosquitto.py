"""The checker `mosquitto:FILE`: a file that mosquitto_passwd has written."""

from __future__ import annotations

from pathlib import Path

from hubbub.errors import ConfigError
from hubbub.service.auth.passwords import PasswordFile


def make(argument: str) -> PasswordFile:
    """Make the checker. Raises ConfigError."""
    if not argument:
        raise ConfigError("expected a file of mosquitto_passwd, such as mosquitto:/etc/mosquitto/passwd")
    return PasswordFile(Path(argument).absolute(), keyed=False)
