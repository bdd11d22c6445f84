// Does with @nats-io/nats-core, or its predecessor nats, what lines of JSON on standard input say; in a page, what `act` is told.
"use strict";
const bytes = text => Uint8Array.from(atob(text), character => character.charCodeAt(0));
const coded = data => btoa(Array.from(data, byte => String.fromCharCode(byte)).join(""));
const clients = {};
let libraries; // connect, wsconnect, headers; old: those of the predecessor

function told({ subject, data, reply, headers }) {
  const pairs = headers ? [...headers].flatMap(([name, values]) => values.map(value => [name, value])) : [];
  return { subject, payload: coded(data), reply: reply || "", headers: pairs };
}

async function open(number, library, options) {
  const { connect, wsconnect, old } = libraries;
  const opens = { transport: connect, nats: old?.connect, web: wsconnect }[library];
  const connection = await opens({ reconnectTimeWait: 50, maxReconnectAttempts: -1, ...options });
  const one = clients[number] = { connection, heard: [], waiting: [], states: [], watching: [], old: library === "nats" };
  (async () => {
    for await (const { type } of connection.status()) (one.watching.shift() ?? (state => one.states.push(state)))(type);
  })();
}

const ACTIONS = {
  subscribe: async ({ connection, heard, waiting }, subject, options) => {
    const callback = (error, message) => waiting.length ? waiting.shift()(told(message)) : heard.push(told(message));
    connection.subscribe(subject, { ...options, callback });
    await connection.flush();
  },
  publish: async ({ connection, old: first }, subject, payloads, reply, pairs) => {
    const said = pairs.length ? (first ? libraries.old : libraries).headers() : undefined;
    for (const [name, value] of pairs) said.append(name, value);
    for (const one of payloads) connection.publish(subject, bytes(one), { reply: reply || undefined, headers: said });
    await connection.flush();
  },
  next: one => new Promise(done => one.heard.length ? done(one.heard.shift()) : one.waiting.push(done)),
  request: async ({ connection }, subject, payload) => {
    try {
      return coded((await connection.request(subject, bytes(payload), { timeout: 10000 })).data);
    } catch (error) {
      return error.isNoResponders?.() || error.code === "503" ? null : Promise.reject(error);
    }
  },
  drain: ({ connection }) => connection.drain(),
  left: one => one.heard.splice(0),
  state: async (one, wanted) => {
    for (;;) {
      const found = one.states.length ? one.states.shift() : await new Promise(done => one.watching.push(done));
      if (found === wanted) return found;
    }
  },
  end: ({ connection }) => connection.close(),
};

function act(action, number, ...more) {
  const done = action === "open" ? open(number, ...more) : ACTIONS[action](clients[number], ...more);
  let alarm;
  const late = new Promise((_, failed) => { alarm = setTimeout(() => failed(new Error(action + ": too late")), 10000); });
  return Promise.race([done, late]).finally(() => clearTimeout(alarm));
}

if (typeof module !== "undefined") {
  const load = require("module").createRequire(process.argv[2] + "/");
  const { headers, wsconnect } = load("@nats-io/nats-core");
  libraries = { connect: load("@nats-io/transport-node").connect, headers, wsconnect, old: load("nats") };
  globalThis.WebSocket ??= load("ws");
  require("readline").createInterface({ input: process.stdin }).on("line", async line => {
    const { id, said } = JSON.parse(line);
    const told = await act(...said).then(result => ({ id, result }), error => ({ id, error: String(error) }));
    process.stdout.write(JSON.stringify(told) + "\n");
  });
}
