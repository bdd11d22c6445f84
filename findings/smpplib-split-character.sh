#!/usr/bin/env bash
# 1. PyPI smpplib 2.2.4.
# 2. In the GSM alphabet `€`, brackets and braces are two septets, an escape and a letter. A library that cuts a long
#    message into parts cuts between characters.
# 3. smpplib cuts at 153 septets wherever that is: with 100 `€`, part one ends with the escape (0x1b) and part two
#    begins with `e`.
# 4. A gateway that decodes each part and then joins them publishes a message with a stray escape and an `e` instead
#    of `€`. A daemon behind an SMS gateway joins the bytes of all parts first.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install smpplib==2.2.4

"$python" - <<'EOF'
from smpplib.gsm import make_parts

parts, coding, _ = make_parts("€" * 100)
first, second = (part[6:] for part in parts)  # behind the header with the number of the part
print("ends", first[-3:], "begins", second[:3])
assert coding == 0
assert (len(first), first[-1:], second[:1]) == (153, b"\x1b", b"e")
assert first + second == b"\x1be" * 100
EOF
