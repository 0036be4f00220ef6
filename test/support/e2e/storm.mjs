/**
 * Connects to a link again and again and hangs up at once, as many at a time as a batch.
 *
 *     node storm.mjs unix:PATH|tcp:PORT ATTEMPTS
 *
 * Prints {"attempts", "connected", "elapsed_ms"}. An attempt that the kernel does not take at once,
 * because the listener's queue is full, is given up and counts all the same.
 */
import { connect } from "node:net";
import process from "node:process";

const BATCH = 128;
const [target = "", attempts = "0"] = process.argv.slice(2);
const [kind, place = ""] = target.split(/:(.*)/s);
const where = kind === "tcp" ? { host: "127.0.0.1", port: Number(place) } : { path: place };

let connected = 0;
/** @type {import("node:net").Socket[]} */
const open = [];
const began_ms = performance.now();

/** @param {number} left */
function go(left) {
  for (const socket of open.splice(0)) socket.destroy();
  if (left <= 0) {
    const elapsed_ms = Math.round(performance.now() - began_ms);
    console.log(JSON.stringify({ attempts: Number(attempts), connected, elapsed_ms }));
    return;
  }
  const count = Math.min(left, BATCH);
  for (let i = 0; i < count; i += 1) {
    const socket = connect(where);
    socket.on("error", () => {});
    socket.on("connect", () => {
      connected += 1;
    });
    open.push(socket);
  }
  setTimeout(go, 1, left - count);
}

go(Number(attempts));
