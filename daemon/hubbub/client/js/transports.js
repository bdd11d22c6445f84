/** Two ways to a hub: units of the dialect json over WebSocket, or over HTTP. */

import { HubError, Message, written } from "./message.js";

const SILENCE = 15_000; // milliseconds: the hub writes a comment every 4 s

/** A connection over WebSocket; `report` has opened(), received(unit) and lost(reason). */
export class WebSocketTransport {
  #socket;

  constructor(url, { WebSocket }, report) {
    const socket = this.#socket = new WebSocket(url, "hubbub.json");
    socket.onopen = () => report.opened();
    socket.onmessage = event => report.received(JSON.parse(event.data));
    socket.onclose = event => report.lost(event.reason || "the connection was lost");
    socket.onerror = () => report.lost("there is no connection"); // Node 20 says no more than this
  }

  /** Return what is subscribed to for some subscriptions, a filter each, with those that have it. */
  keys(subscriptions) {
    const filters = new Set(subscriptions.flatMap(one => one.filters));
    return [...filters].map(filter => [filter, subscriptions.filter(one => one.filters.includes(filter))]);
  }

  /** Return the command that subscribes to such a key; `begins`: where, see Resumption. */
  subscription(topic, begins) {
    return { op: "subscribe", topic, meta: true, ...begins };
  }

  /** Return those that unsubscribe from them, where no other subscription has them too. */
  unsubscriptions(filters, others) {
    return filters.filter(topic => !others.has(topic)).map(topic => ({ op: "unsubscribe", topic }));
  }

  send(unit) {
    this.#socket.send(JSON.stringify(unit));
  }

  close() {
    this.#socket.onclose = this.#socket.onerror = null;
    this.#socket.close();
  }
}

const httpOf = url => url.replace(/^ws/, "http").replace(/\/?$/, "/");

/** Tell whether a hub answers over HTTP, whatever it answers. */
export function answers(url) {
  return fetch(httpOf(url), { method: "HEAD", signal: AbortSignal.timeout(SILENCE) }).then(() => true, () => false);
}

/** The same over HTTP, where WebSocket is blocked: a request for each command, a stream for each subscription. */
export class HttpTransport {
  #url;
  #login;
  #report;
  #streams = new Map(); // by the filters of the subscription
  #admitted = Promise.resolve(); // once the login is right
  #closed = false;

  constructor(url, { login }, report) {
    this.#url = httpOf(url);
    this.#login = login;
    this.#report = report;
    queueMicrotask(() => report.opened());
  }

  keys(subscriptions) {
    return subscriptions.map(one => [one.filters, [one]]);
  }

  subscription(filters, begins) {
    return { op: "subscribe", filters, begins };
  }

  unsubscriptions(filters) {
    return [{ op: "unsubscribe", filters }];
  }

  send(unit) {
    const commands = {
      auth: () => (this.#admitted = this.#fetch("tickets", { method: "POST" }).then(() => ({}))),
      ping: () => this.#fetch("", { method: "HEAD" }).then(() => ({})),
      publish: () => this.#publish(unit),
      request: () => this.#request(unit),
      subscribe: () => this.#subscribe(unit),
      unsubscribe: () => this.#unsubscribe(unit),
    };
    const answered = unit.op === "auth" ? commands.auth() : this.#admitted.then(commands[unit.op]);
    answered.then(
      answer => this.#tell({ id: unit.id, ...answer }),
      error => error instanceof HubError
        ? this.#tell({ op: "error", id: unit.id, code: error.code, reason: error.reason })
        : this.#lose(error),
    );
  }

  close() {
    this.#closed = true;
    this.#streams.forEach(stream => stream.abort());
  }

  #tell(unit) {
    if (!this.#closed) this.#report.received(unit);
  }

  #lose(error) {
    if (this.#closed) return;
    this.close();
    this.#report.lost(error.message);
  }

  async #fetch(path, options = {}) {
    const { token, user, password } = this.#login ?? {};
    const basic = () => "Basic " + btoa(String.fromCharCode(...new TextEncoder().encode(`${user}:${password}`)));
    const headers = { ...options.headers };
    if (token !== undefined || user !== undefined) headers.Authorization = token === undefined ? basic() : "Bearer " + token;
    const response = await fetch(this.#url + path, { ...options, headers });
    if (response.ok) return response;
    const problem = await response.json().catch(() => ({}));
    if (problem.code === undefined || problem.code === "unavailable") throw new Error(problem.detail ?? response.statusText);
    throw new HubError(problem.code, problem.detail);
  }

  #post(kind, unit, query) {
    const { data, base64 } = unit;
    const json = base64 === undefined && typeof data !== "string";
    const type = unit.content_type ?? (json ? "application/json" : base64 === undefined ? "text/plain; charset=utf-8" : null);
    const message = new Message(unit);
    const headers = { ...(type && { "Content-Type": type }), ...(unit.once && { "Idempotency-Key": unit.once }) };
    const topic = unit.topic.split("/").map(encodeURIComponent).join("/");
    return this.#fetch(`${kind}/${topic}?${query}`, { method: unit.retain ? "PUT" : "POST", body: message.bytes, headers });
  }

  async #publish(unit) {
    return (await this.#post("topics", unit, `qos=${unit.qos ?? 0}`)).json();
  }

  async #request(unit) {
    const response = await this.#post("requests", unit, `timeout=${unit.timeout}`);
    return { op: "reply", ...written(await response.arrayBuffer()) };
  }

  #unsubscribe({ filters }) {
    this.#streams.get(filters)?.abort();
    this.#streams.delete(filters);
    return {};
  }

  async #subscribe({ filters, begins }) {
    const stream = new AbortController();
    this.#streams.set(filters, stream);
    const query = filters.map(filter => `filter=${encodeURIComponent(filter)}&`).join("");
    const from = new URLSearchParams(begins ?? {});
    const lost = error => { if (!stream.signal.aborted) this.#lose(error); };
    const response = await this.#fetch(`events?${query}format=json&${from}`, { signal: stream.signal }).catch(error => {
      if (!stream.signal.aborted) throw error; // else it was closed at once
    });
    const reader = response?.body.pipeThrough(new TextDecoderStream()).getReader();
    if (reader) setTimeout(() => this.#read(reader, filters).catch(lost)); // once it is known that it has begun
    return {};
  }

  async #read(reader, filters) {
    let rest = "", position = ""; // of an event, until its data comes
    for (;;) {
      const timer = setTimeout(() => this.#lose(new Error("the hub has sent nothing for too long")), SILENCE);
      const { done, value } = await reader.read().finally(() => clearTimeout(timer));
      if (done) throw new Error("the stream has ended");
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith("id:")) position = line.slice(3).trim();
        else if (line.startsWith("data:")) this.#tell({ ...JSON.parse(line.slice(5)), filters });
        else if (!line && position) this.#tell({ op: "live", position, filters });
        if (!line || line.startsWith("data:")) position = "";
      }
    }
  }
}
