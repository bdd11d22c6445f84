// node aedes.mjs FOLDER PORT: the broker aedes.
import { createRequire } from "node:module";
import { createServer } from "node:net";

const [, , folder, port] = process.argv;
const Aedes = createRequire(import.meta.url)(folder);
createServer(new Aedes().handle).listen(Number(port), "127.0.0.1");
