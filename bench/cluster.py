"""Two nodes and the nats-server between them, as one peer: `python cluster.py FOLDER NATS PORT PORT COMMAND...`.

COMMAND has `{port}` where its TCP port stands, and `{cluster}` where its options for the cluster do. The nodes have a
core each, if there are two. What is published at the first port reaches the subscribers at the second one.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time


def main() -> None:
    """Run until a signal."""
    folder, nats, *ports = sys.argv[1:5]
    command = sys.argv[5:]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        between = probe.getsockname()[1]
    usable = sorted(range(os.cpu_count() or 1))
    os.sched_setaffinity(0, usable)
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: ended.append(number))
    options = ["-a", "127.0.0.1", "-p", str(between), "-js", "-sd", f"{folder}/js"]
    children = [subprocess.Popen([nats, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)]
    for number, port in enumerate(ports):
        spec = f"nats://127.0.0.1:{between}:name=node{number}"
        words = [word.replace("{port}", port).replace("{cluster}", spec) for word in command]
        child = subprocess.Popen(words)
        os.sched_setaffinity(child.pid, {usable[-number]})
        children.append(child)
    while not ended and all(child.poll() is None for child in children):
        time.sleep(0.1)
    for child in children:
        child.terminate()
    for child in children:
        child.wait()


if __name__ == "__main__":
    main()
