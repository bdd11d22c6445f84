#!/usr/bin/env bash
# 1. npm riemann 2.2.0.
# 2. Riemann's events have a field for whole numbers of 64 bits, one for doubles, and one for single precision. A
#    client takes the one that holds its number.
# 3. This client always takes single precision: a metric of 16,777,217 goes out as 16,777,216, though JavaScript's
#    numbers are doubles.
# 4. Counters of bytes and times in milliseconds stand still and then jump. A daemon that forwards to Riemann, or
#    computes rates from what a JavaScript service sends, can't trust the last digits of anything over 16 million.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
npm_install riemann@2.2.0

cd "$work"
timeout 60 node - <<'EOF'
const assert = require('node:assert');
const riemann = require('riemann');

const server = require('node:net').createServer((socket) => socket.once('data', (data) => {
    const at = data.indexOf(Buffer.from([0x7d]), 4);  // field 15, metric_f, four bytes
    console.log(data.toString('hex'), data.readFloatLE(at + 1));
    assert.strictEqual(data.length - at, 5);
    assert.strictEqual(data.readFloatLE(at + 1), 16_777_216);
    process.exit(0);
}));
server.listen(0, '127.0.0.1', () => {
    const client = riemann.createClient({ host: '127.0.0.1', port: server.address().port, transport: 'tcp' });
    client.on('connect', () => client.send(client.Event({ host: 'h', service: 's', time: 1, metric: 16_777_217 }), client.tcp));
});
EOF
