/** Where subscriptions go on after a lost connection: what the hub's history has comes again; see client/resumption.py.
 *
 * A key is a filter, or over HTTP the filters of a subscription, which one stream brings.
 */

import { matches } from "./subscription.js";

const SEEN = 100_000; // messages that match several filters, while the history is read for these

export class Resumption {
  #reached = new Map(); // by key: {position, live}
  #seen = new Set(); // positions of messages that may come again, the oldest first

  lost() {
    this.#reached.forEach(one => { one.live = false; });
  }

  /** Return the position after which a subscription is to go on; undefined: nothing has come, or there is no history. */
  after(key) {
    const one = this.#reached.get(key);
    return one?.live === false ? one.position : undefined;
  }

  /** A subscription was made that begins with what is new; no position: the history doesn't cover it. */
  subscribed(key, position) {
    this.#reached.delete(key);
    if (position) this.#reached.set(key, { position, live: true });
  }

  /** A subscription was made that begins in the history. */
  replaying(key) {
    this.#reached.set(key, { position: this.#reached.get(key)?.position, live: false });
  }

  /** All that the history has has come; over HTTP a stream that begins with what is new says its position in this way. */
  live(key, position) {
    if (this.#reached.has(key) || Array.isArray(key)) this.subscribed(key, position);
  }

  forget(key) {
    this.#reached.delete(key);
  }

  /** Note a message. Return whether it is new. */
  take({ topic, filters, position, retained }) {
    if (!position || retained) return true;
    if (this.#seen.has(position)) return false;
    const own = filters ? this.#reached.get(filters) : null;
    let those = filters ? (own ? [own] : [])
      : [...this.#reached].filter(([filter]) => matches(filter, topic)).map(([, one]) => one);
    if (those.length > 1 && !those.every(one => one.live)) {
      if (this.#seen.size >= SEEN) this.#seen.delete(this.#seen.values().next().value);
      this.#seen.add(position);
      those = those.filter(one => one.live); // which of the others it came for isn't known
    }
    those.forEach(one => { one.position = position; });
    return true;
  }
}
