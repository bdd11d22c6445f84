#!/usr/bin/env bash
# 1. PyPI mypy 2.4.1, whose mypyc compiles typed Python to C, and CPython.
# 2. A slice is empty where it ends before it begins, for bytes as for str and list. So it should be in a compiled module.
# 3. For bytes the compiled slice raises SystemError, "Negative size passed to PyBytes_FromStringAndSize", if both ends lie within
#    the value. For str and list, and beyond the end of bytes, it is empty as in CPython.
# 4. A reader of a protocol looks at the end of what has come by `data[end - 2 : end]`. With nothing whole there, `end` is 0: the
#    pure build waits for more, and the compiled build fails on a client that has sent the half of a message.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install mypy==2.4.1 setuptools==80.9.0

cd "$work"
cat > cutting.py <<'EOF'
def cut_bytes(data: bytes, start: int, end: int) -> bytes:
    return data[start:end]


def cut_text(data: str, start: int, end: int) -> str:
    return data[start:end]


def cut_list(data: list[int], start: int, end: int) -> list[int]:
    return data[start:end]
EOF
cp cutting.py plain.py
"$(dirname "$python")/mypyc" cutting.py > log 2>&1 || { cat log; exit 1; }
rm cutting.py

"$python" - <<'EOF'
import cutting
import plain

assert not cutting.__file__.endswith(".py")


def told(function, *arguments):
    try:
        return function(*arguments)
    except SystemError:
        return "SystemError"


ENDS = [(-2, 0), (3, 1), (9, 12), (2, 99)]
for name, data, differs in (("cut_bytes", b"abcde", 2), ("cut_text", "abcde", 0), ("cut_list", [1, 2, 3, 4, 5], 0)):
    found = [told(getattr(cutting, name), data, *ends) for ends in ENDS]
    pure = [getattr(plain, name)(data, *ends) for ends in ENDS]
    print(name, "compiled:", found, "CPython:", pure)
    assert found == ["SystemError"] * differs + pure[differs:], (name, found)
EOF
