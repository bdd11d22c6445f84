#!/usr/bin/env bash
# 1. PyPI syslog-rfc5424-parser 0.3.2.
# 2. RFC 5424 lets a parameter of structured data repeat: its own `origin` element lists a host's addresses as
#    `ip="..." ip="..."` (section 7.2.2). Escaped `"`, `\` and `]` stand for themselves.
# 3. The parser returns a dict: the last address wins and the others are gone, with no way to see that there were
#    more. The backslashes of escapes stay in the value.
# 4. A multihomed host is found by its last address only. A daemon that turns structured data into properties needs
#    lists, or pairs, and has to undo the three escapes itself behind this parser.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install syslog-rfc5424-parser==0.3.2

"$python" - <<'EOF'
from syslog_rfc5424_parser import SyslogMessage

LINE = r'<14>1 2026-10-11T22:14:15Z host app 1 - [origin ip="192.0.2.1" ip="192.0.2.129"][a@32473 text="say \"hi\""] m'
data = SyslogMessage.parse(LINE).sd
print(data)
assert data == {"origin": {"ip": "192.0.2.129"}, "a@32473": {"text": r"say \"hi\""}}
EOF
