// Plays hubbub.js against a hub, and prints what came of it as JSON: node client.mjs MODULE URL SCENE [LOGIN].
import { createInterface } from "node:readline";

const [, , module, url, scene, login] = process.argv;
const { Client, HubError } = await import(module);

class Blocked {
  constructor() {
    setTimeout(() => this.onclose({ reason: "" }));
  }
  close() {}
}

const code = async promise => promise.then(() => "fine", error => (error instanceof HubError ? error.code : String(error)));
const first = async subscription => (await subscription.next()).value;

const scenes = {
  async play(client) {
    const messages = client.subscribe("a/#", "b");
    await messages.ready;
    const receivers = [
      await client.publish("a/b", { x: 1 }, { properties: { k: "v" } }),
      await client.publish("b", new Uint8Array([255, 0]), { qos: 0 }),
      await client.publish("a/ä c", "text", { retain: true }),
    ];
    const found = [await first(messages), await first(messages), await first(messages)];
    const questions = client.subscribe("ask");
    await questions.ready;
    const asked = client.request("ask", "hello");
    await client.reply(await first(questions), "hello to you");
    const refused = [
      await code(client.request("empty", "x")),
      await code(client.publish("a/+", "x")),
      await code(client.subscribe("#/a").ready),
    ];
    messages.close();
    const rest = [];
    for await (const message of messages) rest.push(message.text);
    const kept = await first(client.subscribe("a/+"));
    await client.publish(kept.topic, "", { retain: true });
    client.close();
    return {
      receivers, refused, rest,
      json: found[0].json(), bytes: [...found[1].bytes], text: found[2].text, topic: found[2].topic,
      retained: [found[2].retained, kept.retained], reply: (await asked).text,
      closed: await code(client.publish("a", "x")),
    };
  },

  // Prints each number that comes, and publishes those that it reads from stdin.
  async numbers(client) {
    const numbers = client.subscribe("n");
    await numbers.ready;
    (async () => { for await (const number of numbers) console.log(number.text); })();
    console.log("ready");
    process.stdin.on("data", data => data.toString().trim().split("\n").forEach(line => client.publish("n", Number(line))));
    return new Promise(done => process.stdin.on("end", () => done("ended")));
  },

  // The same, one number from each line, by a client of its own, and says which were taken.
  async stream(client) {
    const numbers = client.subscribe("n");
    await numbers.ready;
    (async () => { for await (const number of numbers) console.log(`got ${number.text} ${number.missed}`); })();
    console.log("ready");
    const writer = new Client(url);
    for await (const line of createInterface(process.stdin)) writer.publish("n", Number(line)).then(() => console.log(`taken ${line}`));
    return "ended";
  },

  // What was published before comes first.
  async history(client) {
    const read = async (count, start) => {
      const numbers = client.subscribe("h/#", start);
      await numbers.ready;
      const found = [];
      for (let n = 0; n < count; n++) found.push((await first(numbers)).json());
      numbers.close();
      return found;
    };
    for (const n of [0, 1, 2]) await client.publish("h/n", n);
    const all = client.subscribe("h/#", { since: 600 });
    let alone = null;
    try { client.subscribe("h/n"); } catch (error) { alone = error.name; }
    all.close();
    return [await read(2, { last: 2 }), await read(3, { since: 600 }), alone];
  },

  async login(client) {
    return code(client.ready);
  },

  // Which methods of HTTP it uses, where the hub begins after some tries by WebSocket.
  async late(client) {
    const methods = new Set();
    const { fetch } = globalThis;
    globalThis.fetch = (url, options) => {
      if (!methods.has(options.method)) console.log(options.method);
      methods.add(options.method);
      return fetch(url, options);
    };
    await client.publish("a", "x");
    return [...methods];
  },

  // More than a subscription keeps.
  async full(client) {
    const messages = client.subscribe("f");
    await messages.ready;
    for (const n of [1, 2, 3, 4]) await client.publish("f", n);
    const found = [await first(messages), await first(messages)];
    return found.map(one => [one.text, one.missed]);
  },
};

const options = { ...JSON.parse(login ?? "{}"), ...(url.startsWith("ws://blocked@") && { WebSocket: Blocked }) };
console.log(JSON.stringify(await scenes[scene](new Client(url.replace("blocked@", ""), options))));
process.exit(0);
