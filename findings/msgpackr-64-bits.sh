#!/usr/bin/env bash
# 1. npm msgpackr 2.1.4, cbor-x 1.6.9, @msgpack/msgpack 3.1.3 and cbor 10.0.12, PyPI msgpack 1.2.4 and cbor2 6.3.0.
# 2. A number that a JavaScript number can hold, up to 2**53, arrives as one. That is so with JSON, with each of these
#    libraries among themselves, and for smaller numbers everywhere.
# 3. In msgpackr and cbor-x every integer that was written in 64 bits is a BigInt: a counter of a Python program changes
#    its type when it passes 4,294,967,295, and a time in milliseconds is a BigInt from the start, also one that
#    @msgpack/msgpack wrote. JSON.stringify and sums with numbers then raise TypeError. @msgpack/msgpack and cbor read
#    numbers. Their own integers of that size msgpackr and cbor-x write as floats: Python reads 1767268800123.0.
# 4. Programs work for months, and fail when a counter has grown, or when the library of the other side changes. A daemon
#    that turns JSON into MessagePack or CBOR for such clients can't prevent it: no form of the integer is a number in
#    each of them. Times and counters that all sides have to read are safer as text.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install msgpack==1.2.4 cbor2==6.3.0
npm_install msgpackr@2.1.4 cbor-x@1.6.9 @msgpack/msgpack@3.1.3 cbor@10.0.12

cd "$work"
"$python" - <<'EOF'
import cbor2
import msgpack

for name, encode in (("msgpack", msgpack.packb), ("cbor", cbor2.dumps)):
    for number in (2**32 - 1, 2**32, 1_767_268_800_123):
        with open(f"{number}.{name}", "wb") as file:
            file.write(encode(number))
EOF
node - <<'EOF'
const assert = require('node:assert');
const fs = require('node:fs');
const [msgpackr, official, cborX, cbor] = ['msgpackr', '@msgpack/msgpack', 'cbor-x', 'cbor'].map(require);

const decoders = { msgpackr: [msgpackr.unpack, 'msgpack'], '@msgpack/msgpack': [official.decode, 'msgpack'],
    'cbor-x': [cborX.decode, 'cbor'], cbor: [cbor.decode, 'cbor'] };
const types = {};
for (const [name, [decode, kind]] of Object.entries(decoders)) {
    types[name] = [4294967295, 4294967296, 1767268800123].map((number) => {
        const value = decode(fs.readFileSync(`${number}.${kind}`));
        assert.ok(value == number);
        return typeof value;
    });
}
console.log(types);
const [bigint, number] = [['number', 'bigint', 'bigint'], ['number', 'number', 'number']];
assert.deepStrictEqual(types, { msgpackr: bigint, '@msgpack/msgpack': number, 'cbor-x': bigint, cbor: number });
const time = msgpackr.unpack(fs.readFileSync('1767268800123.msgpack'));
assert.throws(() => JSON.stringify({ time }), TypeError);
assert.throws(() => time + 1, TypeError);

assert.strictEqual(typeof msgpackr.unpack(official.encode(1767268800123)), 'bigint');
fs.writeFileSync('own.msgpack', msgpackr.pack(1767268800123));
fs.writeFileSync('own.cbor', cborX.encode(1767268800123));
EOF
"$python" - <<'EOF'
import cbor2
import msgpack

with open("own.msgpack", "rb") as one, open("own.cbor", "rb") as other:
    times = msgpack.unpackb(one.read()), cbor2.loads(other.read())
print("Python reads", times)
assert times == (1_767_268_800_123, 1_767_268_800_123)
assert {type(time) for time in times} == {float}
EOF
