#!/usr/bin/env bash
# 1. PyPI pynmeagps 1.1.8.
# 2. NMEA 0183's checksum runs from behind the first character, `$` or `!`, to the `*`. A parser either takes an AIS
#    sentence or says that it knows none.
# 3. pynmeagps counts the `!` in: it reports a right checksum as wrong, and the one that it asks for differs by 0x21,
#    the code of `!`.
# 4. AIS and GPS share one stream on every boat. Its log then says that the line is noisy when nothing is lost, so a
#    daemon that hands a mixed stream on should split `!` from `$` before this parser.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install pynmeagps==1.1.8

"$python" - <<'EOF'
from pynmeagps import NMEAParseError, NMEAReader

BODY = "AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0"
checksum = 0
for character in BODY:
    checksum ^= ord(character)

try:
    NMEAReader.parse(f"!{BODY}*{checksum:02X}\r\n")
except NMEAParseError as error:
    print(error)
    assert f"invalid checksum {checksum:02X} - should be {checksum ^ ord('!'):02X}" in str(error), error
else:
    raise AssertionError("the sentence was accepted")
EOF
