// node send.js FOLDER LIBRARY HOST PORT TRANSPORT: let one library of FOLDER send what test_*.py expects of it.
"use strict";
const path = require("path");

const [folder, library, host, port, transport] = process.argv.slice(2);
const load = (name) => require(path.join(folder, name));

const senders = {
  // Each after the other: over UDP and by connections of their own they would overtake each other.
  "gelf-pro": () => {
    const log = load("gelf-pro");
    const adapterOptions = transport === "udp" ? { host, port: +port, protocol: "udp4" } : { host, port: +port };
    log.setConfig({ adapterName: transport, adapterOptions, fields: { host: "press1", facility: "press" } });
    const tasks = [
      (done) => log.info("short", done),
      (done) => log.error("failed", new Error("too hot"), done),
      (done) => log.warning("nested", { a: { b: [1, true] }, text: "größe" }, done),
      (done) => log.debug("x".repeat(20000) + Array.from({ length: 4000 }, Math.random).join(""), done),
    ];
    const next = () => tasks.length && tasks.shift()((error) => { if (error) throw error; next(); });
    next();
  },

  // It writes over HTTP alone; what it writes is sent as it is.
  "@influxdata/influxdb-client": () => {
    const { Point } = load("@influxdata/influxdb-client");
    const point = new Point("oil").tag("host", "press 1").tag("t", "a\nb").floatField("bar", 140.5).intField("count", 7)
      .uintField("big", "18446744073709551615").booleanField("ok", true).stringField("text", 'say "hi",\nC:\\dir')
      .timestamp("1700000000123456789");
    const line = point.toLineProtocol();
    if (transport === "tcp") {
      require("net").connect(+port, host).end(line);
    } else {
      const socket = require("dgram").createSocket("udp4");
      socket.send(line, +port, host, () => socket.close());
    }
  },

  // It gathers what it sends into a datagram.
  "hot-shots": () => {
    const StatsD = load("hot-shots");
    const client = new StatsD({
      host, port: +port, protocol: transport, prefix: "press.", globalTags: { line: "4" }, maxBufferSize: 8000,
      includeDatadogTags: false,
    });
    client.increment("hits");
    client.gauge("bar", -5, { shift: "b" });
    client.timing("took", 320, 0.999999);
    client.set("users", "ann");
    client.event("größe 🛢", "zwei\nZeilen 🛢", { alert_type: "error" });
    client.check("app.db", 2, { hostname: "web1", message: "zwei\nZeilen | 🛢" });
    client.increment("last");
    client.close((error) => { if (error) throw error; });
  },
};

senders[library]();
