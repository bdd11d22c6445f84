#!/usr/bin/env bash
# 1. npm undici 6.21.1, whose WebSocket is the global one of Node 20 (by a flag) and of early releases of Node 22.
# 2. A WebSocket that can't connect fires `error` and then `close` with 1006, as the WHATWG standard has it ("fail the
#    WebSocket connection", then "the connection is closed") and as browsers do. Reconnecting clients wait for `close`.
# 3. Only `error` is fired, and readyState stays 0, CONNECTING, for ever. undici 7.30.2 fires both.
# 4. While a daemon restarts, each client that dials at that moment stays away for good, without a word. A client library
#    has to take `error` as the end of an attempt, and `close` after it as nothing new.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
npm_install undici@6.21.1

cd "$work"
cat > refused.mjs <<'EOF'
import assert from "node:assert";
import net from "node:net";
import { WebSocket } from "undici";

const server = net.createServer().listen(0, "127.0.0.1");
await new Promise(done => server.once("listening", done));
const { port } = server.address();
await new Promise(done => server.close(done)); // a port on which nobody listens

const fired = [];
const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
socket.onclose = event => fired.push(`close ${event.code}`);
await new Promise(done => socket.onerror = () => done(fired.push("error")));
await new Promise(done => setTimeout(done, 1000));
console.log(fired, socket.readyState);
assert.deepEqual(fired, ["error"]);
assert.equal(socket.readyState, 0);
EOF
timeout 60 node refused.mjs
