/**
 * TCP client of the end-to-end tests: `tcp-client.mjs JSON`, counterpart of tcp-server.mjs.
 *
 * {task: "connect", host, port, limit_ms} tries one connection: {ok, code, elapsed_ms}.
 * {task: "streams", host, port, mode, streams, send, receive, seed} moves that many bytes on each
 * of so many connections: JSON array of {seed, received, sha256, error, serverEndedFirst}. While a
 * stream makes no progress for half a second it prints "stalled BYTES" once. {task: "hold", host,
 * port, count} opens echo connections, prints "open COUNT", echoes once more on each for every line
 * of standard input ("echoed COUNT") and closes when standard input says "end".
 */

import { createHash } from "node:crypto";
import { connect } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import { writeTo } from "./seeded.mjs";

const STALL_MS = 500;
const OPENING_AT_ONCE = 64;
const task = JSON.parse(process.argv[2]);

function header(mode, seed, count) {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32LE(mode, 0);
  bytes.writeUInt32LE(seed, 4);
  bytes.writeDoubleLE(count, 8);
  return bytes;
}

function tryConnect() {
  const began_ms = performance.now();
  return new Promise((resolve) => {
    const socket = connect({ host: task.host, port: task.port });
    const finish = (ok, code) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ ok, code, elapsed_ms: performance.now() - began_ms });
    };
    const timer = setTimeout(() => finish(false, "LATE"), task.limit_ms ?? 20_000);
    socket.once("connect", () => finish(true, ""));
    socket.once("error", (error) => finish(false, error.code));
  });
}

function watchForStall(socket) {
  let last = -1;
  let told = false;
  return setInterval(() => {
    const taken = socket.bytesWritten - socket.writableLength;
    if (taken === last && !told) {
      told = true;
      console.log(`stalled ${taken}`);
    }
    last = taken;
  }, STALL_MS);
}

async function stream(seed) {
  const socket = connect({ host: task.host, port: task.port, allowHalfOpen: true });
  const hash = createHash("sha256");
  const result = { seed, received: 0, error: "", serverEndedFirst: false };
  const timer = watchForStall(socket);
  const ended = new Promise((resolve) => socket.once("end", () => resolve("end")));
  const closed = new Promise((resolve) => socket.once("close", () => resolve("close")));
  socket.setNoDelay(true);
  socket.on("error", (error) => {
    result.error = error.code;
  });
  socket.on("data", (chunk) => {
    result.received += chunk.length;
    hash.update(chunk);
  });
  socket.write(header(task.mode, seed, task.receive));
  if (task.mode === 2) {
    result.serverEndedFirst = (await Promise.race([ended, closed])) === "end";
  }
  await writeTo(socket, seed + 1_000_000, task.send, () => !socket.destroyed);
  socket.end();
  await closed;
  clearInterval(timer);
  return { ...result, sha256: hash.digest("hex") };
}

function openEcho() {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: task.host, port: task.port }, () => {
      socket.write(header(3, 0, 0));
      resolve(socket);
    });
    socket.setNoDelay(true);
    socket.on("error", reject);
  });
}

function echoOnce(socket, text) {
  return new Promise((resolve, reject) => {
    let got = "";
    const take = (chunk) => {
      got += chunk.toString("latin1");
      if (got.length >= text.length) {
        socket.off("data", take);
        socket.off("close", lost);
        got === text ? resolve() : reject(new Error(`echo of ${text} was ${got}`));
      }
    };
    const lost = () => reject(new Error("closed before its echo"));
    socket.on("data", take);
    socket.on("close", lost);
    socket.write(text);
  });
}

async function hold() {
  const sockets = [];
  while (sockets.length < task.count) {
    const some = Math.min(OPENING_AT_ONCE, task.count - sockets.length);
    const opened = await Promise.all(Array.from({ length: some }, openEcho));
    await Promise.all(opened.map((socket, index) => echoOnce(socket, `hello ${index}`)));
    sockets.push(...opened);
  }
  console.log(`open ${sockets.length}`);
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === "end") {
      break;
    }
    await Promise.all(sockets.map((socket, index) => echoOnce(socket, `${line} ${index}`)));
    console.log(`echoed ${sockets.length}`);
  }
  for (const socket of sockets) {
    socket.destroy();
  }
}

switch (task.task) {
  case "connect":
    console.log(JSON.stringify(await tryConnect()));
    break;
  case "streams": {
    const seeds = Array.from({ length: task.streams }, (_, index) => task.seed + index);
    console.log(JSON.stringify(await Promise.all(seeds.map(stream))));
    process.exit(0);
    break;
  }
  case "hold":
    await hold();
    process.exit(0);
    break;
  default:
    throw new Error(`unknown task ${JSON.stringify(task.task)}`);
}
