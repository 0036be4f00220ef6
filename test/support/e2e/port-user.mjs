/**
 * Uses published ports: `port-user.mjs serve PORT` in the guest, `port-user.mjs use` at the host.
 *
 * serve: echoes TCP and UDP at that port of all addresses, and answers "listening PORT".
 * use: each line of standard input is {id, protocol, host, port, size}. So many octets, which
 * differ from id to id, are sent and are to come back: by TCP as a stream that ends, by UDP as one
 * datagram, sent again after a second without an answer. One line for each: {id, code, same}; code
 * is why it failed, same whether SHA-256 of what came back is that of what was sent. Everything
 * goes on at once.
 */
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import { blocks } from "./seeded.mjs";

const ANSWER_MS = 1000;
const TRIES = 10;
const [verb, port] = process.argv.slice(2);

const sha256 = (parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256"));

function serve() {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  const socket = createSocket({ type: "udp6" });
  socket.on("message", (message, from) => socket.send(message, from.port, from.address));
  server.listen({ port: Number(port), host: "::" }, () => {
    socket.bind(Number(port), "::", () => console.log(`listening ${port}`));
  });
}

async function useTcp({ host, port: at, octets }) {
  const socket = connect({ host, port: at });
  const parts = [];
  socket.on("data", (part) => parts.push(part));
  await once(socket, "connect");
  socket.end(octets);
  await once(socket, "end");
  return parts;
}

async function useUdp({ host, port: at, octets }) {
  const socket = createSocket({ type: host.includes(":") ? "udp6" : "udp4" });
  socket.connect(at, host);
  try {
    await once(socket, "connect");
    for (let left = TRIES; ; left -= 1) {
      socket.send(octets, (error) => error && socket.emit("error", error));
      const late = AbortSignal.timeout(ANSWER_MS);
      try {
        return await once(socket, "message", { signal: late }).then(([part]) => [part]);
      } catch (error) {
        if (!late.aborted || left <= 1) throw error;
      }
    }
  } finally {
    socket.close();
  }
}

async function use(task) {
  const octets = Buffer.concat([...blocks(task.id, task.size)]);
  const report = { id: task.id, code: "", same: false };
  try {
    const parts = await (task.protocol === "tcp" ? useTcp : useUdp)({ ...task, octets });
    report.same = sha256(parts).digest("hex") === sha256([octets]).digest("hex");
  } catch (error) {
    report.code = error.code ?? error.name;
  }
  console.log(JSON.stringify(report));
}

if (verb === "serve") serve();
else for await (const line of createInterface({ input: process.stdin })) use(JSON.parse(line));
