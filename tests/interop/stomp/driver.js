// Does with @stomp/stompjs, stompit or webstomp-client what lines of JSON on standard input say.
"use strict";
const load = require("module").createRequire(process.argv[2] + "/");
const fs = require("fs");
const stompjs = load("@stomp/stompjs");
const stompit = load("stompit");
const webstomp = load("webstomp-client");
const WebSocket = load("ws");

const bytes = text => Buffer.from(text, "base64");
const coded = data => Buffer.from(data).toString("base64");
const clients = {};

class Base {
  constructor() {
    Object.assign(this, { heard: [], waiting: [], tokens: [] });
  }

  hear(headers, body, token) {
    this.tokens.push(token);
    const told = { headers, body: coded(body), token: this.tokens.length - 1 };
    this.waiting.length ? this.waiting.shift()(told) : this.heard.push(told);
  }

  next() {
    return new Promise(done => this.heard.length ? done(this.heard.shift()) : this.waiting.push(done));
  }
}

class Stompjs extends Base {
  open({ host, port }, { user: login, password: passcode }) {
    const connectHeaders = login ? { login, passcode } : {};
    return new Promise((done, failed) => {
      this.client = new stompjs.Client({
        webSocketFactory: () => this.socket = new WebSocket(`ws://${host}:${port}/`, stompjs.Versions.default.protocolVersions()),
        connectHeaders, reconnectDelay: 100, forceBinaryWSFrames: false,
        onConnect: () => { this.wishes?.forEach(wish => this.wish(...wish)); this.wishes ??= []; done(); },
        onStompError: frame => failed(new Error(frame.headers.message)),
      });
      this.client.activate();
    });
  }

  wish(destination, ack) {
    this.client.subscribe(destination, message => this.hear(message.headers, message.binaryBody, message), { ack });
  }

  subscribe(destination, ack) {
    this.wishes.push([destination, ack]);
    this.wish(destination, ack);
  }

  publish(destination, bodies, headers) {
    for (const one of bodies) this.client.publish({ destination, headers, binaryBody: bytes(one) });
  }

  ack(token) { this.tokens[token].ack(); }
  nack(token) { this.tokens[token].nack(); }
  end() { return this.client.deactivate(); }
  die() { this.client.reconnectDelay = 0; this.client.deactivate({ force: true }); this.socket.terminate(); }
}

class Webstomp extends Base {
  open({ host, port }, { user = "", password = "" }) {
    this.socket = new WebSocket(`ws://${host}:${port}/`, ["v10.stomp", "v11.stomp", "v12.stomp"]);
    this.client = webstomp.over(this.socket, { debug: false, heartbeat: false });
    const headers = user ? { login: user, passcode: password } : {};
    return new Promise((done, failed) => this.client.connect(headers, done, frame => failed(new Error(frame.body ?? frame))));
  }

  subscribe(destination, ack) {
    this.client.subscribe(destination, frame => this.hear(frame.headers, Buffer.from(frame.body), frame), { ack });
  }

  publish(destination, bodies, headers) {
    for (const one of bodies) this.client.send(destination, bytes(one).toString(), headers);
  }

  ack(token) { this.tokens[token].ack(); }
  nack(token) { this.tokens[token].nack(); }
  end() { return new Promise(done => { this.socket.once("close", done); this.client.disconnect(() => {}); }); }
  die() { this.socket.terminate(); }
}

class Stompit extends Base {
  open({ host, port, carrier, trust }, { user, password }) {
    const connectHeaders = { host: "/", "heart-beat": "5000,5000", ...(user ? { login: user, passcode: password } : {}) };
    const tls = carrier === "tls" ? { ssl: true, ca: fs.readFileSync(trust) } : {};
    return new Promise((done, failed) => stompit.connect({ host, port, connectHeaders, ...tls }, (error, client) => {
      if (error) return failed(error);
      this.client = client;
      client.on("error", () => {});
      return done();
    }));
  }

  subscribe(destination, ack) {
    this.client.subscribe({ destination, ack }, (error, message) => {
      if (error) return;
      const pieces = [];
      const headers = { ...message.headers };
      message.on("data", piece => pieces.push(piece)).on("end", () => this.hear(headers, Buffer.concat(pieces), message));
    });
  }

  publish(destination, bodies, headers) {
    for (const one of bodies) this.client.send({ destination, ...headers }).end(bytes(one));
  }

  ack(token) { this.client.ack(this.tokens[token]); }
  nack(token) { this.client.nack(this.tokens[token]); }
  end() { return new Promise(done => this.client.disconnect(done)); }
  die() { this.client.destroy(); }
}

const KINDS = { stompjs: Stompjs, stompit: Stompit, webstomp: Webstomp };

require("readline").createInterface({ input: process.stdin }).on("line", async line => {
  const { id, said: [action, number, ...more] } = JSON.parse(line);
  const late = new Promise((_, failed) => setTimeout(() => failed(new Error(action + ": too late")), 10000).unref());
  if (action === "open") clients[number] = new KINDS[more.shift()]();
  const done = Promise.race([(async () => clients[number][action](...more))(), late]);
  const answer = await done.then(result => ({ id, result }), error => ({ id, error: String(error) }));
  process.stdout.write(JSON.stringify(answer) + "\n");
});
