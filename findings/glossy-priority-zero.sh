#!/usr/bin/env bash
# 1. npm glossy 0.1.7.
# 2. `<0>` is the most urgent priority of syslog: facility kernel, severity emergency. A parser should show both, as
#    for `<8>`.
# 3. glossy returns prival 0 and no facility or severity at all: the zero counts as "none". Facility 0 and severity 0
#    by themselves, in `<3>` and `<8>`, are there.
# 4. A daemon that routes on `severity` drops exactly the message that matters most, a kernel's last words, or files
#    it under its default. Take facility and severity from the number.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
npm_install glossy@0.1.7

cd "$work"
node - <<'EOF'
const assert = require('node:assert');
const { Parse } = require('glossy');

const seen = {};
for (const priority of [0, 3, 8]) {
    const { prival, facility, severity } = Parse.parse(`<${priority}>Oct 11 22:14:15 host kernel: panic`);
    seen[priority] = { prival, facility, severity };
}
console.log(seen);
assert.deepStrictEqual(seen, {
    0: { prival: 0, facility: undefined, severity: undefined },
    3: { prival: 3, facility: 'kern', severity: 'err' },
    8: { prival: 8, facility: 'user', severity: 'emerg' },
});
EOF
