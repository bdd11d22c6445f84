#!/usr/bin/env bash
# 1. npm mqtt-packet 9.0.2, the codec of MQTT.js and of brokers in JavaScript.
# 2. MQTT 5.0 (3.3.2.3.7) lets the name of a user property repeat, and a server must keep the order of user properties
#    when it forwards a message. Decoding and encoding should give the same bytes.
# 3. mqtt-packet keeps them in an object by name: a=1, b=2, a=3 comes out as a=1, a=3, b=2.
# 4. Hops through a Node.js bridge regroup the list. A daemon that lets the order mean something (a path of hops,
#    pairs of name and value, the first of a name wins) has to put the order into the values.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
npm_install mqtt-packet@9.0.2

cd "$work"
node - <<'EOF'
const assert = require('node:assert');
const mqtt = require('mqtt-packet');

const text = (value) => Buffer.concat([Buffer.from([0, value.length]), Buffer.from(value)]);
const publish = (pairs) => {
    const properties = Buffer.concat(pairs.map(([name, value]) => Buffer.concat([Buffer.from([0x26]), text(name), text(value)])));
    const rest = Buffer.concat([text('t'), Buffer.from([properties.length]), properties, Buffer.from('x')]);
    return Buffer.concat([Buffer.from([0x30, rest.length]), rest]);
};

const options = { protocolVersion: 5 };
const parser = mqtt.parser(options);
parser.on('packet', (packet) => {
    const again = mqtt.generate(packet, options);
    console.log(packet.properties, again.toString('latin1').replace(/[\0-\x1f]/g, '.'));
    assert.deepStrictEqual(again, publish([['a', '1'], ['a', '3'], ['b', '2']]));
});
assert.strictEqual(parser.parse(publish([['a', '1'], ['b', '2'], ['a', '3']])), 0);
EOF
