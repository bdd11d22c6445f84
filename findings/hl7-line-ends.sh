#!/usr/bin/env bash
# 1. PyPI hl7 0.4.5, npm simple-hl7 3.3.0 and hl7-standard 1.0.4.
# 2. Segments of HL7 version 2 end with CR. A message whose CRs became LF on its way should be read, or refused.
# 3. Three parsers, three answers, no error: hl7 sees one segment, MSH, and the rest inside its last field; simple-hl7
#    sees no segment besides the header; hl7-standard sees all four. With CR LF hl7 names the segments "\nPID", and
#    looking for PID fails.
# 4. CR alone is a line end that text tools and line protocols rewrite. A daemon that takes HL7 has to frame it by
#    MLLP and pass it on byte for byte; a patient's results are otherwise accepted, and empty.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install hl7==0.4.5
npm_install simple-hl7@3.3.0 hl7-standard@1.0.4

cd "$work"
export MESSAGE='MSH|^~\&|LAB|X|HIS|Y|20261128||ORU^R01|1|P|2.5%PID|1||123^^^H||DOE^JANE%OBX|1|NM|GLU||5.5|mmol/L%NTE|1||note'
"$python" - <<'EOF'
import os

import hl7

named = {}
for end in ("\r", "\n", "\r\n"):
    named[end] = [segment[0][0] for segment in hl7.parse(os.environ["MESSAGE"].replace("%", end))]
print("hl7", named)
assert named == {
    "\r": ["MSH", "PID", "OBX", "NTE"],
    "\n": ["MSH"],
    "\r\n": ["MSH", "\nPID", "\nOBX", "\nNTE"],
}
EOF
node - <<'EOF'
const assert = require('node:assert');
const HL7 = require('hl7-standard');
const { Parser } = require('simple-hl7');

const counts = ['\r', '\n'].map((end) => {
    const message = process.env.MESSAGE.replaceAll('%', end);
    const standard = new HL7(message);
    standard.transform((error) => assert.ok(!error));
    return [new Parser().parse(message).segments.length, standard.getSegments().length];
});
console.log('simple-hl7 (without MSH), hl7-standard:', counts);
assert.deepStrictEqual(counts, [[3, 4], [0, 4]]);
EOF
