"""`hardened.py UNIT FOLDER COMMAND...` runs COMMAND as systemd would under UNIT, as far as a process can by itself.

Applied are NoNewPrivileges, CapabilityBoundingSet, MemoryDenyWriteExecute, SystemCallFilter with its error number,
RestrictAddressFamilies, UMask, ProtectSystem=strict with FOLDER as what stays writable, and, for root, ProcSubset; who
isn't root gets that in a user namespace. Not applied: what hides folders that a test's Python may be in, and devices.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP, PR_SET_MDWE = 38, 24, 65  # <linux/prctl.h>
SCMP_ACT_ALLOW, SCMP_CMP_EQ = 0x7FFF0000, 4  # <seccomp.h>


class Compare(ctypes.Structure):
    """struct scmp_arg_cmp of seccomp_rule_add(3)."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def settings(unit: Path) -> dict[str, list[str]]:
    """The settings of a unit; those of one name add up, and an empty one is [""]."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def system_calls(filters: list[str]) -> set[str]:
    """Expand the sets of SystemCallFilter=, of which those that begin with ~ are taken away, and add @default."""
    allowed = members("@default")
    for line in filters:
        found = set[str]().union(*map(members, line.removeprefix("~").split()))
        allowed = allowed - found if line.startswith("~") else allowed | found
    return allowed | members("@default")


def members(name: str) -> set[str]:
    if not name.startswith("@"):
        return {name}
    reported = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
    ).stdout
    words = [line.strip() for line in reported.splitlines()[1:] if line.startswith("    ") and "#" not in line]
    return set[str]().union(*(members(word) for word in words))


def filter_calls(allowed: set[str], families: list[int], error: int) -> None:
    """Let system calls that aren't `allowed` fail with `error`, and sockets of other families with EAFNOSUPPORT."""
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(0x00050000 | error))
    for name in allowed - {"socket"}:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            assert seccomp.seccomp_rule_add_array(context, SCMP_ACT_ALLOW, number, 0, None) == 0, name
    number = seccomp.seccomp_syscall_resolve_name(b"socket")
    for family in range(64):
        action = SCMP_ACT_ALLOW if family in families else 0x00050000 | errno.EAFNOSUPPORT
        rule = (Compare * 1)(Compare(0, SCMP_CMP_EQ, family, 0))
        if action != 0x00050000 | error:
            assert seccomp.seccomp_rule_add_array(context, action, number, 1, rule) == 0, family
    assert seccomp.seccomp_load(context) == 0


def control(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option} {value}")


def main(unit: Path, folder: str, command: list[str]) -> None:
    found = settings(unit)
    if "HARDENED" not in os.environ:  # a mount namespace first, in which all but `folder` is read-only
        script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro / && shift && exec "$@"'
        own = ["unshare", "--mount"]
        if os.geteuid() == 0:
            script = f"mount -t proc -o subset={found['ProcSubset'][0]} proc /proc && {script}"
        else:
            own += ["--user", "--map-root-user"]
        again = [sys.executable, __file__, str(unit), folder, *command]
        os.execvpe("unshare", [*own, "sh", "-c", script, "sh", folder, *again], {**os.environ, "HARDENED": "1"})
    assert found["ProtectSystem"] == ["strict"]
    assert found["CapabilityBoundingSet"] == [""]
    allowed = system_calls(found["SystemCallFilter"])
    families = [getattr(socket, name) for name in found["RestrictAddressFamilies"][0].split()]
    os.umask(int(found["UMask"][0], 8))
    with contextlib.suppress(OSError):  # behind the last one that the kernel has
        for capability in range(64):
            control(PR_CAPBSET_DROP, capability)
    assert found["NoNewPrivileges"] == found["MemoryDenyWriteExecute"] == ["yes"]
    control(PR_SET_NO_NEW_PRIVS, 1)
    control(PR_SET_MDWE, 1)
    filter_calls(allowed, families, getattr(errno, found["SystemCallErrorNumber"][0]))
    os.chdir(folder)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
