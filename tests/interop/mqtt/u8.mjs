// node u8.mjs FILE PORT listen|publish TOPIC QOS: u8-mqtt prints each message, or publishes each line of its input.
import { createInterface } from "node:readline";

const [, , file, port, what, topic, qos] = process.argv;
const { default: mqtt } = await import(file);
const listens = what === "listen";
const client = mqtt({
  on_live: client => client.connect(),
  on_ready: client => listens && client.subscribe([topic], { qos: Number(qos) }),
  log_conn: () => {},
});
if (listens) {
  client.with_autoreconnect(100);
  client.on_topic(topic, packet => process.stdout.write(packet.utf8() + "\n"));
}
client.with_tcp(Number(port), "127.0.0.1");
if (!listens) {
  for await (const payload of createInterface({ input: process.stdin })) {
    await client.pub({ topic, payload, qos: Number(qos) });
  }
  await client.disconnect();
  process.exit();
}
