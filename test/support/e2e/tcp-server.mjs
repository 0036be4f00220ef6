/**
 * TCP server of the end-to-end tests: `tcp-server.mjs ADDRESS PORT`.
 *
 * The client's first 16 bytes say what to do: mode (u32), seed (u32), bytes to send (f64), little
 * endian. Modes: 0 both directions at once; 1 send only after the client's FIN; 2 send and FIN
 * first, then read; 3 echo; 4 read nothing until a line arrives on standard input. For each
 * connection that ends, one JSON line: {mode, seed, received, sha256, error, peer}.
 */

import { createHash } from "node:crypto";
import { createServer } from "node:net";
import process from "node:process";
import { writeTo } from "./seeded.mjs";

const HEADER_SIZE = 16;
const [address, port] = process.argv.slice(2);
const resumers = new Set();

process.stdin.on("data", () => {
  for (const resume of resumers) {
    resume();
  }
  resumers.clear();
});

async function send(socket, seed, count) {
  await writeTo(socket, seed, count, () => !socket.destroyed);
  socket.end();
}

function accept(socket) {
  const state = { mode: -1, seed: 0, send: 0, received: 0, error: "", peer: socket.remoteAddress };
  const hash = createHash("sha256");
  let head = Buffer.alloc(0);
  const begin = () => {
    state.mode = head.readUInt32LE(0);
    state.seed = head.readUInt32LE(4);
    state.send = head.readDoubleLE(8);
    if (state.mode === 0 || state.mode === 2) {
      send(socket, state.seed, state.send);
    }
    if (state.mode === 4) {
      socket.pause();
      resumers.add(() => socket.resume());
    }
  };
  const take = (payload) => {
    state.received += payload.length;
    if (state.mode === 3) {
      socket.write(payload);
    } else {
      hash.update(payload);
    }
  };
  socket.setNoDelay(true);
  socket.on("data", (chunk) => {
    if (state.mode >= 0) {
      take(chunk);
      return;
    }
    head = Buffer.concat([head, chunk]);
    if (head.length >= HEADER_SIZE) {
      begin();
      take(head.subarray(HEADER_SIZE));
    }
  });
  socket.on("end", () => {
    if (state.mode === 1 || state.mode === 4) {
      send(socket, state.seed, state.send);
    } else if (state.mode === 3) {
      socket.end();
    }
  });
  socket.on("error", (error) => {
    state.error = error.code;
  });
  socket.on("close", () => {
    const { send: _, ...report } = state;
    console.log(JSON.stringify({ ...report, sha256: hash.digest("hex") }));
  });
}

const server = createServer({ allowHalfOpen: true }, accept);
server.listen({ port: Number(port), host: address, backlog: 4096 }, () => {
  console.log(`listening ${server.address().port}`);
});
