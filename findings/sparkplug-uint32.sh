#!/usr/bin/env bash
# 1. PyPI pysparkplug 0.6.1 and npm sparkplug-payload 1.0.3.
# 2. A UInt32 metric carries its type, and protobuf says which field holds the value. A decoder finds it.
# 3. The schema has a 32-bit and a 64-bit field, and the two libraries chose differently: pysparkplug writes
#    int_value, sparkplug-payload reads long_value only. The counter is null there, as if the node had said that there
#    is no value, with no error. The other way it works: pysparkplug reads both fields.
# 4. An energy meter's counter is there for half of the subscribers. A daemon that translates Sparkplug must take the
#    value from whichever of the two fields is set, and when it writes, no choice suits both.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install pysparkplug==0.6.1
npm_install sparkplug-payload@1.0.3

cd "$work"
"$python" - <<'EOF'
import pysparkplug as sp

metrics = [sp.Metric(timestamp=1, name=kind.name, datatype=kind, value=7) for kind in (sp.DataType.UINT16, sp.DataType.UINT32)]
with open("python.bin", "wb") as file:
    file.write(sp.NBirth(timestamp=1, seq=0, metrics=tuple(metrics)).encode())
EOF
node - <<'EOF'
const assert = require('node:assert');
const fs = require('node:fs');
const codec = require('sparkplug-payload').get('spBv1.0');

const metrics = codec.decodePayload(fs.readFileSync('python.bin')).metrics.map(({ type, value }) => [type, value]);
console.log(metrics);
assert.deepStrictEqual(metrics, [['UInt16', 7], ['UInt32', null]]);
fs.writeFileSync('node.bin', codec.encodePayload({ timestamp: 1, seq: 0, metrics: [{ name: 'm', type: 'UInt32', value: 7 }] }));
EOF
"$python" - <<'EOF'
import pysparkplug as sp

with open("node.bin", "rb") as file:
    [metric] = sp.NBirth.decode(file.read()).metrics
assert metric.value == 7, metric
EOF
