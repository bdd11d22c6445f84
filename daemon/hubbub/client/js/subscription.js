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

  constructor(client, filters, size) {
    this.#client = client;
    this.#size = size;
    this.filters = filters;
    this.ready = new Promise((done, fail) => Object.assign(this, { begun: done, failed: fail }));
    this.ready.catch(() => {});
  }

  /** Tell whether a unit belongs here: over HTTP it has the filters of its stream. */
  accepts({ topic, filters }) {
    return filters === undefined ? this.filters.some(filter => matches(unshared(filter), topic)) : filters === this.filters;
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
