"""JSON of arguments, read by msgspec. Its structs stay in pure Python, where the modules that use them are compiled."""

from __future__ import annotations

from typing import Any

import msgspec


class _Both(msgspec.Struct):
    args: list[Any] = []
    kwargs: dict[str, Any] = {}


class _Raw(msgspec.Struct):
    args: msgspec.Raw = msgspec.Raw(b"[]")
    kwargs: msgspec.Raw = msgspec.Raw(b"{}")


read_both = msgspec.json.Decoder(_Both).decode
read_raw = msgspec.json.Decoder(_Raw).decode
read_value = msgspec.json.Decoder().decode
check_json = msgspec.json.Decoder(msgspec.Raw).decode
