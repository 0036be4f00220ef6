/**
 * UDP echo and its client.
 *
 * `udp.mjs serve ADDRESS PORT` sends every datagram back and prints {"from", "size"} for each.
 * `udp.mjs echo HOST PORT SIZES` sends one datagram of each size (comma separated), compares the
 * answer byte for byte and prints {ok, repeats, failed}: a datagram unanswered for a second is sent
 * once more, as UDP may lose it, and that is counted.
 */

import { createSocket } from "node:dgram";
import process from "node:process";
import { blocks } from "./seeded.mjs";

const BUFFER_BYTES = 4 << 20;
const ANSWER_MS = 1000;
const [verb, host, port, list] = process.argv.slice(2);
const TYPE = host.includes(":") ? "udp6" : "udp4";

function serve() {
  const socket = createSocket({ type: TYPE });
  socket.on("message", (message, from) => {
    console.log(JSON.stringify({ from: from.address, size: message.length }));
    socket.send(message, from.port, from.address, () => undefined);
  });
  socket.bind(Number(port), host, () => {
    socket.setRecvBufferSize(BUFFER_BYTES);
    socket.setSendBufferSize(BUFFER_BYTES);
    console.log(`listening ${socket.address().port}`);
  });
}

function ask(socket, datagram) {
  return new Promise((resolve) => {
    const finish = (answer) => {
      clearTimeout(timer);
      socket.off("message", finish);
      socket.off("error", fail);
      resolve(answer);
    };
    const fail = (error) => finish(error.code);
    const timer = setTimeout(() => finish("LATE"), ANSWER_MS);
    socket.on("message", finish);
    socket.on("error", fail);
    socket.send(datagram, (error) => error && finish(error.code));
  });
}

async function echo() {
  const socket = createSocket({ type: TYPE });
  await new Promise((resolve) => socket.connect(Number(port), host, resolve));
  socket.setRecvBufferSize(BUFFER_BYTES);
  socket.setSendBufferSize(BUFFER_BYTES);
  const report = { ok: 0, repeats: 0, failed: [] };
  for (const size of list.split(",").map(Number)) {
    const datagram = Buffer.concat([...blocks(size, size)]);
    let answer = await ask(socket, datagram);
    if (answer === "LATE") {
      report.repeats += 1;
      answer = await ask(socket, datagram);
    }
    if (typeof answer !== "string" && answer.equals(datagram)) {
      report.ok += 1;
    } else {
      report.failed.push({ size, answer: typeof answer === "string" ? answer : answer.length });
    }
  }
  socket.close();
  console.log(JSON.stringify(report));
}

await (verb === "serve" ? serve() : echo());
