#!/usr/bin/env bash
# 1. npm glossy 0.1.7.
# 2. RFC 5424's time has a decimal fraction: 5 ms are `.005`. What a library writes, it should read back.
# 3. glossy pads milliseconds to two digits instead of three: 5 ms become `.05`, and its own parser reads 50 ms. 50 ms
#    become `.50`, half a second. From 100 ms on it is right.
# 4. One message in ten is moved by up to 0.9 s. A daemon that orders or joins messages by the sender's clock gets
#    them in another order than they were written in; its own time of arrival is the safer key.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
npm_install glossy@0.1.7

cd "$work"
node - <<'EOF'
const assert = require('node:assert');
const { Parse, Produce } = require('glossy');

const producer = new Produce({ type: 'RFC5424' });
const read = [5, 50, 100].map((milliseconds) => {
    const date = new Date(1_700_000_000_000 + milliseconds);
    const line = producer.produce({ facility: 'user', severity: 'info', host: 'h', appName: 'a', pid: '1', date, message: 'm' });
    console.log(milliseconds, line);
    return Parse.parse(line).time.getMilliseconds();
});
assert.deepStrictEqual(read, [50, 500, 100]);
EOF
