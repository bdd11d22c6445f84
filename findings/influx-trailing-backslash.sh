#!/usr/bin/env bash
# 1. PyPI influxdb-client 1.50.0, influxdb 5.3.2 and line-protocol-parser 2.0.1.
# 2. A tag value may hold a backslash: a Windows path, `C:\`. Two clients of one database should write it so that a
#    parser of line protocol reads it back.
# 3. The format has no escape for it, and at the end of a value it would escape the blank behind. influxdb-client adds
#    a blank to the value, and the parser reads `C: ` without the backslash; influxdb doubles the backslash, and the
#    parser refuses the line.
# 4. One disk has two names, or none, depending on the client. A daemon that maps tags to topics shouldn't take a tag
#    as an identity before it knows what writes it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install influxdb-client==1.50.0 influxdb==5.3.2 line-protocol-parser==2.0.1

"$python" - <<'EOF'
from influxdb.line_protocol import make_lines
from influxdb_client import Point
from line_protocol_parser import LineFormatError, parse_line

DISK = "C:\\"
by_client_2 = Point("disk").tag("mount", DISK).field("free", 1).to_line_protocol()
by_client_1 = make_lines({"points": [{"measurement": "disk", "tags": {"mount": DISK}, "fields": {"free": 1}}]}).rstrip("\n")
print("influxdb-client", repr(by_client_2), "influxdb", repr(by_client_1))
assert parse_line(by_client_2)["tags"] == {"mount": "C: "}
try:
    parse_line(by_client_1)
except LineFormatError as error:
    print(error)
else:
    raise AssertionError("the line of influxdb was accepted")
EOF
