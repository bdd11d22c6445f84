/** "Send your first message": the lines that reach this very hub, and what comes of them. */

import {at, make, reconcile, write} from "./dom.js";
import {clock, line, payloadOf} from "./format.js";

const SHOWN = 5;

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
   */
  show(listeners) {
    const rows = [...listeners.flatMap(commands), ...ofThisPage()];
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
    this._hub.follow("hello/#", take).catch(() => {});
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
function commands({transport, tls, dialect, where}) {
  const found = where.match(/^\[?([^\]]*?)\]?:(\d+)$/);
  if (!found) return [];
  const any = ["0.0.0.0", "::", ""].includes(found[1]);
  const host = any ? location.hostname.replace(/^\[|\]$/g, "") : found[1];
  const port = found[2];
  const speaks = name => ["auto", name].includes(dialect);
  const lines = [];
  if (transport === "tcp" && speaks("lines")) {
    const print = `printf 'PUB hello/${tls ? "tls from TLS" : "tcp from TCP"}\\n'`;
    lines.push(tls
      ? {name: "TLS", command: `${print} | openssl s_client -quiet -no_ign_eof -connect ${host}:${port}`}
      : {name: "nc, TCP", command: `${print} | nc -N ${host} ${port}`});
  }
  if (transport === "udp" && speaks("lines")) {
    lines.push({name: "nc, UDP", command: `printf 'PUB hello/udp from UDP\\n' | nc -u -w1 ${host} ${port}`});
  }
  if (transport === "tcp" && speaks("mqtt")) {
    const trust = tls ? " --tls-use-os-certs" : "";
    lines.push({name: tls ? "MQTT, TLS" : "MQTT", command: `mosquitto_pub -h ${host} -p ${port}${trust} -t hello/mqtt -m "from MQTT"`});
  }
  return lines;
}

function ofThisPage() {
  const base = new URL(".", location.href).href;
  const socket = base.replace(/^http/, "ws");
  const publish = '{op: "publish", topic: "hello/js", data: "from JavaScript"}';
  return [
    {name: "curl", command: `curl -d "from curl" ${base}topics/hello/curl`},
    {
      name: "JavaScript",
      command: `s = new WebSocket("${socket}", "hubbub.json"); s.onopen = () => s.send(JSON.stringify(${publish}))`,
    },
  ];
}
