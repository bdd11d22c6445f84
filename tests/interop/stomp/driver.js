// Does with @stomp/stompjs, stompit or webstomp-client what lines of JSON on standard input say; in a page, what `act` is told.
"use strict";
const bytes = text => Uint8Array.from(atob(text), character => character.charCodeAt(0));
const coded = data => btoa(Array.from(data, byte => String.fromCharCode(byte)).join(""));
const cut = socket => (socket.terminate ?? socket.close).call(socket); // a browser has only the latter
const clients = {};
let libraries; // stompjs, webstomp, and in Node stompit

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
    const { stompjs } = libraries;
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
  die() { this.client.reconnectDelay = 0; this.client.deactivate({ force: true }); cut(this.socket); }
}

class Webstomp extends Base {
  open({ host, port }, { user = "", password = "" }) {
    this.socket = new WebSocket(`ws://${host}:${port}/`, ["v10.stomp", "v11.stomp", "v12.stomp"]);
    this.client = libraries.webstomp.over(this.socket, { debug: false, heartbeat: false });
    const headers = user ? { login: user, passcode: password } : {};
    return new Promise((done, failed) => this.client.connect(headers, done, frame => failed(new Error(frame.body ?? frame))));
  }

  subscribe(destination, ack) {
    this.client.subscribe(destination, frame => this.hear(frame.headers, new TextEncoder().encode(frame.body), frame), { ack });
  }

  publish(destination, bodies, headers) {
    for (const one of bodies) this.client.send(destination, new TextDecoder().decode(bytes(one)), headers);
  }

  ack(token) { this.tokens[token].ack(); }
  nack(token) { this.tokens[token].nack(); }
  end() { return new Promise(done => { this.socket.addEventListener("close", done); this.client.disconnect(() => {}); }); }
  die() { cut(this.socket); }
}

class Stompit extends Base {
  open({ host, port, carrier, trust }, { user, password }) {
    const connectHeaders = { host: "/", "heart-beat": "5000,5000", ...(user ? { login: user, passcode: password } : {}) };
    const tls = carrier === "tls" ? { ssl: true, ca: require("fs").readFileSync(trust) } : {};
    return new Promise((done, failed) => libraries.stompit.connect({ host, port, connectHeaders, ...tls }, (error, client) => {
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

function act(action, number, ...more) {
  if (action === "open") clients[number] = new KINDS[more.shift()]();
  const done = (async () => clients[number][action](...more))();
  let alarm;
  const late = new Promise((_, failed) => { alarm = setTimeout(() => failed(new Error(action + ": too late")), 10000); });
  return Promise.race([done, late]).finally(() => clearTimeout(alarm));
}

if (typeof module !== "undefined") {
  const load = require("module").createRequire(process.argv[2] + "/");
  libraries = { stompjs: load("@stomp/stompjs"), stompit: load("stompit"), webstomp: load("webstomp-client") };
  globalThis.WebSocket = load("ws");
  require("readline").createInterface({ input: process.stdin }).on("line", async line => {
    const { id, said } = JSON.parse(line);
    const told = await act(...said).then(result => ({ id, result }), error => ({ id, error: String(error) }));
    process.stdout.write(JSON.stringify(told) + "\n");
  });
}
