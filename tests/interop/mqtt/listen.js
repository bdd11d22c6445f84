// node listen.js PACKAGE URL TOPIC QOS OPTIONS: print each message; MQTT.js connects and subscribes again by itself.
const [, , place, url, topic, qos, options] = process.argv;
const client = require(place).connect(url, JSON.parse(options));
client.subscribe(topic, { qos: Number(qos) });
client.on("message", (topic, payload) => process.stdout.write(payload + "\n"));
client.on("error", () => {});
