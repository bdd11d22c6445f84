#!/usr/bin/env bash
# 1. PyPI dsmr-parser 1.11.2 and amshan 2.1.1.
# 2. A telegram of a Dutch or Belgian smart meter (P1) is lines of text. Whether they end in CR LF or in LF should not
#    matter to a parser, as with most text.
# 3. The checksum at the end covers the line ends. With LF alone dsmr-parser raises InvalidChecksumError and its
#    TelegramBuffer finds no telegram; amshan reports the message as invalid. dsmr-parser also wants the checksum in
#    capitals.
# 4. A daemon that carries text line by line and writes its own line ends breaks each telegram, though every line
#    arrives. P1 has to go through as bytes, from `/` to the CR LF behind the checksum.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install dsmr-parser==1.11.2 amshan==2.1.1

"$python" - <<'EOF'
from dsmr_parser import telegram_specifications
from dsmr_parser.clients.telegram_buffer import TelegramBuffer
from dsmr_parser.exceptions import InvalidChecksumError, ParseError
from dsmr_parser.parsers import TelegramParser
from han.dlde import ModeDReader

BODY = "/ISk5\\2MT382-1000\r\n\r\n1-3:0.2.8(50)\r\n1-0:1.7.0(00.321*kW)\r\n!"


def checksum(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def refused(text):
    try:
        TelegramParser(telegram_specifications.V5).parse(text)
    except ParseError as error:
        return type(error)
    return None


def buffered(text):
    buffer = TelegramBuffer()
    buffer.append(text)
    return len(list(buffer.get_all()))


telegram = f"{BODY}{checksum(BODY.encode()):04X}\r\n"
assert "A" <= max(telegram[-6:-2]), "the sample needs a letter in its checksum"
lines = telegram.replace("\r\n", "\n")
valid = [[message.is_valid for message in ModeDReader().read(text.encode())] for text in (telegram, lines)]
print("dsmr-parser", refused(telegram), refused(lines), "amshan", valid)
assert (refused(telegram), buffered(telegram), valid[0]) == (None, 1, [True])
assert (refused(lines), buffered(lines), valid[1]) == (InvalidChecksumError, 0, [False])
assert refused(telegram[:-6] + telegram[-6:].lower()) is ParseError
EOF
