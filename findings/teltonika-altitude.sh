#!/usr/bin/env bash
# 1. npm complete-teltonika-parser 0.3.4 and teltonika-parser 0.0.15.
# 2. In Teltonika's codec 8 longitude, latitude and altitude are signed. Two parsers of one record agree.
# 3. complete-teltonika-parser reads the altitude as unsigned: 12 m below the sea are 65,524 m. teltonika-parser says
#    -12. Both read negative degrees right.
# 4. A truck in Rotterdam or at the Dead Sea is in space, and a sensible check of ranges then drops its position too.
#    A daemon that publishes what such a parser returns should publish the raw record beside it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
npm_install complete-teltonika-parser@0.3.4 teltonika-parser@0.0.15

cd "$work"
node - <<'EOF'
const assert = require('node:assert');
const { ProtocolParser } = require('complete-teltonika-parser');
const TeltonikaParser = require('teltonika-parser');

const record = Buffer.alloc(31);  // time, priority, then the position, and one I/O element of one byte
record.writeBigUInt64BE(1_700_000_000_000n, 0);
record.writeInt32BE(-581_000_000, 9);   // longitude
record.writeInt32BE(-346_000_000, 13);  // latitude
record.writeInt16BE(-12, 17);           // altitude
record.writeUInt8(9, 21);               // satellites
Buffer.from([0, 1, 1, 21, 3, 0, 0]).copy(record, 24);
const data = Buffer.concat([Buffer.from([8, 1]), record, Buffer.from([0, 1])]);
let crc = 0;
for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xa001 : crc >>> 1;
}
const packet = Buffer.concat([Buffer.alloc(8), data, Buffer.alloc(4)]);
packet.writeUInt32BE(data.length, 4);
packet.writeUInt32BE(crc, 8 + data.length);

const complete = new ProtocolParser(packet.toString('hex')).Content.AVL_Datas[0].GPSelement;
const other = new TeltonikaParser(packet).getAvl().records[0].gps;
console.log(complete, other);
assert.deepStrictEqual([complete.Longitude, complete.Latitude, complete.Altitude], [-58.1, -34.6, 65524]);
assert.deepStrictEqual([other.longitude, other.latitude, other.altitude], [-58.1, -34.6, -12]);
EOF
