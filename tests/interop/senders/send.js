// node send.js FOLDER LIBRARY HOST PORT TRANSPORT MORE..: let one library of FOLDER send what test_*.py expects of it.
"use strict";
const path = require("path");

const [folder, library, host, port, transport, ...more] = process.argv.slice(2);
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

  // MORE is the type, BSD or 5424, and what ends a message. It stays until its standard input ends.
  "winston-syslog": () => {
    const { createLogger, config } = load("winston");
    const { Syslog } = load("winston-syslog");
    const [type, eol] = more;
    const syslog = new Syslog({ host, port: +port, protocol: `${transport}4`, type, eol, app_name: "shop", localhost: "web" });
    const log = createLogger({ levels: config.syslog.levels, transports: [syslog] });
    log.info("w1");
    log.error("w2");
    process.stdin.on("end", () => process.exit(0)).resume();
  },

  // A program that lines of pino are piped into, and whose output is piped on.
  "pino-syslog": () => {
    const program = require("child_process").spawn(process.execPath, [path.join(folder, "pino-syslog", "psyslog.js")]);
    program.stdout.pipe(require("net").connect(+port, host));
    const line = (level, msg) => JSON.stringify({ level, time: 1700000000000, pid: 7, hostname: "web", msg }) + "\n";
    program.stdin.end(line(30, "p1") + line(50, "p2"));
  },
};

senders[library]();
