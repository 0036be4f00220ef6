/**
 * rr.c in JavaScript, for machines without a C compiler: same modes, same output, more noise.
 * Figures of the two must not be compared with each other; the report names the one that ran.
 */

import { createSocket } from "node:dgram";
import { get } from "node:http";
import { connect, createServer } from "node:net";
import process from "node:process";

const [mode, address, portText, number = "1", seconds = "1"] = process.argv.slice(2);
const port = Number(portText);
const MESSAGE_SIZE = 1024;
const UDP_WAIT_MS = 200;
const isIpv6 = address?.includes(":") === true;
const samples_us = [];
let lost = 0;

function report(elapsed_s) {
  const sorted = samples_us.sort((a, b) => a - b);
  const at = (share) => sorted[Math.floor(sorted.length * share)] ?? 0;
  const count = sorted.length;
  const times = { p50_us: at(0.5), p99_us: at(0.99), max_us: sorted.at(-1) ?? 0 };
  console.log(JSON.stringify({ per_second: count / elapsed_s, count, ...times, lost }));
}

const openUdp = () => createSocket({ type: isIpv6 ? "udp6" : "udp4", ipv6Only: isIpv6 });

const dial = () =>
  new Promise((resolve, reject) => {
    const socket = connect(port, address, () => resolve(socket));
    socket.setNoDelay(true);
    socket.on("error", reject);
  });

const askTcp = (socket, text) =>
  new Promise((resolve, reject) => {
    const lost_peer = () => reject(new Error("closed"));
    socket.once("close", lost_peer);
    socket.once("data", (chunk) => {
      socket.off("close", lost_peer);
      resolve(chunk);
    });
    socket.write(text);
  });

const askUdp = (socket) =>
  new Promise((resolve) => {
    const finish = (answered) => {
      clearTimeout(timer);
      socket.removeAllListeners("message");
      resolve(answered);
    };
    const timer = setTimeout(() => finish(false), UDP_WAIT_MS);
    socket.once("message", () => finish(true));
    socket.send("x", port, address);
  });

async function timed(turn) {
  const begin_ms = performance.now();
  const end_ms = begin_ms + Number(number) * 1000;
  for (let at_ms = begin_ms; at_ms < end_ms; ) {
    const answered = await turn();
    const then_ms = performance.now();
    if (answered === false) {
      lost += 1;
    } else {
      samples_us.push((then_ms - at_ms) * 1000);
    }
    at_ms = then_ms;
  }
  report((performance.now() - begin_ms) / 1000);
}

function serve() {
  const udp = openUdp();
  udp.on("message", (message, from) => udp.send(message, from.port, from.address));
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  udp.bind(port, address, () => {
    server.listen({ port, host: address, backlog: 4096, ipv6Only: isIpv6 }, () =>
      console.log(`listening ${port}`),
    );
  });
}

async function open(count) {
  const sockets = [];
  for (let index = 0; index < count; index += 1) {
    const socket = await dial();
    await askTcp(socket, "x");
    sockets.push(socket);
  }
  console.log(`open ${count}`);
  return sockets;
}

async function ports(count) {
  for (let index = 0; index < count; index += 1) {
    const socket = openUdp();
    for (let tries = 0; tries < 10; tries += 1) if (await askUdp(socket)) break;
  }
  console.log(`open ${count}`);
}

const fetchMetrics = () =>
  new Promise((resolve, reject) => {
    const asked = get({ host: address, port, path: "/metrics", agent: false }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`));
      response.on("end", resolve).resume();
    });
    asked.on("error", reject);
  });

async function scrape(count, pause_ms) {
  console.log("scraping");
  const begin_ms = performance.now();
  for (let index = 0; index < count; index += 1) {
    const at_ms = performance.now();
    await fetchMetrics();
    const took_ms = performance.now() - at_ms;
    samples_us.push(took_ms * 1000);
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, pause_ms - took_ms)));
  }
  report((performance.now() - begin_ms) / 1000);
}

async function active(count) {
  const sockets = await open(count);
  let bytes = 0;
  for (const socket of sockets) {
    socket.on("data", (chunk) => {
      bytes += chunk.length;
      socket.write(chunk);
    });
    socket.write(Buffer.alloc(MESSAGE_SIZE));
  }
  await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1000));
  console.log(JSON.stringify({ per_second: bytes / MESSAGE_SIZE / Number(seconds) }));
}

switch (mode) {
  case "serve":
    serve();
    break;
  case "tcp": {
    const socket = await dial();
    await timed(() => askTcp(socket, "x"));
    process.exit(0);
    break;
  }
  case "udp": {
    const socket = openUdp();
    await timed(() => askUdp(socket));
    process.exit(0);
    break;
  }
  case "connect":
    await timed(async () => {
      const socket = await dial();
      await askTcp(socket, "x");
      socket.resetAndDestroy();
    });
    process.exit(0);
    break;
  case "hold":
    await open(Number(number));
    process.stdin.on("end", () => process.exit(0)).resume();
    break;
  case "active":
    await active(Number(number));
    process.exit(0);
    break;
  case "ports":
    await ports(Number(number));
    process.stdin.on("end", () => process.exit(0)).resume();
    break;
  case "scrape":
    await scrape(Number(number), Number(seconds));
    process.exit(0);
    break;
  default:
    process.exit(2);
}
