#!/usr/bin/env bash
# 1. npm syslog-parse 2.0.0.
# 2. RFC 3164's time has whole seconds. The same line, parsed twice, should give the same time.
# 3. The milliseconds of the result are those of the parsing machine's clock at that moment: two calls 7 ms apart give
#    two times.
# 4. Times look precise to the millisecond and aren't. A daemon that drops duplicates (two relays, a resend after a
#    reconnect) by host, time and text keeps both copies, and two lines of one second come out in the order of
#    parsing, not of sending.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
npm_install syslog-parse@2.0.0

cd "$work"
node - <<'EOF'
const assert = require('node:assert');
const module_ = require('syslog-parse');
const parse = module_.default ?? module_.parse ?? module_;

const LINE = '<13>Oct 11 22:14:15 host app[42]: hello';
const clock = Date;
const at = (milliseconds) => {  // parses while the clock stands at that moment
    const now = new clock(2026, 9, 12, 8, 0, 0, milliseconds);
    globalThis.Date = class extends clock {
        constructor(...given) { super(...(given.length ? given : [now.getTime()])); }
        static now() { return now.getTime(); }
    };
    try { return parse(LINE).time; } finally { globalThis.Date = clock; }
};
const times = [at(3), at(10)];
console.log(times.map((time) => time.toISOString()));
assert.deepStrictEqual(times.map((time) => time.getMilliseconds()), [3, 10]);
EOF
