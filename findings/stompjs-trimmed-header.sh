#!/usr/bin/env bash
# 1. npm @stomp/stompjs 7.5.0, PyPI stompman 3.16.0.
# 2. STOMP 1.2 says of header lines that blanks belong to name and value and must not be trimmed.
# 3. stompjs trims what it reads: `indent:  two` arrives as `two`. stompman keeps both blanks.
# 4. One subscriber in a browser and one in Python see different values of one message. A daemon that puts text, a key
#    or a padded number into a header has to quote it in some way of its own to keep its ends.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
pip_install stompman==3.16.0
npm_install @stomp/stompjs@7.5.0 ws@8.23.0

cd "$work"
"$python" - <<'EOF'
from stompman import FrameParser

[frame] = FrameParser().parse_frames_from_chunk(
    b"MESSAGE\nmessage-id:1\nsubscription:1\ndestination:/a\nindent:  two\n\nbody\0"
)
print("stompman", repr(frame.headers["indent"]))
assert frame.headers["indent"] == "  two"
EOF
timeout 60 node - <<'EOF'
const assert = require('node:assert');
const { Client } = require('@stomp/stompjs');
const { WebSocket, WebSocketServer } = require('ws');

const check = (indent) => {
    console.log('stompjs', JSON.stringify(indent));
    assert.strictEqual(indent, 'two');
    process.exit(0);
};
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => 'v12.stomp' }, () => {
    const client = new Client({
        webSocketFactory: () => new WebSocket(`ws://127.0.0.1:${server.address().port}/`, ['v12.stomp']),
        // outside of the handler, as stompjs ignores what a handler throws
        onConnect: () => client.subscribe('/a', (message) => setImmediate(check, message.headers.indent), { id: '1' }),
    });
    client.activate();
});
server.on('connection', (socket) => socket.on('message', (data) => {
    if (String(data).startsWith('CONNECT')) socket.send('CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0');
    if (String(data).startsWith('SUBSCRIBE')) {
        socket.send('MESSAGE\nmessage-id:1\nsubscription:1\ndestination:/a\nindent:  two\n\nbody\0');
    }
}));
EOF
