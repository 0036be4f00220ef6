/** A host for the engine, as small as can be. Its network: every address echoes UDP datagrams. */
import { readFileSync } from "node:fs";

const file = readFileSync(new URL("../../dist/engine.wasm", import.meta.url));
const { exports: engine } = new WebAssembly.Instance(new WebAssembly.Module(file), {});
const octets = new Uint8Array(engine.memory.buffer); // it never grows: views stay valid
const view = new DataView(engine.memory.buffer);
const word = (at) => view.getUint32(at, true);
function setWords(at, ...row) {
  for (const [i, each] of row.entries()) view.setInt32(at + 4 * i, each, true);
}

const control = engine.control(); // says what this is, and where everything is
if (word(control) !== 0x50524c53 || word(control + 4) !== 2) throw new Error("another ABI");
const region = (i) => word(control + 32 + 8 * i);
const [config, descriptors, slots, records] = [1, 3, 4, 5].map(region);

// Guest 10.0.2.15, gateway .2, DNS .3, /24; MTU; answer DHCP; at most so many flows and chunks.
setWords(config, 0x0a00020f, 0x0a000202, 0x0a000203, 24, 1500, 2, 256, 64);
setWords(config + 40, 500); // frames that the link queues
setWords(config + 104, 86_400, 300, 7200); // seconds: lease, idle UDP, idle TCP
octets.set([2, 0, 0, 0, 0, 1], config + 48); // the gateway's MAC
octets.set(crypto.getRandomValues(new Uint8Array(32)), config + 64); // the seed
if (engine.init() !== 0) throw new Error("the engine refuses its configuration");

/** A turn, at a time in microseconds: perhaps a frame of the guest goes in, its frames come out. */
export function turn(now, frame) {
  for (const [handle, { length }] of sockets) {
    if (length > 0) engine.upstream_event(handle, 1, now); // there is something to be read
  }
  if (frame !== undefined) {
    octets.set(frame, slots);
    setWords(descriptors, slots, frame.length);
    engine.guest_rx(1, now);
  }
  engine.step(now);
  const frames = [];
  for (;;) {
    const waiting = word(control + 16);
    for (let record = records; record < records + 16 * waiting; record += 16) {
      frames.push(gather(word(record), word(record + 4)));
    }
    if (waiting > 0) engine.tx_done();
    const [count, first] = [word(control + 8), word(control + 12)];
    for (let op = first; op < first + 32 * count; op += 32) setWords(op + 8, carryOut(op));
    if (count > 0) engine.complete(now);
    else if (word(control + 28) !== 0) engine.step(now);
    else return frames; // nothing is left until engine.next_deadline(), or an event
  }
}

const sockets = new Map(); // handle -> datagrams that wait

function carryOut(op) {
  const [kind, handle, message, count] = [0, 4, 24, 28].map((field) => word(op + field));
  const inbox = sockets.get(handle) ?? [];
  if (kind === 6) sockets.set(handle, inbox); // UDP_OPEN; results are 0 but for these
  if (kind === 5) sockets.delete(handle); // CLOSE
  if (kind === 7) return repeat(count, (i) => inbox.push(sent(message + 64 * i))); // UDP_SEND
  if (kind !== 8) return 0;
  const there = Math.min(count, inbox.length);
  return repeat(there, (i) => receive(message + 64 * i, inbox.shift())) || -11; // UDP_RECV: EAGAIN
}

/** A datagram that a mmsghdr sends: its destination, which is whom the echo comes from. */
function sent(message) {
  const name = octets.slice(word(message), word(message) + word(message + 8));
  return { name, payload: gather(word(message + 16), word(message + 24)) };
}

/** What recvmmsg writes: name, payload, lengths; no control data, no flags. */
function receive(message, { name, payload }) {
  octets.set(name, word(message));
  octets.set(payload, word(word(message + 16)));
  for (const [field, value] of [
    [8, name.length],
    [40, 0],
    [48, 0],
    [56, payload.length],
  ]) {
    setWords(message + field, value);
  }
}

/** Octets of iovecs: addresses are offsets, as CONFIG says of no other place for the memory. */
function gather(iovecs, count) {
  const places = Array.from({ length: count }, (_, i) => iovecs + 16 * i);
  return places.flatMap((at) => [...octets.subarray(word(at), word(at) + word(at + 8))]);
}

function repeat(count, act) {
  for (let i = 0; i < count; i += 1) act(i);
  return count;
}
