/** Modelled host sockets: edges, full buffers, ends and failures as the kernel has them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { VirtualClock } from "../../../src/lab/sim/clock.ts";
import type { HostSocket } from "../../../src/lab/sim/host/socket.ts";
import { StreamSocket } from "../../../src/lab/sim/host/stream.ts";
import { fillPattern, findMismatch } from "../../../src/lab/sim/pattern.ts";
import {
  FAULTLESS_HOST,
  type HostFaults,
  type PeerPlan,
  type TcpPlan,
} from "../../../src/lab/sim/plan.ts";
import { Random } from "../../../src/lab/sim/random.ts";
import {
  EVENT_ERROR,
  EVENT_READ_HANGUP,
  EVENT_READABLE,
  EVENT_WRITABLE,
} from "../../../wasm/abi.ts";
import { EAGAIN, ECONNREFUSED, ECONNRESET } from "../../../wasm/errno.ts";

const PEER: PeerPlan = {
  connect: { kind: "ok", delay: 0 },
  ...{ latency: 100, rate: 0, sendBuffer: 1000, receiveBuffer: 500, sendAfter: 0 },
  ...{ closeWhen: "sent", stalls: 0, stall: 0, resetAt: undefined },
};

class Bench {
  readonly clock = new VirtualClock();
  readonly faults: string[] = [];
  edges = 0;
  readonly socket: StreamSocket;

  constructor(
    up: number,
    down: number,
    peer: Partial<PeerPlan> = {},
    host: Partial<HostFaults> = {},
  ) {
    const owner = {
      clock: this.clock,
      random: new Random(1),
      faults: { ...FAULTLESS_HOST, ...host },
      isCalm: false,
      isOffline: false,
      edge: (_socket: HostSocket) => {
        this.edges += 1;
      },
      fault: (text: string) => void this.faults.push(text),
    };
    const plan = { id: 0, up, down, peer: { ...PEER, ...peer } };
    this.socket = new StreamSocket(owner, 1, plan as unknown as TcpPlan);
  }

  send(length: number): number {
    const octets = new Uint8Array(length);
    fillPattern(0, this.socket.taken, octets);
    return this.socket.send([octets.subarray(0, 1), octets.subarray(1)], length);
  }

  receive(length: number): number {
    const octets = new Uint8Array(length);
    const before = this.socket.received;
    const result = this.socket.receive([octets], length);
    if (result > 0) assert.equal(findMismatch(1, before, octets.subarray(0, result)), -1);
    return result;
  }

  advance(microseconds: number): void {
    const end = this.clock.now + microseconds;
    while (this.clock.runNext(end));
    this.clock.advance(end);
  }
}

describe("sim/host/stream", () => {
  test("connected at once, or later with an edge", () => {
    assert.equal(new Bench(0, 0).socket.connect(), 1);
    const later = new Bench(0, 0, { connect: { kind: "ok", delay: 50 } });
    assert.equal(later.socket.connect(), 0);
    assert.equal(later.socket.events, 0);
    later.advance(50);
    assert.equal(later.edges, 1);
    assert.equal(later.socket.events & EVENT_WRITABLE, EVENT_WRITABLE);
  });

  test("a refused connection shows as an error, told once", () => {
    const connect = { kind: "fails", delay: 50, errno: ECONNREFUSED } as const;
    const bench = new Bench(0, 0, { connect });
    assert.equal(bench.socket.connect(), 0);
    bench.advance(50);
    assert.equal(bench.socket.events & EVENT_ERROR, EVENT_ERROR);
    assert.equal(bench.socket.takeError(), ECONNREFUSED);
    assert.equal(bench.socket.takeError(), 0);
    const atOnce = { ...connect, delay: 0 };
    assert.equal(new Bench(0, 0, { connect: atOnce }).socket.connect(), -ECONNREFUSED);
  });

  test("a full buffer takes a part, then nothing; an edge tells of room", () => {
    const bench = new Bench(3000, 0, { closeWhen: "peer-ended" });
    bench.socket.connect();
    assert.equal(bench.send(1500), 1000);
    assert.equal(bench.send(500), -EAGAIN);
    bench.advance(100);
    assert.equal(bench.edges, 1);
    assert.equal(bench.send(500), 500);
    assert.deepEqual(bench.faults, []);
  });

  test("what is not the guest's stream is a fault", () => {
    const bench = new Bench(10, 0);
    bench.socket.connect();
    bench.socket.send([Uint8Array.of(1, 2, 3)], 3);
    assert.match(bench.faults.join(), /stream 0 up: octet 0/);
  });

  test("the peer sends what the window lets it, goes on when it was read, then ends", () => {
    const bench = new Bench(0, 1200);
    bench.socket.connect();
    bench.advance(1000);
    assert.equal(bench.receive(2000), 500);
    assert.equal(bench.receive(10), -EAGAIN);
    bench.advance(1000);
    assert.equal(bench.receive(2000), 500);
    bench.advance(1000);
    assert.equal(bench.socket.events & EVENT_READ_HANGUP, EVENT_READ_HANGUP);
    assert.equal(bench.receive(150), 150);
    assert.equal(bench.receive(150), 50);
    assert.equal(bench.receive(150), 0);
  });

  test("a peer that waits for a request sends nothing before it", () => {
    const bench = new Bench(10, 10, { sendAfter: 10, closeWhen: "peer-ended" });
    bench.socket.connect();
    bench.advance(1000);
    assert.equal(bench.socket.events & EVENT_READABLE, 0);
    bench.send(10);
    bench.advance(1000);
    assert.equal(bench.receive(20), 10);
    assert.equal(bench.receive(20), -EAGAIN);
    bench.socket.shutdown();
    bench.advance(1000);
    assert.equal(bench.receive(20), 0);
  });

  test("a reset is told once, then the stream is over", () => {
    const bench = new Bench(100, 0, { resetAt: 50, closeWhen: "peer-ended" });
    bench.socket.connect();
    bench.send(60);
    bench.advance(1000);
    assert.equal(bench.receive(10), -ECONNRESET);
    assert.equal(bench.receive(10), 0);
  });

  test("after shutdown nothing more may be sent, and not twice", () => {
    const bench = new Bench(100, 0);
    bench.socket.connect();
    assert.equal(bench.socket.shutdown(), 0);
    bench.send(1);
    bench.socket.shutdown();
    assert.deepEqual(bench.faults, ["sends after shutdown", "shuts down twice"]);
  });

  test("EAGAIN for no reason is followed by an edge", () => {
    const bench = new Bench(100, 0, { closeWhen: "peer-ended" }, { again: 1_000_000 });
    bench.socket.connect();
    assert.equal(bench.send(10), -EAGAIN);
    bench.advance(30_000);
    assert.equal(bench.edges, 1);
  });
});
