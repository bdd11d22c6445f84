// node aedes.mjs FILE PORT: the broker aedes.
import { createServer } from "node:net";

const [, , file, port] = process.argv;
const { Aedes } = await import(file);
const broker = await Aedes.createBroker();
createServer(broker.handle).listen(Number(port), "127.0.0.1");
