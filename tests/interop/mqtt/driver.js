// Drives MQTT.js, in Node and in a page. `act` does one thing for the client of that number; see javascript.py.
/* global module */
const bytes = coded => Uint8Array.from(atob(coded), letter => letter.charCodeAt(0));
const coded = data => btoa(Array.from(data, byte => String.fromCharCode(byte)).join(""));

class Driven {
  constructor(mqtt, url, options) {
    this.heard = [];
    this.waiting = [];
    if (options.will) options.will.payload = Buffer.from(bytes(options.will.payload));
    this.client = mqtt.connect(url, { ...options, reconnectPeriod: 0, connectTimeout: 20000 });
    this.client.on("message", (topic, payload, packet) => this.hear({ ...packet, topic, payload: coded(payload) }));
    this.client.on("error", error => this.hear({ error: String(error) }));
  }

  next() {
    return new Promise(done => this.heard.length ? done(this.heard.shift()) : this.waiting.push(done));
  }

  hear(packet) {
    const { topic, payload, qos, retain, properties = {}, error } = packet;
    if (properties.correlationData) properties.correlationData = coded(properties.correlationData);
    const told = { topic, payload, qos, retain, properties, error };
    this.waiting.length ? this.waiting.shift()(told) : this.heard.push(told);
  }
}

const Buffer = globalThis.Buffer ?? { from: data => data };
const driven = {};
const ACTIONS = {
  open: (mqtt, number, url, options) => new Promise((done, failed) => {
    const { client } = driven[number] = new Driven(mqtt, url, options);
    client.once("connect", packet => done(packet.sessionPresent));
    client.once("error", failed);
    client.once("close", () => failed(new Error("closed")));
  }),
  subscribe: async ({ client }, filter, qos) => (await client.subscribeAsync(filter, { qos }))[0].qos,
  publish: async ({ client }, topic, payloads, options) => {
    const { properties } = options;
    if (properties?.correlationData) properties.correlationData = Buffer.from(bytes(properties.correlationData));
    await Promise.all(payloads.map(one => client.publishAsync(topic, Buffer.from(bytes(one)), options)));
  },
  next: (one, count) => Promise.all(Array.from({ length: count }, () => one.next())),
  end: ({ client }) => client.endAsync(),
  die: ({ client }) => { client.stream.destroy(); },
};

function act(mqtt, action, number, ...more) {
  const done = (async () => action === "open"
    ? ACTIONS.open(mqtt, number, ...more) : ACTIONS[action](driven[number], ...more))();
  let alarm;
  const late = new Promise((_, failed) => { alarm = setTimeout(() => failed(new Error(action + ": too late")), 10000); });
  return Promise.race([done, late]).finally(() => clearTimeout(alarm));
}

if (typeof module !== "undefined") {
  const mqtt = require(process.argv[2]);
  require("readline").createInterface({ input: process.stdin }).on("line", async line => {
    const { id, said } = JSON.parse(line);
    const told = await act(mqtt, ...said).then(result => ({ id, result }), error => ({ id, error: String(error) }));
    process.stdout.write(JSON.stringify(told) + "\n");
  });
}
