/**
 * A bad cable between two interfaces: `bun lossy-link.ts A B PERCENT SEED`.
 *
 * Carries every frame between the interfaces A and B of its namespace and, for each, draws from a
 * seeded generator: PERCENT of the frames are lost, as many are doubled, and as many are held back
 * until two later ones have passed. What `tc qdisc … netem` does, but in both directions at once,
 * on kernels without sch_netem too, and the same frames each time the seed and traffic are the
 * same.
 *
 * Frames go through packet sockets with PACKET_VNET_HDR (packet(7)), so segmentation offload and
 * checksum offload on either side pass through untouched. Runs under Bun, whose FFI makes the
 * system calls. Prints "listening" when ready, and the counts as JSON when its standard input
 * closes.
 */

import { dlopen, FFIType, ptr } from "bun:ffi";
import { readFileSync } from "node:fs";
import process from "node:process";

const AF_PACKET = 17;
const SOCK_RAW = 3;
const ETH_P_ALL_BE = 0x0300;
const SOL_PACKET = 263;
const SOL_SOCKET = 1;
const PACKET_ADD_MEMBERSHIP = 1;
const PACKET_MR_PROMISC = 1;
const PACKET_VNET_HDR = 15;
const PACKET_IGNORE_OUTGOING = 23;
const SO_RCVBUFFORCE = 33;
const MSG_DONTWAIT = 0x40;
const POLLIN = 1;
const SOCKET_BUFFER_BYTES = 32 << 20;
/** 64 KiB of packet, Ethernet and virtio-net headers, with room to spare. */
const FRAME_SIZE = 70_000;
/** Longest time a frame is held back when nothing overtakes it. */
const HOLD_MS = 5;
const OVERTAKEN_BY_COUNT = 2;
const BATCH_COUNT = 64;

const libc = dlopen("libc.so.6", {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  bind: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  setsockopt: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i32,
  },
  recv: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64 },
  send: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64 },
  poll: { args: [FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i32 },
}).symbols;

type Held = { readonly frame: Buffer; overtaken: number; readonly due_ms: number };
type Port = { readonly fd: number; readonly held: Held[] };

/** What became of the frames; a doubled one counts as passed too. */
export type CableCounts = {
  passed: number;
  lost: number;
  doubled: number;
  reordered: number;
};

const counts: CableCounts = { passed: 0, lost: 0, doubled: 0, reordered: 0 };

function openPort(name: string): Port {
  const index = Number(readFileSync(`/sys/class/net/${name}/ifindex`, "utf8"));
  const fd = libc.socket(AF_PACKET, SOCK_RAW, ETH_P_ALL_BE);
  const one = new Int32Array([1]);
  const size = new Int32Array([SOCKET_BUFFER_BYTES]);
  // struct packet_mreq: a promiscuous port sees frames for the other end's address.
  const membership = new Int32Array([index, PACKET_MR_PROMISC, 0, 0]);
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16LE(ETH_P_ALL_BE, 2);
  address.writeInt32LE(index, 4);
  const results = [
    libc.setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, ptr(one), 4),
    libc.setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, ptr(one), 4),
    libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, ptr(size), 4),
    libc.bind(fd, ptr(address), address.length),
    libc.setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, ptr(membership), 16),
  ];
  if (fd < 0 || results.some((result) => result !== 0)) {
    throw new Error(`cannot open a packet socket on "${name}"`);
  }
  return { fd, held: [] };
}

/** Mulberry-style 32-bit generator: a number in [0, 1). */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

function release(to: Port, now_ms: number): void {
  for (let held = to.held[0]; held !== undefined; held = to.held[0]) {
    if (held.overtaken < OVERTAKEN_BY_COUNT && held.due_ms > now_ms) {
      return;
    }
    libc.send(to.fd, ptr(held.frame), held.frame.length, 0);
    to.held.shift();
  }
}

function carry(from: Port, to: Port, frame: Buffer, draw: () => number, share: number): void {
  for (let count = 0; count < BATCH_COUNT; count += 1) {
    const size = Number(libc.recv(from.fd, ptr(frame), frame.length, MSG_DONTWAIT));
    if (size <= 0) {
      break;
    }
    const fate = draw();
    if (fate < share) {
      counts.lost += 1;
      continue;
    }
    if (fate < 2 * share) {
      counts.reordered += 1;
      const copy = Buffer.from(frame.subarray(0, size));
      to.held.push({ frame: copy, overtaken: 0, due_ms: performance.now() + HOLD_MS });
      continue;
    }
    counts.passed += 1;
    libc.send(to.fd, ptr(frame), size, 0);
    for (const held of to.held) {
      held.overtaken += 1;
    }
    if (fate < 3 * share) {
      counts.doubled += 1;
      libc.send(to.fd, ptr(frame), size, 0);
    }
  }
  release(to, performance.now());
}

async function main(): Promise<void> {
  const [nameA = "", nameB = "", percent = "5", seed = "1"] = process.argv.slice(2);
  const a = openPort(nameA);
  const b = openPort(nameB);
  const draw = generator(Number(seed));
  const share = Number(percent) / 100;
  const frame = Buffer.alloc(FRAME_SIZE);
  const polls = new Int32Array([a.fd, POLLIN, b.fd, POLLIN]);
  let open = true;
  process.stdin.on("end", () => {
    open = false;
  });
  process.stdin.resume();
  console.log("listening 0");
  for (let turn = 0; open; turn += 1) {
    polls[1] = POLLIN;
    polls[3] = POLLIN;
    const holding = a.held.length + b.held.length > 0;
    libc.poll(ptr(polls), 2, holding ? 1 : 20);
    carry(a, b, frame, draw, share);
    carry(b, a, frame, draw, share);
    if (turn % 16 === 0) {
      // Lets Bun's own loop see the end of standard input.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  console.log(JSON.stringify(counts));
  process.exit(0);
}

await main();
