/**
 * A guest that does not read while its own write blocks, as QEMU's stream netdev and many a
 * single-threaded stack: it must not be waited for before it has been read from. Engine, loop and
 * link are real, the link is small, time is virtual.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { HostEngine } from "../../src/engine/host-engine.ts";
import { instantiateEngine } from "../../src/engine/instance.ts";
import { readStat } from "../../src/engine/stats.ts";
import { Guest } from "../../src/lab/sim/guest/guest.ts";
import type { TcpConnection } from "../../src/lab/sim/guest/tcp-connection.ts";
import type { CloseReason } from "../../src/lab/sim/guest/tcp-options.ts";
import { createMemoryLink, type MemoryGuest } from "../../src/lab/sim/memory-link.ts";
import { Loop, linkMemoryOf } from "../../src/loop/loop.ts";
import * as abi from "../../wasm/abi.ts";
import { engineModule } from "../support/engine-binary.ts";
import { START } from "../support/engine-harness.ts";
import { GATEWAY, GUEST, GUEST_MAC, PEER, worldConfig } from "../support/engine-settings.ts";
import { FakeHost } from "../support/fake-host.ts";
import type { FakeSocket } from "../support/fake-socket.ts";
import { OF_FLOW, OF_LINK } from "./stage.ts";

const MTU = 1500;
/** Frames the link holds in each direction. */
const QUEUE = 64;
const DOWNLOADS = 40;
const SIZE = 100_000;
const FIRST_PORT = 8000;
const TURNS_MAX = 50_000;
/** Microseconds. */
const PAUSE = 1800e6;

/** Octets that differ for each download. */
function content(id: number): Uint8Array {
  let state = id + 1;
  return Uint8Array.from({ length: SIZE }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 16;
  });
}

const sha256 = (octets: Uint8Array): string => createHash("sha256").update(octets).digest("hex");

/** A guest on a link that it writes to first of all, and reads from when all is written. */
class World {
  now = START;
  readonly engine = new HostEngine(instantiateEngine(engineModule("simd")));
  readonly host: FakeHost;
  readonly loop: Loop;
  readonly guest: Guest;
  /** Turns of the loop that found the link full. */
  fullTurns = 0;
  turns = 0;
  isPaused = false;
  readonly #cable: MemoryGuest;
  readonly #outbox: Uint8Array[] = [];
  /** Frames on their way to the engine. */
  #queued = 0;
  readonly #served = new Set<FakeSocket>();
  #wantsRoom = false;
  #events: (readonly [bits: number, lo: number, hi: number])[] = [];

  constructor() {
    this.engine.start(worldConfig({ mtu: MTU, chunksMax: 512 }));
    this.host = new FakeHost(this.engine);
    const { link, guest } = createMemoryLink({ queueFrames: QUEUE, mtuMax: MTU });
    this.#cable = guest;
    this.guest = new Guest({
      mac: GUEST_MAC,
      mtu: MTU,
      seed: 7,
      tcp: { delayedAck: 0 },
      transmit: (frame) => this.#outbox.push(frame.slice()) > 0,
    });
    this.guest.configure({ address: GUEST, prefixLength: 24, gateway: GATEWAY });
    this.loop = new Loop({
      engine: this.engine,
      link: {
        ...{ vnetSize: 0, flags: 0, queueFrames: QUEUE, mtuMax: MTU, refused: 0 },
        watch: () => 0,
        event: (_token, bits) => (bits & abi.EVENT_READABLE) !== 0,
        wantRoom: (on) => {
          this.#wantsRoom = on;
        },
        receive: (memory, max) => {
          const n = link.receive(memory, max);
          this.#queued -= Math.max(n, 0);
          return n;
        },
        transmit: (memory, first, count) => link.transmit(memory, first, count),
        close: () => link.close(),
      },
      memory: linkMemoryOf(this.engine),
      events: {
        wait: (_max, microseconds) => this.#wait(microseconds),
        eventBits: (i) => this.#events[i]?.[0] ?? 0,
        dataLo: (i) => this.#events[i]?.[1] ?? 0,
        dataHi: (i) => this.#events[i]?.[2] ?? 0,
      },
      upstream: { execute: () => this.host.execute(), quieten: () => {}, heed: () => {} },
      listeners: { accept: () => 0 },
      sources: { pause: () => {}, resume: () => true },
      onRest: (token, kind) => assert.fail(`source ${kind}/${token} keeps the loop awake`),
      control: () => true,
      housekeeping: { wait: () => undefined, poll: () => {} },
      clock: () => this.now,
    });
  }

  /** The guest goes on until it can do nothing: it writes, and only then reads one frame. */
  #runGuest(): void {
    for (;;) {
      this.guest.poll(this.now);
      for (let frame = this.#outbox[0]; frame; frame = this.#outbox[0]) {
        if (!this.#cable.send(frame)) return;
        this.#queued += 1;
        this.#outbox.shift();
      }
      const frame = this.#cable.receive();
      if (frame === undefined) return;
      this.guest.input(frame, this.now);
    }
  }

  #wait(microseconds: number): number {
    if (this.#wantsRoom) this.fullTurns += 1;
    this.turns += 1;
    if (!this.isPaused) this.#runGuest();
    this.#events = this.host.takeEvents().map(([handle, bits]) => [bits, handle, OF_FLOW] as const);
    let bits = this.#queued > 0 ? abi.EVENT_READABLE : 0;
    if (this.#wantsRoom && this.#cable.pending < QUEUE) bits |= abi.EVENT_WRITABLE;
    if (bits !== 0) this.#events.push([bits, 0, OF_LINK]);
    if (this.#events.length === 0) {
      const due = this.isPaused ? microseconds : this.guest.nextDeadline() - this.now;
      this.now += Math.max(Math.min(microseconds, due), 1);
    } else this.now += 2;
    return this.#events.length;
  }

  /** Serves each download once, with the content of its port. */
  serve(): void {
    for (const socket of this.host.live) {
      if (socket.kind !== "tcp" || this.#served.has(socket)) continue;
      this.#served.add(socket);
      socket.push(content(socket.port - FIRST_PORT));
      socket.end();
    }
  }

  /** Turns until it holds. */
  until(holds: () => boolean, what: string): void {
    for (let turns = 0; !holds(); turns += 1) {
      const at = `${(this.now - START) / 1e6} s`;
      assert.ok(turns < TURNS_MAX, `waited in vain for ${what}, ${this.#queued} queued, ${at}`);
      this.loop.turn(this.loop.sleep);
    }
  }

  /** Starts a download; what has come of it in the end. */
  download(port: number): { readonly hash: () => string; readonly reason: () => string } {
    const hash = createHash("sha256");
    const scratch = new Uint8Array(65_536);
    let how: CloseReason | "" = "";
    const take = (connection: TcpConnection): void => {
      while (connection.available > 0) {
        hash.update(scratch.subarray(0, connection.read(scratch)));
      }
    };
    this.guest.openTcp(PEER, port, {
      readable: take,
      ended: (connection) => {
        take(connection);
        connection.close();
      },
      closed: (reason) => {
        how = reason;
      },
    });
    let digest: string | undefined;
    return {
      hash: () => {
        digest ??= hash.digest("hex");
        return digest;
      },
      reason: () => how,
    };
  }
}

describe("a full link and a guest that does not read while it writes", () => {
  test(`${DOWNLOADS} downloads at once end well`, () => {
    const world = new World();
    const downloads = Array.from({ length: DOWNLOADS }, (_, i) => world.download(FIRST_PORT + i));
    world.until(() => {
      world.serve();
      return downloads.every(({ reason }) => reason() !== "");
    }, "the downloads");
    assert.deepEqual(new Set(downloads.map(({ reason }) => reason())), new Set(["finished"]));
    downloads.forEach(({ hash }, id) => {
      assert.equal(hash(), sha256(content(id)), `download ${id}`);
    });
    assert.ok(world.fullTurns > DOWNLOADS, `the link was full in ${world.fullTurns} turns`);
    assert.equal(world.loop.broken, 0);
    assert.equal(readStat(world.engine, abi.STAT_TCP_TIMEOUTS), 0, "nothing was lost");
  });

  test("what waits for the guest is not overwritten by what comes meanwhile", () => {
    const world = new World();
    const { guest } = world;
    const [sockets, count, pings] = [8, 150, 400];
    const datagram = (id: number, n: number): Uint8Array => {
      const octets = new Uint8Array(1200).fill(17 * id + n);
      octets.set([id, n]);
      return octets;
    };
    const latest = new Array<number>(sockets).fill(-1);
    const greetings = latest.map((_, id) => {
      const received = ({ payload }: { payload: Uint8Array }): void => {
        const n = payload[1] ?? 0;
        assert.deepEqual(payload, datagram(id, n), `datagram ${n} of ${id}`);
        assert.ok(n > (latest[id] ?? 0), "in order, none twice");
        latest[id] = n;
      };
      return guest.openUdp(4000 + id, { received });
    });
    let echoes = 0;
    guest.onEchoReply = ({ sequence, payload }) => {
      assert.deepEqual(payload, new Uint8Array(1400).fill(sequence), `echo ${sequence}`);
      echoes += 1;
    };
    greetings.forEach((socket, id) => {
      socket.send(PEER, 5000 + id, new Uint8Array(1));
    });
    world.until(() => world.host.live.length === sockets, "the sockets");
    for (let n = 0; n < count; n += 1) {
      world.host.live.forEach((socket, id) => {
        socket.receive(datagram(id, n), { address: PEER, port: 5000 + id });
      });
      for (let i = 0; i < 3 && 3 * n + i < pings; i += 1) {
        guest.ping(GATEWAY, 1, 3 * n + i, new Uint8Array(1400).fill(3 * n + i));
      }
      if (n % 10 === 0) world.loop.turn(0);
    }
    world.until(() => latest.every((n) => n === count - 1), "the last datagrams");
    const dropped = readStat(world.engine, abi.STAT_COUNT + abi.DROP_TX_FULL);
    assert.ok(echoes > 0 && echoes + dropped >= pings, `${echoes} echoes, ${dropped} dropped`);
    assert.ok(world.fullTurns > 10, `the link was full in ${world.fullTurns} turns`);
  });

  test("a machine that is paused for half an hour finds its connections as they were", () => {
    const world = new World();
    const downloads = Array.from({ length: 8 }, (_, i) => world.download(FIRST_PORT + i));
    world.until(() => {
      world.serve();
      return world.fullTurns > 5;
    }, "the link to be full");
    world.isPaused = true;
    const [begin, before] = [world.now, world.turns];
    world.until(() => world.now > begin + PAUSE, "the pause");
    const turns = world.turns - before;
    assert.ok(turns <= (PAUSE / 1e6) * 10 + 10, `${turns} turns while nothing could be done`);
    world.isPaused = false;
    world.until(() => downloads.every(({ reason }) => reason() !== ""), "the downloads");
    downloads.forEach(({ hash, reason }, id) => {
      assert.deepEqual([reason(), hash()], ["finished", sha256(content(id))], `download ${id}`);
    });
  });
});
