#!/usr/bin/env bash
# 1. npm nmea-simple 3.3.0 and gps 0.9.0, PyPI pynmea2 1.19.0.
# 2. A receiver without a fix sends RMC with status V and empty fields. "No position" should stay no position.
# 3. nmea-simple and pynmea2's `latitude` and `longitude` give 0 and 0, a place in the Gulf of Guinea; gps gives null.
# 4. A daemon that republishes decoded sentences would put every boat that is starting up on one spot, and a retained
#    message keeps it there. Whether there was a fix has to be decided by the status or the empty field, before such a
#    parser.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install pynmea2==1.19.0
npm_install nmea-simple@3.3.0 gps@0.9.0

cd "$work"
export SENTENCE='$GPRMC,123519,V,,,,,,,230326,,,N*58'
"$python" - <<'EOF'
import os

import pynmea2

fix = pynmea2.parse(os.environ["SENTENCE"])
print("pynmea2", fix.latitude, fix.longitude, repr(fix.lat))
assert (fix.latitude, fix.longitude) == (0, 0)
assert fix.lat == ""
EOF
node - <<'EOF'
const assert = require('node:assert');
const { parseNmeaSentence } = require('nmea-simple');
const GPS = require('gps');

const simple = parseNmeaSentence(process.env.SENTENCE);
console.log('nmea-simple', simple.latitude, simple.longitude, simple.status);
assert.ok(simple.latitude === 0 && simple.longitude === 0);
const other = (GPS.GPS ?? GPS).Parse(process.env.SENTENCE);
console.log('gps', other.lat, other.lon);
assert.deepStrictEqual([other.lat, other.lon], [null, null]);
EOF
