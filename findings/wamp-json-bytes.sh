#!/usr/bin/env bash
# 1. PyPI autobahn 26.10.2 and wampproto 0.4.0, npm autobahn 26.3.1.
# 2. WAMP carries bytes over JSON as text: NUL and then base64. Peers that negotiate `wamp.2.json` undo it.
# 3. autobahn for Python does. autobahn for JavaScript and wampproto hand the text over as it is, five characters for
#    two bytes, and JavaScript's Uint8Array goes out as an object with the keys "0" and "1".
# 4. What a subscriber gets depends on its language and serializer: the same call gives bytes over CBOR. A router that
#    turns payloads of other protocols (MQTT, raw TCP) into WAMP arguments should prefer CBOR or MessagePack for them.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install autobahn==26.10.2 wampproto==0.4.0
npm_install autobahn@26.3.1

cd "$work"
"$python" - <<'EOF'
import txaio

txaio.use_asyncio()
from autobahn.wamp.message import Event
from autobahn.wamp.serializer import JsonSerializer
from wampproto.serializers import JSONSerializer

JSON = JsonSerializer()
data, _ = JSON.serialize(Event(1, 2, args=[b"\x00\x01"]))
by_wampproto = JSONSerializer().deserialize(data).args
print(data, "autobahn", JSON.unserialize(data)[0].args, "wampproto", by_wampproto)
assert data == rb'[36,1,2,{},["\u0000AAE="]]'
assert JSON.unserialize(data)[0].args == [b"\x00\x01"]
assert by_wampproto == ["\0AAE="]
EOF
node - <<'EOF'
const assert = require('node:assert');
const { JSONSerializer } = require('autobahn').serializer;

const json = new JSONSerializer();
const [argument] = json.unserialize('[36,1,2,{},["\\u0000AAE="]]')[4];
const sent = json.serialize([16, 1, {}, 'com.example.topic', [new Uint8Array([0, 1])]]);
console.log(JSON.stringify(argument), sent);
assert.strictEqual(argument, '\0AAE=');
assert.strictEqual(sent, '[16,1,{},"com.example.topic",[{"0":0,"1":1}]]');
EOF
