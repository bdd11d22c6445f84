#!/usr/bin/env bash
# 1. PyPI aiscat 0.68.16 and pyais 3.3.1.
# 2. AIS positions are whole numbers of 1/600,000 degree. Two AIS decoders should agree on a position, and positions
#    that differ on the wire should differ in what a decoder returns.
# 3. aiscat computes in single precision. At 179.5 degrees east its steps are 9 units of AIS wide: twelve neighbouring
#    positions, 2 m from the first to the last, come back as two. pyais returns twelve.
# 4. A daemon that compares positions, to publish only those that changed or to join two receivers' copies, gets other
#    answers behind aiscat than behind pyais, and a track near the antimeridian moves in steps.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install aiscat==0.68.16 pyais==3.3.1

"$python" - <<'EOF'
import aiscat
import pyais
from pyais.encode import encode_dict

FIRST = 107_700_000  # 179.5 degrees east, in units of AIS
UNITS = 12

sentences = [
    encode_dict({"type": 1, "mmsi": 211000001, "lat": 10, "lon": (FIRST + n) / 600_000})[0] for n in range(UNITS)
]
assert len(set(sentences)) == UNITS, "the encoder wrote fewer positions than it was given"
by_pyais = {pyais.decode(sentence).lon for sentence in sentences}
by_aiscat = {aiscat.decode(sentence)["lon"] for sentence in sentences}
print(f"{UNITS} positions on the wire: {len(by_pyais)} from pyais, {len(by_aiscat)} from aiscat")
assert len(by_pyais) == UNITS
assert len(by_aiscat) == 2
EOF
