"""Syslog daemons that take what programs log and forward it: rsyslog, syslog-ng and busybox."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interop.senders.unpacked import environment, unpacked
from waiting import wait_until

SECONDS = 20.0


def log(to: Path, *options: str, logger: str) -> None:
    """Let `logger` write to the socket of a daemon, as programs do by syslog(3)."""
    subprocess.run([logger, "-u", str(to), *options], check=True, timeout=SECONDS)


@contextmanager
def daemon(command: list[object], socket: Path) -> Iterator[Path]:
    """Run one in the folder of its socket, which is there then."""
    process = subprocess.Popen([str(word) for word in command], cwd=socket.parent, env=environment())
    try:
        wait_until(socket.exists, SECONDS, process)
        yield socket
    finally:
        process.terminate()
        process.wait(SECONDS)


@contextmanager
def rsyslog(folder: Path, *actions: str) -> Iterator[Path]:
    """Each of `actions` gets each message. Yields the socket to log to."""
    program, modules = unpacked("rsyslogd"), unpacked("imuxsock.so").parent
    forwarded = "\n".join(f'*.* action(type="omfwd" target="127.0.0.1" {action})' for action in actions)
    (folder / "rsyslog.conf").write_text(f"""
        global(workDirectory="{folder}")
        module(load="imuxsock" SysSock.Use="off")
        input(type="imuxsock" Socket="{folder}/log")
        {forwarded}
    """)
    files = ["-f", folder / "rsyslog.conf", "-i", folder / "pid", "-M", modules]
    with daemon([program, "-n", *files], folder / "log") as socket:
        yield socket


@contextmanager
def syslog_ng(folder: Path, *destinations: str) -> Iterator[Path]:
    """Each of `destinations` gets each message. Yields the socket to log to."""
    program, modules = unpacked("sbin/syslog-ng"), unpacked("libafsocket.so").parent
    named = "\n".join(f"destination d{at} {{ {what}; }};" for at, what in enumerate(destinations))
    ways = " ".join(f"destination(d{at});" for at in range(len(destinations)))
    (folder / "syslog-ng.conf").write_text(f"""@version: 3.38
        source programs {{ unix-dgram("{folder}/log"); }};
        {named}
        log {{ source(programs); {ways} }};
    """)
    files = ["-f", folder / "syslog-ng.conf", "-R", folder / "persist", "-p", folder / "pid", "-c", folder / "control"]
    with daemon([program, "-F", *files, f"--module-path={modules}"], folder / "log") as socket:
        yield socket


@contextmanager
def busybox(folder: Path, host: str, port: int) -> Iterator[Path]:
    """Yields the program, whose applet `logger`, run in `folder`, logs to its syslogd.

    Both know one socket, /dev/log, which is the machine's. In a copy it is ./devlog, which is as long.
    """
    copy, code = folder / "busybox", unpacked("bin/busybox").read_bytes()
    copy.write_bytes(code.replace(b"/dev/log\0", b"./devlog\0").replace(b"/dev/logH", b"./devlogH"))
    copy.chmod(0o755)
    with daemon([copy, "syslogd", "-n", "-R", f"{host}:{port}"], folder / "devlog"):
        yield copy
