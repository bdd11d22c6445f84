/** The messages of some filters that the program has not taken yet. */

import { Message } from "./message.js";

/** Tell whether a filter matches a topic (MQTT 5.0 section 4.7). */
export function matches(filter, topic) {
  if (topic.startsWith("$") && /^[+#]/.test(filter)) return false;
  const wanted = filter.split("/"), levels = topic.split("/");
  for (let at = 0; at < wanted.length; at++) {
    if (wanted[at] === "#") return true;
    if (at >= levels.length || (wanted[at] !== "+" && wanted[at] !== levels[at])) return false;
  }
  return wanted.length === levels.length;
}

/** Return what says where a subscription begins, null: with what is new. `since` counts from now on. */
function startOf({ since, last }) {
  if (since !== undefined && last !== undefined) throw new TypeError("since and last: one of them");
  if (since === undefined) return last === undefined ? null : () => ({ last });
  const made = Date.now();
  return () => ({ since: since + (Date.now() - made) / 1000 });
}

/** Tell whether a topic may match both filters. */
function overlap(one, other) {
  const levels = one.split("/"), others = other.split("/");
  for (let at = 0; at < Math.min(levels.length, others.length); at++) {
    const both = [levels[at], others[at]];
    if (both.includes("#")) return true;
    if (both[0] !== both[1] && !both.includes("+")) return false;
  }
  const rest = [...levels.slice(others.length), ...others.slice(levels.length)];
  return !rest.length || (rest.length === 1 && rest[0] === "#");
}

const unshared = filter => filter.startsWith("$share/") ? filter.split("/").slice(2).join("/") : filter;

/** The messages of some filters, for `for await`. A full queue lets its oldest go; `missed` of the next counts them. */
export class Subscription {
  #client;
  #size;
  #units = [];
  #waiting = [];
  #missed = 0;
  #error = null;
  #ended = false;
  #taken = new Set(); // filters whose messages have begun, where it begins in the history

  constructor(client, filters, size, options) {
    this.#client = client;
    this.#size = size;
    this.filters = filters;
    this.start = startOf(options); // returns {since} or {last}
    this.ready = new Promise((done, fail) => Object.assign(this, { begun: done, failed: fail }));
    this.ready.catch(() => {});
  }

  /** Tell whether a unit belongs here: over HTTP it has the filters of its stream. */
  accepts({ topic, filters }) {
    if (filters !== undefined) return filters === this.filters;
    return this.filters.some(filter => (!this.start || this.#taken.has(filter)) && matches(unshared(filter), topic));
  }

  /** The hub has taken a filter: earlier messages were for others. */
  take(filter) {
    this.#taken.add(filter);
  }

  /** Throw if one of both begins in the history, and a message of that may match the other's filters. */
  checkBeside(other) {
    if (!this.start && !other.start) return;
    const [one, beside] = this.filters.flatMap(a => other.filters.map(b => [a, b]))
      .find(([a, b]) => overlap(unshared(a), unshared(b))) ?? [];
    if (one) throw new TypeError(`${one} and ${beside} share topics, and one of them begins in the history: take two clients`);
  }

  put(unit) {
    if (this.#units.length >= this.#size) {
      this.#units.shift();
      this.#missed += 1;
    }
    this.#units.push(unit);
    this.#waiting.shift()?.();
  }

  miss(count) {
    this.#missed += count;
  }

  end(error = null) {
    this.#ended = true;
    this.#error ??= error;
    if (error) this.failed(error);
    this.#waiting.splice(0).forEach(wake => wake());
  }

  close() {
    this.#client.unsubscribe(this);
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  async next() {
    while (!this.#units.length) {
      if (this.#error) throw this.#error;
      if (this.#ended) return { done: true, value: undefined };
      await new Promise(wake => this.#waiting.push(wake));
    }
    return { done: false, value: this.#take() };
  }

  async return(value) {
    this.close();
    return { done: true, value };
  }

  #take() {
    const missed = this.#missed;
    this.#missed = 0;
    return new Message(this.#units.shift(), missed);
  }
}
