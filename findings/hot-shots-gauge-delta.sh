#!/usr/bin/env bash
# 1. npm hot-shots 17.1.1.
# 2. `gauge` sets a value and `gaugeDelta` changes it. A receiver must be able to tell one from the other.
# 3. gauge('g', -5) and gaugeDelta('g', -5) write the same bytes, `g:-5|g`. Only a delta that isn't negative gets its
#    sign.
# 4. What `-5` means is not on the wire: a receiver that follows Etsy's StatsD subtracts five, one that follows
#    DogStatsD sets the gauge to minus five, and each is wrong for one of the two calls. A daemon has to make it a
#    setting of the listener.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
npm_install hot-shots@17.1.1

cd "$work"
timeout 60 node - <<'EOF'
const assert = require('node:assert');
const StatsD = require('hot-shots');

const receiver = require('node:dgram').createSocket('udp4');
const next = () => new Promise((resolve) => receiver.once('message', (data) => resolve(data.toString())));
receiver.bind(0, '127.0.0.1', async () => {
    const client = new StatsD({ host: '127.0.0.1', port: receiver.address().port });
    const sent = [];
    for (const send of [() => client.gauge('g', -5), () => client.gaugeDelta('g', -5), () => client.gaugeDelta('g', 5)]) {
        const data = next();
        send();
        sent.push(await data);
    }
    console.log(sent);
    assert.deepStrictEqual(sent, ['g:-5|g', 'g:-5|g', 'g:+5|g']);
    client.close();
    receiver.close();
});
EOF
