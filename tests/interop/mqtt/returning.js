// node returning.js PACKAGE URL TOPIC OPTIONS: print each message; MQTT.js connects and subscribes again by itself.
const [, , place, url, topic, options] = process.argv;
const client = require(place).connect(url, JSON.parse(options));
client.subscribe(topic);
client.on("message", (topic, payload) => process.stdout.write(payload + "\n"));
client.on("error", () => {});
