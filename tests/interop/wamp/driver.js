// Does with autobahn-js or wampy what lines of JSON on standard input say.
"use strict";
const load = require("module").createRequire(process.argv[2] + "/");
const autobahn = load("autobahn");
const WebSocket = load("ws");
globalThis.WebSocket = class extends WebSocket {  // Node has one since 22, which doesn't throw where nobody listens
  constructor(...more) { super(...more); this.on("error", () => {}); }
};

const clients = {};
console.log = console.error;  // standard output is for answers
process.on("unhandledRejection", reason => console.error("unhandled", reason));  // of calls that end with a connection
const SERIALIZERS = { json: "JSONSerializer", msgpack: "MsgpackSerializer" };

class Base {
  constructor() { Object.assign(this, { heard: [], waiting: [] }); }

  hear(args, kwargs) {
    const told = { args: args ?? [], kwargs: kwargs ?? {} };
    this.waiting.length ? this.waiting.shift()(told) : this.heard.push(told);
  }

  next() {
    return new Promise(done => this.heard.length ? done(this.heard.shift()) : this.waiting.push(done));
  }
}

class AutobahnJs extends Base {
  open({ url, realm, serializer, user, password, method }) {
    const login = user ? {
      authid: user, authmethods: [method],
      onchallenge: (session, kind, extra) => kind === "wampcra" ? autobahn.auth_cra.sign(password, extra.challenge) : password,
    } : {};
    this.opened = 0;
    return new Promise((done, failed) => {
      this.connection = new autobahn.Connection({
        transports: [{ type: "websocket", url, serializers: [new autobahn.serializer[SERIALIZERS[serializer]]()] }],
        realm, initial_retry_delay: 0.1, max_retry_delay: 0.5, ...login,
      });
      this.connection.onopen = session => {
        this.session = session;
        this.opened += 1;
        this.wishes?.forEach(wish => this.wish(...wish));
        this.wishes ??= [];
        done();
      };
      this.connection.onclose = (reason, details) => { if (!this.opened) failed(new Error(details.reason)); return this.ended; };
      this.connection.open();
    });
  }

  wish(uri, options) { return this.session.subscribe(uri, (args, kwargs) => this.hear(args, kwargs), options); }
  async subscribe(uri, options) { this.wishes.push([uri, options]); this.last = await this.wish(uri, options); }
  async unsubscribe() { this.wishes = []; await this.last.unsubscribe(); }
  async publish(uri, args, kwargs, options) { await this.session.publish(uri, args, kwargs, { acknowledge: true, ...options }); }

  async register(uri, kind, options) {
    await this.session.register(uri, (args, kwargs, details) => {
      if (kind === "fail") throw new autobahn.Error("com.app.error", args, kwargs);
      if (kind === "parts") for (const part of args) details.progress([part]);
      if (kind === "stay") return new Promise(() => {});
      return kind === "parts" ? new autobahn.Result(["all"]) : new autobahn.Result(args, kwargs);
    }, options);
  }

  call(uri, args, kwargs, options) {
    const parts = [];
    const asked = this.session.call(uri, args, kwargs, options);
    const plain = found => found instanceof autobahn.Result ? found : { args: found === null ? [] : [found], kwargs: {} };
    return new Promise(done => asked.then(
      found => done({ parts, args: plain(found).args, kwargs: plain(found).kwargs }),
      error => done({ error: error.error, args: error.args }),
      part => parts.push(part),
    ));
  }

  end() { this.ended = true; this.connection.close(); }
  die() { this.ended = true; this.session._socket.close(); }
}

class WampyJs extends Base {
  async open({ url, realm, serializer, user, password, method }) {
    const { Wampy } = await import(process.argv[2] + "/wampy/dist/esm/wampy.js");
    const name = { json: "json", msgpack: "msgpack", cbor: "cbor" }[serializer];
    const kinds = { json: "JsonSerializer", msgpack: "MsgpackSerializer", cbor: "CborSerializer" };
    const module = await import(`${process.argv[2]}/wampy/dist/esm/serializers/${name}-serializer.js`);
    const login = user ? { authid: user, authmethods: [method], onChallenge: () => password } : {};
    this.client = new Wampy(url, {
      realm, ws: WebSocket, serializer: new module[kinds[serializer]](), reconnectInterval: 200, maxRetries: 50, ...login,
    });
    await this.client.connect();
  }

  async subscribe(uri, options) {
    const said = Object.keys(options).length ? options : undefined;  // or it finds no subscription to end
    this.last = await this.client.subscribe(uri, ({ argsList, argsDict }) => this.hear(argsList, argsDict), said);
  }

  async unsubscribe() { await this.client.unsubscribe(this.last.subscriptionKey); }
  async publish(uri, args, kwargs, options) { await this.client.publish(uri, { argsList: args, argsDict: kwargs }, options); }

  async register(uri, kind, options) {
    await this.client.register(uri, ({ argsList, argsDict, result_handler, error_handler }) => {
      if (kind === "fail") throw Object.assign(new Error("no"), { error: "com.app.error", argsList, argsDict });
      if (kind === "parts") {
        for (const part of argsList) result_handler({ argsList: [part], options: { progress: true } });
        return result_handler({ argsList: ["all"], options: { progress: false } });
      }
      if (kind === "stay") return new Promise(() => {});
      return { argsList, argsDict };
    }, options);
  }

  call(uri, args, kwargs, { receive_progress, ...options }) {
    const parts = [];
    const more = receive_progress ? { progress_callback: ({ argsList }) => parts.push(argsList[0]) } : {};
    return this.client.call(uri, { argsList: args, argsDict: kwargs }, { ...options, ...more }).then(
      ({ argsList, argsDict }) => ({ parts, args: argsList ?? [], kwargs: argsDict ?? {} }),
      error => ({ error: error.errorUri ?? String(error), args: error.argsList }),
    );
  }

  end() { return this.client.disconnect(); }
  die() { return this.client.abort(); }
}

const KINDS = { "autobahn-js": AutobahnJs, wampy: WampyJs };

require("readline").createInterface({ input: process.stdin }).on("line", async line => {
  const { id, said: [action, number, ...more] } = JSON.parse(line);
  const late = new Promise((_, failed) => setTimeout(() => failed(new Error(action + ": too late")), 10000).unref());
  if (action === "open") clients[number] = new KINDS[more.shift()]();
  const done = Promise.race([(async () => clients[number][action](...more))(), late]);
  const answer = await done.then(result => ({ id, result }), error => ({ id, error: String(error.stack ?? error) }));
  process.stdout.write(JSON.stringify(answer, (_, value) => typeof value === "bigint" ? `${value}n` : value) + "\n");
});
