"""Three machines: network namespaces with two links each, or without the right to those, loopback."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

MACHINES = 3


class Loopback:
    """All machines are this one: no link can be cut."""

    can_cut = False

    def prefix(self, machine: int) -> tuple[str, ...]:
        """What stands before a command so that it runs on a machine."""
        return ()

    def inside(self, machine: int) -> str:
        """The address of a machine for the others."""
        return f"127.0.0.{machine + 1}"

    outside = inside


class Namespaces:
    """A machine is a namespace. By one link it reaches the others, and by one its clients reach it."""

    can_cut = True

    def __init__(self, stack: ExitStack) -> None:
        self._holders = []
        for bridge, network in (("in", 77), ("out", 78)):
            _ip(f"link add {bridge} type bridge")
            _ip(f"address add 10.{network}.0.254/24 dev {bridge}")
            _ip(f"link set {bridge} up")
        _ip("link set lo up")
        for machine in range(MACHINES):
            holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
            stack.callback(holder.wait)
            stack.callback(holder.kill)
            self._holders.append(holder)
            own, up = ("nsenter", "--target", str(holder.pid), "--net"), ("ip", "link", "set", "lo", "up")
            while _is_ours(holder.pid) or subprocess.run([*own, *up], check=False).returncode:
                pass
            for bridge, network in (("in", 77), ("out", 78)):
                here, there = f"{bridge}{machine}", f"{bridge}side"
                _ip(f"link add {here} type veth peer name {there} netns {holder.pid}")
                _ip(f"link set {here} master {bridge} up")
                _ip(f"address add 10.{network}.0.{machine + 1}/24 dev {there}", own)
                _ip(f"link set {there} up", own)

    def prefix(self, machine: int) -> tuple[str, ...]:
        """What stands before a command so that it runs on a machine."""
        return "nsenter", "--target", str(self._holders[machine].pid), "--net"

    def inside(self, machine: int) -> str:
        """The address of a machine for the others."""
        return f"10.77.0.{machine + 1}"

    def outside(self, machine: int) -> str:
        """Its address for clients."""
        return f"10.78.0.{machine + 1}"

    def cut(self, machine: int) -> None:
        """Part a machine from the others; its clients still reach it."""
        _ip(f"link set in{machine} down")

    def mend(self, machine: int) -> None:
        """Let it reach the others again."""
        _ip(f"link set in{machine} up")


def _ip(words: str, before: tuple[str, ...] = ()) -> None:
    subprocess.run([*before, "ip", *words.split()], check=True)


def _is_ours(pid: int) -> bool:
    """Tell whether a process is in the namespace of this one still."""
    return Path(f"/proc/{pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink()


@contextmanager
def network(apart: bool) -> Iterator[Loopback | Namespaces]:
    """Make the machines; `apart`: this process is in a namespace of its own, and may change it."""
    with ExitStack() as stack:
        yield Namespaces(stack) if apart else Loopback()
