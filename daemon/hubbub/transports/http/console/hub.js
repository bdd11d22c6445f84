/** The connection to the hub: the dialect json over WebSocket, as any client speaks it. */

import {matches} from "./filters.js";

const FIRST_MS = 500;  // until a lost connection is tried again; doubled each time
const LAST_MS = 10_000;
const SLICE_MS = 200;
const SLICE_MESSAGES = 1_000;  // messages that are read in one slice of time; the others are counted
const TIMEOUT_S = 10;

/** What the hub refuses. */
export class Refused extends Error {
  /**
   * @param {string} code
   * @param {string} reason
   */
  constructor(code, reason) {
    super(reason);
    this.code = code;
  }
}

/**
 * One connection, which comes back by itself, with its subscriptions.
 *
 * Events: "state" when `state` has changed; "gap" with the number of messages that the hub has dropped.
 */
export class Hub extends EventTarget {
  /** @param {string} url */
  constructor(url) {
    super();
    this.state = "connecting";  // or "connected", "lost"
    this.reason = "";
    this.skipped = 0;  // messages that were counted, and not read
    this.gaps = 0;  // messages that the hub has dropped, since this page is too slow
    this._url = url;
    this._waiting = new Map();  // what waits for an answer, by id
    this._followers = new Map();  // by filter: the functions that get its messages, and when it is subscribed to
    this._number = 0;
    this._wait = FIRST_MS;
    this._slice = {ends: 0, messages: 0};
    this._socket = null;
  }

  /** Connect now. */
  open() {
    clearTimeout(this._timer);
    this._socket?.close();
    const socket = new WebSocket(this._url, "hubbub.json");
    this._socket = socket;
    socket.onopen = () => {
      this._wait = FIRST_MS;
      for (const [filter, one] of this._followers) {
        one.subscribed = this._subscribe(filter);
        one.subscribed.catch(() => {});
      }
      this._set("connected", "");
    };
    socket.onmessage = event => this._take(event.data);
    socket.onclose = event => {
      if (this._socket === socket) this._lost(event.reason || "no connection");
    };
  }

  /**
   * Publish a message. Returns how many clients receive it; rejects with Refused.
   * @param {Record<string, any>} message as the dialect json has it
   */
  async publish(message) {
    return (await this._ask({op: "publish", ...message})).receivers;
  }

  /**
   * Publish a request, and return the reply; rejects with Refused.
   * @param {Record<string, any>} message
   */
  request(message) {
    return this._ask({op: "request", ...message});
  }

  /**
   * Ask the hub itself; rejects with Refused.
   * @param {string} name
   * @param {Record<string, any>} [asked]
   */
  async manage(name, asked = {}) {
    const {data} = await this.request({topic: `$hubbub/${name}`, data: asked, timeout: TIMEOUT_S});
    return typeof data === "string" ? JSON.parse(data) : data;
  }

  /**
   * Subscribe: `take` gets each message that a filter matches. Returns what ends it; rejects with Refused.
   * @param {string} filter
   * @param {(message: any) => void} take
   */
  async follow(filter, take) {
    const one = this._followers.get(filter) ?? {takes: new Set(), subscribed: null};
    this._followers.set(filter, one);
    one.takes.add(take);
    const stop = () => {
      one.takes.delete(take);
      if (one.takes.size || this._followers.get(filter) !== one) return;
      this._followers.delete(filter);
      this._ask({op: "unsubscribe", topic: filter}).catch(() => {});
    };
    if (this.state === "connected") one.subscribed = this._subscribe(filter);
    else await this._connected();
    try {
      await one.subscribed;
    } catch (refusal) {
      if (refusal.code !== "lost") {  // or it is subscribed to again later
        stop();
        throw refusal;
      }
    }
    return stop;
  }

  _connected() {
    return new Promise(resolve => {
      const look = () => {
        if (this.state !== "connected") return;
        this.removeEventListener("state", look);
        resolve();
      };
      this.addEventListener("state", look);
    });
  }

  _subscribe(filter) {
    return this._ask({op: "subscribe", topic: filter, meta: true, full: "drop-oldest"});
  }

  _ask(command) {
    return new Promise((resolve, reject) => {
      if (this._socket?.readyState !== WebSocket.OPEN) {
        reject(new Refused("lost", "there is no connection to the hub"));
        return;
      }
      const id = (this._number += 1);
      this._waiting.set(id, {resolve, reject});
      this._socket.send(JSON.stringify({...command, id}));
    });
  }

  _take(text) {
    if (text.startsWith('{"op":"message"') && this._isTooMuch()) {
      this.skipped += 1;
      return;
    }
    const unit = JSON.parse(text);
    if (unit.op === "message") this._deliver(unit);
    else if (unit.op === "gap") this._gap(unit.count);
    else if (unit.id !== undefined) this._answer(unit);
  }

  _isTooMuch() {
    const now = performance.now();
    if (now >= this._slice.ends) this._slice = {ends: now + SLICE_MS, messages: 0};
    this._slice.messages += 1;
    return this._slice.messages > SLICE_MESSAGES;
  }

  _deliver(message) {
    for (const [filter, {takes}] of this._followers) {
      if (matches(filter, message.topic)) for (const take of takes) take(message);
    }
  }

  _gap(count) {
    this.gaps += count;
    this.dispatchEvent(new CustomEvent("gap", {detail: count}));
  }

  _answer(unit) {
    const waiting = this._waiting.get(unit.id);
    this._waiting.delete(unit.id);
    if (unit.op === "error") waiting?.reject(new Refused(unit.code, unit.reason));
    else waiting?.resolve(unit);
  }

  _lost(reason) {
    this._socket = null;
    for (const {reject} of this._waiting.values()) reject(new Refused("lost", "the connection to the hub was lost"));
    this._waiting.clear();
    const wait = this._wait * (0.5 + Math.random() / 2);
    this._wait = Math.min(2 * this._wait, LAST_MS);
    this._timer = setTimeout(() => this.open(), wait);
    this._set("lost", reason);
  }

  _set(state, reason) {
    this.state = state;
    this.reason = reason;
    this.dispatchEvent(new Event("state"));
  }
}
