/** "Send your first message": the lines that reach this very hub, and what comes of them. */

import {at, make, reconcile, write} from "./dom.js";
import {clock, line, payloadOf} from "./format.js";

const SHOWN = 5;
const PLAIN = /^[\w@.+-]+$/;  // a name that a shell takes as it is

/** The lines, and the messages below hello/. */
export class FirstMessage {
  /** @param {import("./hub.js").Hub} hub */
  constructor(hub) {
    this._hub = hub;
    this._follows = false;
  }

  /**
   * Show the lines for these listeners.
   * @param {{transport: string, tls: boolean, dialect: string, where: string, id: string}[]} listeners
   * @param {string | null} user whose password they have a place for
   */
  show(listeners, user) {
    const name = user === null || PLAIN.test(user) ? user : "USER";
    const rows = [...listeners.flatMap(one => commands(one, name)), ...ofThisPage(name)];
    reconcile(
      at("first"), rows, row => row.command,
      row => make(
        "li", {}, make("span", {class: "tag"}, row.name),
        make("button", {type: "button", class: "code", title: "Copy", click: () => copy(row)}, row.command),
      ),
      () => {},
    );
    if (!this._follows) this._follow();
  }

  _follow() {
    this._follows = true;
    const take = message => {
      if (message.retained) return;
      at("heard").prepend(make(
        "div", {class: "row"}, make("time", {}, clock(message.time)), make("strong", {}, message.topic),
        make("span", {class: "payload"}, line(payloadOf(message))),
      ));
      while (at("heard").children.length > SHOWN) at("heard").lastChild.remove();
    };
    this._hub.follow("hello/#", take).catch(() => {
      this._follows = false;  // a login may help
    });
  }
}

async function copy({command, name}) {
  try {
    await navigator.clipboard.writeText(command);
    write(at("copied"), `Copied the line for ${name}.`);
  } catch {
    write(at("copied"), "The browser doesn't let this page copy: mark the line and copy it yourself.");
  }
}

/** Return the lines for one listener. */
function commands({transport, tls, dialect, where}, user) {
  const found = where.match(/^\[?([^\]]*?)\]?:(\d+)$/);
  if (!found) return [];
  const any = ["0.0.0.0", "::", ""].includes(found[1]);
  const host = any ? location.hostname.replace(/^\[|\]$/g, "") : found[1];
  const port = found[2];
  const speaks = name => ["auto", name].includes(dialect);
  if (transport === "tcp") {
    return [...(speaks("lines") ? [overLines(host, port, tls, user)] : []), ...(speaks("mqtt") ? [overMqtt(host, port, tls, user)] : [])];
  }
  if (transport === "udp" && speaks("lines") && user === null) {  // a datagram logs nobody in
    return [{name: "nc, UDP", command: `printf 'PUB hello/udp from UDP\\n' | nc -u -w1 ${host} ${port}`}];
  }
  return [];
}

function overLines(host, port, tls, user) {
  const login = user === null ? "" : `AUTH ${user} PASSWORD\\n`;
  const print = `printf '${login}PUB hello/${tls ? "tls from TLS" : "tcp from TCP"}\\n'`;
  return tls
    ? {name: "TLS", command: `${print} | openssl s_client -quiet -no_ign_eof -connect ${host}:${port}`}
    : {name: "nc, TCP", command: `${print} | nc -N ${host} ${port}`};
}

function overMqtt(host, port, tls, user) {
  const more = (tls ? " --tls-use-os-certs" : "") + (user === null ? "" : ` -u ${user} -P PASSWORD`);
  return {name: tls ? "MQTT, TLS" : "MQTT", command: `mosquitto_pub -h ${host} -p ${port}${more} -t hello/mqtt -m "from MQTT"`};
}

function ofThisPage(user) {
  const base = new URL(".", location.href).href;
  const socket = base.replace(/^http/, "ws");
  const publish = '{op: "publish", topic: "hello/js", data: "from JavaScript"}';
  return [
    {name: "curl", command: `curl ${user === null ? "" : `-u ${user} `}-d "from curl" ${base}topics/hello/curl`},
    {
      name: "JavaScript",
      command: `s = new WebSocket("${socket}", "hubbub.json"); s.onopen = () => s.send(JSON.stringify(${publish}))`,
    },
  ];
}
