#!/usr/bin/env bash
# 1. PyPI twisted 26.10.0.
# 2. listenUNIX with wantPID=True, as the endpoint unix: has it, takes the place of a server that was killed: its lock
#    names a process that is gone.
# 3. In a container a server is process 1 each time. The lock of the one that was killed names process 1, which is alive:
#    the new server itself. It never starts again, until the file is removed by hand.
# 4. A daemon that shares a folder with other containers by a Unix socket is down after the first SIGKILL or power loss.
#    It has to remove a lock that names itself, and the socket with it, if nothing listens there.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install twisted==26.10.0

cat > "$work/serve.py" <<'PYTHON'
import os
import signal
import sys

from twisted.internet import reactor
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory

try:
    reactor.listenUNIX(sys.argv[1], Factory(), wantPID=True)
except CannotListenError as error:
    print("process", os.getpid(), "can't listen:", error.socketError)
else:
    print("process", os.getpid(), "listens", flush=True)
    os.kill(os.getpid(), signal.SIGKILL) if sys.argv[2:] else None
PYTHON

# The lock of a predecessor with the same process id: its name is written there by hand, as a namespace takes root.
cat > "$work/again.py" <<'PYTHON'
import os
import runpy
import socket
import sys

with socket.socket(socket.AF_UNIX) as left:
    left.bind(sys.argv[1])
os.symlink(str(os.getpid()), sys.argv[1] + ".lock")
sys.argv[0] = sys.argv[2]
del sys.argv[2]
runpy.run_path(sys.argv[0], run_name="__main__")
PYTHON

"$python" "$work/serve.py" "$work/other.sock" die || true
other=$("$python" "$work/serve.py" "$work/other.sock")
same=$("$python" "$work/again.py" "$work/same.sock" "$work/serve.py")
echo "after a SIGKILL, with another process id: $other"
echo "after a SIGKILL, with the same process id: $same"
[[ $other == *listens && $same == *"can't listen"* ]]
