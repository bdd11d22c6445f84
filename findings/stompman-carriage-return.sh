#!/usr/bin/env bash
# 1. PyPI stompman 3.16.0 and stomp-py 9.0.0.
# 2. STOMP 1.2 has four escapes for header values: `\r`, `\n`, `\c` and `\\`. A 1.2 client should write and read all
#    of them.
# 3. stompman drops the carriage return on both ways: a value with CR goes out without it, and `\r` that comes in is
#    nothing. The other three work. stomp-py reads all four.
# 4. A value that passes through one stompman client is not the value that was published. A daemon that carries the
#    fields of other protocols in headers (CR LF is common in them) must not compare such a header, sign it, or use it
#    as a key.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install stompman==3.16.0 stomp-py==9.0.0

"$python" - <<'EOF'
from stomp.utils import parse_frame
from stompman import FrameParser, MessageFrame, SendFrame
from stompman.serde import dump_frame

VALUE = "a\r\nb:c\\d"
written = dump_frame(SendFrame(headers={"destination": "/a", "content-length": "0", "value": VALUE}, body=b""))
print(written)
assert rb"value:a\nb\cc\\d" in written

RAW = b"MESSAGE\nmessage-id:1\nsubscription:1\ndestination:/a\nvalue:a\\r\\nb\\cc\\\\d\n\n"
[frame] = FrameParser().parse_frames_from_chunk(RAW + b"\0")
assert isinstance(frame, MessageFrame)
print("stompman", repr(frame.headers["value"]), "stomp-py", repr(parse_frame(RAW).headers["value"]))
assert frame.headers["value"] == VALUE.replace("\r", "")
assert parse_frame(RAW).headers["value"] == VALUE
EOF
