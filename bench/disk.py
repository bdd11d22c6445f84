"""What a disk takes at the least: a broker of MQTT that keeps one page alone, written and synced for each PUBLISH.

    disk.py port=N folder=DIR

It speaks as much of MQTT 5 as away.py needs, and writes each PUBACK when fdatasync has returned.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path

PAGE = os.urandom(4_096)
ANSWERS = {0x10: b"\x20\3\0\0\0", 0x82: b"\x90\4\0\1\0\1"}  # CONNACK, and SUBACK for the one subscription of a client


def serve(link: socket.socket, file: int) -> None:
    """Answer each packet of a client."""
    stream = link.makefile("rb")
    while first := stream.read(1):
        size = shift = 0
        while True:
            digit = stream.read(1)[0]
            size |= (digit & 0x7F) << shift
            shift += 7
            if digit < 0x80:
                break
        body = stream.read(size)
        if first[0] == 0x32:
            os.pwrite(file, PAGE, 0)
            os.fdatasync(file)
            at = 2 + int.from_bytes(body[:2], "big")
            link.sendall(b"\x40\2" + body[at : at + 2])
        elif answer := ANSWERS.get(first[0]):
            link.sendall(answer)
    link.close()


def main() -> None:
    """Do what the arguments say."""
    given = dict(one.split("=", 1) for one in sys.argv[1:])
    file = os.open(Path(given["folder"]) / "page", os.O_RDWR | os.O_CREAT, 0o600)
    with socket.create_server(("127.0.0.1", int(given["port"]))) as port:
        while True:
            link, _ = port.accept()
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(link, file), daemon=True).start()


if __name__ == "__main__":
    main()
