#!/usr/bin/env bash
# 1. PyPI pysparkplug 0.6.1 and npm sparkplug-payload 1.0.3 (the codec of sparkplug-client).
# 2. Sparkplug B is one protobuf schema. What one library encodes, the other should decode, Int8 and Int16 included.
# 3. Both put them into the unsigned 32-bit field, in two ways. pysparkplug's Int8 -1 is 255, and JavaScript reads
#    255. JavaScript's Int8 -1 is 4294967295, and pysparkplug raises OverflowError for the whole payload. Int32 works
#    both ways.
# 4. A temperature below zero becomes a large one, or the birth of a whole node can't be read. A daemon that decodes
#    Sparkplug must cut Int8 and Int16 to their width and then extend the sign, which is right for both.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install pysparkplug==0.6.1
npm_install sparkplug-payload@1.0.3

cd "$work"
"$python" - <<'EOF'
import pysparkplug as sp

metrics = [sp.Metric(timestamp=1, name=kind.name, datatype=kind, value=-1) for kind in (sp.DataType.INT8, sp.DataType.INT32)]
with open("python.bin", "wb") as file:
    file.write(sp.NBirth(timestamp=1, seq=0, metrics=tuple(metrics)).encode())
EOF
node - <<'EOF'
const assert = require('node:assert');
const fs = require('node:fs');
const codec = require('sparkplug-payload').get('spBv1.0');

const values = codec.decodePayload(fs.readFileSync('python.bin')).metrics.map((metric) => metric.value);
console.log('JavaScript reads', values);
assert.deepStrictEqual(values, [255, -1]);
for (const type of ['Int8', 'Int32']) {
    fs.writeFileSync(type, codec.encodePayload({ timestamp: 1, seq: 0, metrics: [{ name: 'm', type, value: -1 }] }));
}
EOF
"$python" - <<'EOF'
import pysparkplug as sp

with open("Int32", "rb") as file:
    [metric] = sp.NBirth.decode(file.read()).metrics
assert metric.value == -1
with open("Int8", "rb") as file:
    small = file.read()
try:
    sp.NBirth.decode(small)
except OverflowError as error:
    print("Python says", error)
else:
    raise AssertionError("pysparkplug decoded Int8 -1 of sparkplug-payload")
EOF
