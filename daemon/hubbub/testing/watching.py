"""What code does and holds, seen from outside: the clocks, files and sockets that it uses, the bytes that it keeps."""

from __future__ import annotations

import gc
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from io import BytesIO, StringIO
from pathlib import Path
from traceback import extract_tb
from types import BuiltinFunctionType, FrameType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any

_CLOCKS = frozenset({"time", "monotonic", "perf_counter", "process_time", "thread_time", "clock_gettime"})
_OUTSIDE = frozenset({"posix", "_socket", "_ssl", "select", "_posixsubprocess"})
_NO_DATA = (type, ModuleType, FunctionType, BuiltinFunctionType)
_CONTAINERS = (list, tuple, set, frozenset, deque)


def impure(function: Any) -> str | None:
    """Tell what of the world a C function uses: a clock, chance, files and sockets. None: nothing."""
    name, module = function.__name__, getattr(function, "__module__", None)
    owner = getattr(function, "__self__", None)
    if module == "time" and name.removesuffix("_ns") in _CLOCKS:
        return f"time.{name}"
    if isinstance(owner, type) and issubclass(owner, date) and name in ("now", "utcnow", "today"):
        return f"{owner.__name__}.{name}"
    if isinstance(owner, random.Random):
        return f"random.{name}"
    if (module in _OUTSIDE and name != "fspath") or (module, name) in (("_io", "open"), ("builtins", "print")):
        return f"{'os' if module == 'posix' else module}.{name}".removeprefix("builtins.").removeprefix("_io.")
    kind = type(owner)
    if kind.__module__ in ("_socket", "_io") and not isinstance(owner, BytesIO | StringIO):
        return f"{kind.__name__}.{name}"
    return blocking(function)


def blocking(function: Any) -> str | None:
    """Tell whether a C function only waits."""
    return "time.sleep" if getattr(function, "__module__", None) == "time" and function.__name__ == "sleep" else None


@contextmanager
def watching(judge: Callable[[Any], str | None]) -> Iterator[list[str]]:
    """Give a list that gets a line for each call of a C function of which `judge` tells something."""
    found: list[str] = []

    def look(frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and (what := judge(function)):
            found.append(f"{what} ({Path(frame.f_code.co_filename).name}, line {frame.f_lineno})")

    before, collects = sys.getprofile(), gc.isenabled()
    gc.disable()  # a callback of the collector reads clocks too
    sys.setprofile(look)
    try:
        yield found
    finally:
        sys.setprofile(before)
        if collects:
            gc.enable()


def describe(error: BaseException) -> str:
    """Say in one line what was raised, and where."""
    frames = extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{where}"


def weight(*roots: Any) -> int:
    """Bytes of all that is reached from `roots`, by attributes, items, and the locals of generators."""
    seen: set[int] = set()
    waiting, total = list(roots), 0
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, _NO_DATA):
            continue
        seen.add(id(value))
        total += sys.getsizeof(value)
        waiting += _parts(value)
    return total


def _parts(value: Any) -> list[Any]:
    if isinstance(value, str | bytes | bytearray | int | float):
        return []
    parts: list[Any] = []
    if isinstance(value, Mapping):
        parts += [*value.keys(), *value.values()]
    elif isinstance(value, _CONTAINERS):
        parts += value
    elif isinstance(value, GeneratorType):
        parts += value.gi_frame.f_locals.values() if value.gi_frame is not None else ()
    elif isinstance(value, MethodType):
        parts.append(value.__self__)
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        parts += [getattr(value, name, None) for name in ((slots,) if isinstance(slots, str) else slots)]
    return [*parts, *getattr(value, "__dict__", {}).values()]
