#!/usr/bin/env bash
# 1. PyPI pyais 3.3.1 and aiscat 0.68.16, npm ais-stream-decoder 2.1.2 and ggencoder 1.0.10.
# 2. AIS carries the rate of turn as 4.733 times the root of degrees per minute, with the sign of the direction.
#    Decoders should undo that, or say that they don't.
# 3. The same two sentences, 20 degrees per minute to either side, give four pairs of values: pyais 20 and -20, aiscat
#    20 and -19, ggencoder the raw 21 and -21, ais-stream-decoder about 2.1 and null: it takes the root again where it
#    should square, which leaves no turn to port at all.
# 4. A daemon that publishes decoded AIS should publish the raw field, or compute the rate itself: subscribers behind
#    another decoder can't be compared, and with ais-stream-decoder every turn to port reads as "not available".
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install aiscat==0.68.16 pyais==3.3.1
npm_install ais-stream-decoder@2.1.2 ggencoder@1.0.10

cd "$work"
"$python" - <<'EOF'
import aiscat
import pyais
from pyais.encode import encode_dict

with open("sentences", "w") as file:
    for turn, by_aiscat in ((20, 20), (-20, -19)):
        [sentence] = encode_dict({"type": 1, "mmsi": 211000001, "lat": 54.5, "lon": 10.1, "turn": turn})
        file.write(sentence + "\n")
        values = pyais.decode(sentence).turn, aiscat.decode(sentence)["turn"]
        print(f"{sentence}: pyais {values[0]}, aiscat {values[1]}")
        assert values == (turn, by_aiscat)
EOF
node - <<'EOF'
const assert = require('node:assert');
const { AisDecode } = require('ggencoder');
const Decoder = require('ais-stream-decoder').default;
const sentences = require('node:fs').readFileSync('sentences', 'utf8').trim().split('\n');

const decoder = new Decoder();
const turns = [];
decoder.on('data', (json) => turns.push(JSON.parse(json).rateOfTurn));
sentences.forEach((sentence) => decoder.write(sentence));
decoder.end(() => setImmediate(() => {
    const raw = sentences.map((sentence) => new AisDecode(sentence).rot);
    console.log('ggencoder', raw, 'ais-stream-decoder', turns);
    assert.deepStrictEqual(raw, [21, -21]);
    assert.ok(Math.abs(turns[0] - Math.sqrt(21 / 4.733)) < 1e-6);
    assert.strictEqual(turns[1], null);
}));
EOF
