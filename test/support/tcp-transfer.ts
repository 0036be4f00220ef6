/**
 * Whole transfers over the engine for the TCP tests: cutting a stream into segments, a conversation
 * whose numbers are about to wrap, and models of a guest and a host that misbehave within the
 * rules. Everything follows from one seed.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { EngineWorld, START } from "./engine-harness.ts";
import type { WorldOptions } from "./engine-settings.ts";
import type { FakeSocket } from "./fake-socket.ts";
import type { TcpFrame } from "./frame.ts";
import { pattern } from "./packet.ts";
import { type Conversation, established, TcpGuest } from "./tcp-guest.ts";

/** Of every property here; fast-check prints it, and the path, when a property fails. */
const SEED = 20260921;

export function checkProperty<Values>(property: fc.IProperty<Values>, runs: number): void {
  fc.assert(property, { seed: SEED, numRuns: runs });
}

/** A segment of a stream: relative sequence number of its first octet, and octets. */
export interface StreamSegment {
  readonly seq: number;
  readonly payload: Uint8Array;
}

/** The stream cut into segments of `size` octets; octet 0 of it has sequence number `first`. */
export function segments(stream: Uint8Array, size: number, first = 1): StreamSegment[] {
  const count = Math.ceil(stream.length / size);
  return Array.from({ length: count }, (_, i) => ({
    seq: first + i * size,
    payload: stream.subarray(i * size, (i + 1) * size),
  }));
}

/** An open connection on which the engine's sequence number becomes 0 after `before` octets. */
export function conversationBeforeWrap(before: number): Conversation {
  const { guest } = established();
  // The clock of initial sequence numbers ticks every 4 microseconds (RFC 6528 §3).
  const ticks = (2 ** 32 - before - guest.irs + 2 ** 32) % 2 ** 32;
  const world = new EngineWorld();
  world.now = START + ticks * 4;
  const again = new TcpGuest(world).open();
  return { world, guest: again, socket: again.socket };
}

/** Small numbers from a seed, for decisions inside a model (mulberry32). */
export function decisions(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

// ---------------------------------------------------------------- guest -> host

export interface UploadCase {
  readonly seed: number;
  readonly length: number;
  readonly iss: number;
  /** The host takes any number of octets up to this at a time. */
  readonly writeMax: number;
  /** Largest segment. */
  readonly segmentMax: number;
  readonly timestamps: boolean;
}

/** Checks every acknowledgment of an upload against what is allowed. */
class UploadWatch {
  readonly #guest: TcpGuest;
  readonly #socket: FakeSocket;
  /** Right edge of the window as the guest knows it, relative; the SYN's field is not scaled. */
  edge = 65536;
  acked = 1;
  zeroShown = false;

  constructor(guest: TcpGuest, socket: FakeSocket) {
    this.#guest = guest;
    this.#socket = socket;
  }

  /** Takes the frames that wait. */
  look(): void {
    const { world } = this.#guest;
    world.run();
    const taken = this.#socket.stream.length;
    while (world.frames.length > 0) this.#segment(this.#guest.expect(), taken);
  }

  #segment(frame: TcpFrame, taken: number): void {
    const ack = (frame.ack - this.#guest.iss) | 0;
    assert.ok(ack <= 1 + taken, `acknowledged ${ack - 1} octets, the host took ${taken}`);
    assert.ok(ack >= this.acked, `acknowledged ${ack} after ${this.acked}`);
    this.acked = ack;
    this.zeroShown = frame.window === 0;
    if (this.zeroShown) return; // a host that is full for a second shows as a closed window
    const edge = ack + (frame.window << 7);
    assert.ok(edge >= this.edge, `the window's right edge went from ${this.edge} to ${edge}`);
    this.edge = edge;
  }
}

/**
 * Sends a stream in any segmentation and order to a host that takes as it likes; the world it was
 * in.
 */
export function upload(options: UploadCase, world: WorldOptions = {}): EngineWorld {
  const { seed, length, iss, writeMax, segmentMax, timestamps } = options;
  const pick = decisions(seed);
  const conversation = established({ world, guest: { iss, timestamps } });
  const { guest, socket } = conversation;
  const content = pattern(length, seed % 1000);
  const watch = new UploadWatch(guest, socket);
  for (let rounds = 0; watch.acked <= length; rounds += 1) {
    assert.ok(rounds < 10_000, `stuck at ${watch.acked} of ${length}`);
    socket.sendRoom = 0;
    if (pick(3) > 0) socket.room(1 + pick(writeMax));
    const highest = Math.min(length, watch.zeroShown ? watch.acked : watch.edge - 1);
    const batch = Array.from({ length: 1 + pick(12) }, () => {
      // Now and then what is missing first, else anything in the window or a little before it.
      const reach = highest - watch.acked + 1;
      const from = Math.max(0, watch.acked - 1 + (pick(3) === 0 ? 0 : pick(reach + 50) - 50));
      const room = Math.min(Math.max(highest, from + 1), length) - from;
      const size = Math.min(1 + pick(segmentMax), room);
      return { seq: 1 + from, payload: content.subarray(from, from + Math.max(size, 0)) };
    });
    guest.sendBatch(batch.map((segment) => ({ ...segment, flags: "A", ack: guest.wanted })));
    conversation.world.advance(pick(4) === 0 ? pick(1_500_000) : pick(2000));
    watch.look();
  }
  assert.deepEqual(socket.stream, content);
  assert.equal(conversation.world.engine.chunkCount, 0, "chunks in use");
  conversation.world.checkBalance();
  return conversation.world;
}

// ---------------------------------------------------------------- host -> guest

export interface DownloadCase {
  readonly seed: number;
  readonly length: number;
  /** Of 100 segments this many are lost on the way, each way. */
  readonly loss: number;
  /** Octets of the guest's receive buffer. */
  readonly buffer: number;
  readonly mss: number;
  readonly sack: boolean;
  readonly timestamps: boolean;
}

/** A guest's receiver: out-of-order store, cumulative and selective acknowledgment, a window. */
class DownloadGuest {
  readonly guest: TcpGuest;
  readonly #options: DownloadCase;
  readonly #pick: (below: number) => number;
  readonly #base: number;
  /** What has arrived, by relative sequence number. */
  readonly #have: Uint8Array;
  readonly content: Uint8Array;
  /** Octets the application has not read yet. */
  unread = 0;
  next = 1;
  /** Right edge of the largest window ever shown. */
  edge: number;

  constructor(guest: TcpGuest, options: DownloadCase, pick: (below: number) => number) {
    this.guest = guest;
    this.#options = options;
    this.#pick = pick;
    this.#base = guest.irs;
    this.#have = new Uint8Array(options.length + 2);
    this.content = new Uint8Array(options.length);
    this.edge = 1 + guest.window * 128;
  }

  /** Takes one segment off the wire. */
  take(frame: TcpFrame): void {
    const begin = (frame.seq - this.#base) | 0;
    const { payload } = frame;
    const end = begin + payload.length;
    if (payload.length > 0) {
      assert.ok(payload.length <= this.#options.mss, `a segment of ${payload.length} octets`);
      assert.ok(end <= this.edge, `sent up to ${end}, beyond the window's edge ${this.edge}`);
    }
    this.content.set(payload, Math.max(begin - 1, 0));
    this.#have.fill(1, begin, end);
    while (this.#have[this.next] === 1) {
      this.next += 1;
      this.unread += 1;
    }
  }

  /** The next segment back. */
  answer(): void {
    const { guest } = this;
    if (this.#pick(4) > 0) this.unread = Math.max(0, this.unread - this.#pick(3 * this.unread + 1));
    // The right edge of an honest guest stands or moves right, in units of its scale.
    const room = Math.max(this.#options.buffer - this.unread, this.edge - this.next);
    const window = Math.ceil(room / 128);
    this.edge = Math.max(this.edge, this.next + window * 128);
    const sack = this.#options.sack ? this.#blocks() : [];
    if (this.#pick(100) < this.#options.loss) return;
    const ack = this.next;
    guest.send({ flags: "A", ack, window, ...(sack.length > 0 ? { sack } : {}) });
  }

  #blocks(): (readonly [number, number])[] {
    const found: (readonly [number, number])[] = [];
    for (let at = this.next; at < this.#have.length && found.length < 3; at += 1) {
      if (this.#have[at] !== 1) continue;
      const left = at;
      while (this.#have[at] === 1) at += 1;
      found.push([left, at]);
    }
    return found;
  }
}

/** Receives a stream over a path that loses, reorders and doubles, into a slow reader. */
export function download(options: DownloadCase, worldOptions: WorldOptions = {}): void {
  const { seed, length, loss, buffer, mss, sack, timestamps } = options;
  const pick = decisions(seed);
  const syn = { mss, windowScale: 7, sackPermitted: sack };
  const window = Math.max(Math.floor(buffer / 128), 1);
  const { guest, socket, world } = established({
    world: worldOptions,
    guest: { options: syn, window, timestamps },
  });
  const content = pattern(length, seed % 1000);
  const model = new DownloadGuest(guest, options, pick);
  // The SYN's field counted octets, so that edge may be the larger one.
  model.edge = Math.max(model.edge, 1 + window);
  const path: TcpFrame[] = [];
  let pushed = 0;
  for (let rounds = 0; model.next <= length; rounds += 1) {
    assert.ok(rounds < 20_000, `stuck at ${model.next} of ${length}`);
    if (pushed < length && pick(2) === 0) {
      const size = Math.min(1 + pick(40_000), length - pushed);
      socket.push(content.subarray(pushed, pushed + size));
      pushed += size;
    }
    world.advance(pick(8) === 0 ? pick(400_000) : pick(500));
    for (const frame of world.take()) if (frame.kind === "tcp") enter(path, frame, loss, pick);
    while (path.length > 0 && pick(6) > 0) {
      const frame = path.shift();
      if (frame !== undefined) model.take(frame);
      if (pick(2) === 0) model.answer();
    }
    model.answer();
  }
  model.unread = 0;
  guest.send({ ack: model.next });
  assert.deepEqual(model.content, content);
  assert.equal(world.engine.chunkCount, 0, "chunks in use");
  world.checkBalance();
}

/** A segment goes on its way: lost, doubled, overtaking others, or as it should. */
function enter(path: TcpFrame[], frame: TcpFrame, loss: number, pick: (n: number) => number): void {
  const fate = pick(100);
  if (fate < loss) return;
  if (fate < 2 * loss) path.splice(pick(path.length + 1), 0, frame);
  path.splice(fate < 3 * loss ? pick(path.length + 1) : path.length, 0, frame);
}
