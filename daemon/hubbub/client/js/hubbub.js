/** A client of hubbub for browsers and Node: hubbub.d.ts has its types, docs/javascript.md its use. No dependencies.
 *
 *     const client = new Client("ws://127.0.0.1:8999");
 *     for await (const message of client.subscribe("plant/#")) console.log(message.topic, message.text);
 */

import { HubError, Message, written } from "./message.js";
import { Resumption } from "./resumption.js";
import { Subscription, matches } from "./subscription.js";
import { HttpTransport, WebSocketTransport, answers } from "./transports.js";

export { HubError, Message, matches };

const COMMANDS = 10_000; // commands of one client that have no answer yet
const QUEUE = 10_000; // messages of one subscription that the program hasn't taken yet
const FIRST_PAUSE = 100, LONGEST_PAUSE = 10_000; // milliseconds until it connects again, doubled each time
const SILENCE = 15_000; // milliseconds after which it asks for a sign of life, and after two gives up
const TRIES = 2; // WebSockets that fail, after which it asks whether the hub answers over HTTP

/** A client that stays connected to one hub. */
export class Client {
  #url;
  #options;
  #transport = null;
  #open = false;
  #failed = 0; // connections that weren't made, one after the other
  #works = false; // something has come
  #answers = false; // the hub did over HTTP, before the last WebSocket
  #blocked; // WebSocket is
  #commands = new Map(); // by number, in this order: {unit, done, fail, repeats}
  #subscriptions = new Set();
  #resumption = new Resumption();
  #number = 0;
  #ended = null; // the error that has ended it
  #timer = null;
  #silent = false;
  #name = Array.from(globalThis.crypto.getRandomValues(new Uint8Array(9)), byte => byte.toString(16).padStart(2, "0")).join("");

  constructor(url, { user, password, token, queue = QUEUE, WebSocket = globalThis.WebSocket } = {}) {
    const login = token !== undefined ? { token } : user !== undefined ? { user, password: password ?? "" } : null;
    this.#url = url;
    this.#options = { login, queue, WebSocket };
    this.#blocked = url.startsWith("http") || !WebSocket;
    this.ready = new Promise((done, fail) => Object.assign(this, { begun: done, failed: fail }));
    this.ready.catch(() => {});
    this.#dial();
  }

  /** Publish: a string or bytes as they are, all else as JSON. Return how many receivers there are. */
  async publish(topic, payload, { qos = 1, retain = false, contentType, replyTo, properties, messageExpiry, correlation } = {}) {
    const unit = { op: "publish", topic, ...written(payload) };
    if (qos) Object.assign(unit, { qos, once: `${this.#name}-${this.#number + 1}` });
    if (retain) unit.retain = true;
    const more = { content_type: contentType, reply_to: replyTo, properties, message_expiry: messageExpiry, correlation };
    for (const [name, value] of Object.entries(more)) if (value !== undefined && value !== null) unit[name] = value;
    return (await this.#call(unit, qos > 0)).receivers ?? 0;
  }

  /** Return the reply. */
  async request(topic, payload, { timeout = 2 } = {}) {
    return new Message(await this.#call({ op: "request", topic, ...written(payload), timeout }));
  }

  /** Answer a message that wants a reply. */
  async reply(message, payload) {
    if (!message.replyTo) throw new TypeError(`the message of ${message.topic} wants no reply`);
    await this.publish(message.replyTo, payload, { qos: 0, correlation: message.correlation });
  }

  /** Return a Subscription: subscribe("a/#", "b"), or subscribe("a/#", {since: 600}) to begin in the hub's history. */
  subscribe(...filters) {
    const options = typeof filters.at(-1) === "object" ? filters.pop() : {};
    const subscription = new Subscription(this, filters, this.#options.queue, options);
    this.#subscriptions.forEach(one => subscription.checkBeside(one));
    if (this.#ended) subscription.end(this.#ended);
    else {
      this.#subscriptions.add(subscription);
      if (this.#open) this.#subscribe([subscription]);
    }
    return subscription;
  }

  unsubscribe(subscription) {
    if (!this.#subscriptions.delete(subscription)) return;
    subscription.end();
    const others = new Set([...this.#subscriptions].flatMap(one => one.filters));
    [subscription.filters, ...subscription.filters.filter(one => !others.has(one))].forEach(key => this.#resumption.forget(key));
    if (this.#open) this.#transport.unsubscriptions(subscription.filters, others).forEach(unit => this.#send(unit));
  }

  /** End the connection. */
  close() {
    this.#end(new HubError("closed", "the client is closed"), null);
  }

  /** Dial; by HTTP where a WebSocket has failed although the hub answers over HTTP. */
  async #dial() {
    this.#blocked ||= this.#answers && !this.#works;
    if (!this.#blocked && !this.#works && this.#failed >= TRIES) this.#answers = await answers(this.#url);
    if (this.#ended) return;
    const Transport = this.#blocked ? HttpTransport : WebSocketTransport;
    this.#transport = new Transport(this.#url, this.#options, {
      opened: () => this.#begin(),
      received: unit => this.#receive(unit),
      lost: reason => this.#lost(reason),
    });
  }

  #begin() {
    const unanswered = [...this.#commands.values()];
    this.#open = true;
    const { login } = this.#options;
    if (login) this.#send({ op: "auth", ...login }, { done: () => {}, fail: error => this.#end(error, error) });
    this.#subscribe([...this.#subscriptions]);
    unanswered.forEach(({ unit }) => this.#transport.send(unit));
    this.#ping();
  }

  #ping() {
    this.#silent = true;
    const answered = () => {
      this.#failed = 0;
      this.begun();
    };
    this.#send({ op: "ping" }, { done: answered, fail: () => {} });
    this.#timer = setTimeout(() => this.#silent ? this.#lost("the hub has sent nothing for too long") : this.#ping(), SILENCE);
  }

  #lost(reason) {
    if (!this.#transport) return;
    this.#transport.close();
    this.#transport = null;
    this.#open = false;
    this.#resumption.lost();
    clearTimeout(this.#timer);
    const error = new HubError("lost", reason);
    for (const [number, { fail, repeats }] of this.#commands) {
      if (repeats) continue;
      this.#commands.delete(number);
      fail(error);
    }
    const pause = Math.min(FIRST_PAUSE * 2 ** this.#failed++, LONGEST_PAUSE);
    this.#timer = setTimeout(() => this.#dial(), pause * (0.5 + Math.random() / 2));
  }

  #receive(unit) {
    this.#works = true;
    this.#silent = false;
    const command = this.#commands.get(unit.id);
    if (unit.op === "message") {
      if (!this.#resumption.take(unit)) return;
      for (const one of this.#subscriptions) if (one.accepts(unit)) one.put(unit);
    } else if (unit.op === "live") {
      this.#resumption.live(unit.filters ?? unit.topic, unit.position);
    } else if (unit.op === "lost") {
      this.#miss(unit.filters ?? unit.topic);
    } else if (unit.op === "gap") {
      this.#subscriptions.forEach(one => one.miss(unit.count));
    } else if (unit.op === "bye") {
      this.#lost("the hub is going away");
    } else if (command) {
      this.#commands.delete(unit.id);
      if (unit.op === "error") command.fail(new HubError(unit.code, unit.reason));
      else command.done(unit);
    } else if (unit.op === "error") {
      console.warn(`hubbub refuses something: ${unit.code}: ${unit.reason}`);
    }
  }

  /** Subscribe, to each filter once. */
  #subscribe(subscriptions) {
    const left = new Map(subscriptions.map(one => [one, 0]));
    for (const [key, those] of this.#transport.keys(subscriptions)) {
      those.forEach(one => left.set(one, left.get(one) + 1));
      const taken = () => those.forEach(one => {
        left.set(one, left.get(one) - 1);
        one.take(key);
        left.get(one) || one.begun();
      });
      this.#ask(key, those, taken);
    }
  }

  #ask(key, those, taken) {
    const after = this.#resumption.after(key);
    const begins = after ? { after } : those[0].start?.();
    const done = ({ position, complete }) => {
      if (!begins) this.#resumption.subscribed(key, position);
      else this.#resumption.replaying(key);
      if (complete === false) this.#miss(key);
      taken();
    };
    const fail = error => {
      if (error.code === "lost") return;
      if (after && error.code === "bad-command") { // the hub keeps no history any more
        this.#resumption.forget(key);
        those.forEach(one => { one.start = null; });
        this.#miss(key);
        this.#ask(key, those, taken);
        return;
      }
      those.forEach(one => {
        one.end(error);
        this.unsubscribe(one);
      });
    };
    this.#send(this.#transport.subscription(key, begins), { done, fail });
  }

  /** The history doesn't have all that was asked for. */
  #miss(key) {
    this.#subscriptions.forEach(one => (one.filters === key || one.filters.includes(key)) && one.miss(1));
  }

  #call(unit, repeats = false) {
    if (this.#ended) return Promise.reject(this.#ended);
    if (this.#commands.size >= COMMANDS) {
      return Promise.reject(new HubError("busy", `${COMMANDS} commands wait for their answers: await some of them first`));
    }
    if (!this.#open && !repeats) return Promise.reject(new HubError("lost", "there is no connection"));
    return new Promise((done, fail) => this.#send(unit, { done, fail, repeats }));
  }

  #send(unit, { done = () => {}, fail = () => {}, repeats = false } = {}) {
    const numbered = { ...unit, id: ++this.#number };
    this.#commands.set(this.#number, { unit: numbered, done, fail, repeats });
    if (this.#open) this.#transport.send(numbered);
  }

  #end(error, shown) {
    if (this.#ended) return;
    this.#ended = error;
    clearTimeout(this.#timer);
    const transport = this.#transport;
    this.#transport = null;
    this.#open = false;
    transport?.close();
    this.#commands.forEach(({ fail }) => fail(error));
    this.#commands.clear();
    this.#subscriptions.forEach(one => one.end(shown));
    this.#subscriptions.clear();
    this.failed(error);
  }
}
