/** Sizes of socket buffers: large for who moves data, small for the many, within a budget. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Libc } from "../../src/sys/libc.ts";
import {
  SO_BUF_LOCK,
  SO_RCVBUF,
  SO_SNDBUF,
  SOL_SOCKET,
  SOL_TCP,
  TCP_WINDOW_CLAMP,
} from "../../src/sys/linux.ts";
import { SocketBuffers } from "../../src/upstream/buffers.ts";
import { FLOW_CAPACITY_COUNT } from "../../wasm/abi.ts";

const MIB = 1 << 20;
const SECOND = 1_000_000;
/** Octets that make a small socket busy. */
const BUSY = 16_384;

/** Sockets by slot; the descriptor of a slot is the slot + 1000. */
class Stage {
  readonly buffers: SocketBuffers;
  readonly fds = new Int32Array(FLOW_CAPACITY_COUNT).fill(-1);
  /** Options set, by descriptor, newest last. */
  readonly options = new Map<number, string[]>();
  calls = 0;
  now = SECOND;

  constructor(budget: number) {
    let value = 0;
    const names = new Map([
      [`${SOL_SOCKET} ${SO_RCVBUF}`, "receive"],
      [`${SOL_SOCKET} ${SO_SNDBUF}`, "send"],
      [`${SOL_SOCKET} ${SO_BUF_LOCK}`, "lock"],
      [`${SOL_TCP} ${TCP_WINDOW_CLAMP}`, "clamp"],
    ]);
    const sys = {
      scratch: {
        address: 0,
        setI32: (_: number, wanted: number) => {
          value = wanted;
        },
      },
      setsockopt: (fd: number, level: number, name: number) => {
        this.calls += 1;
        const list = this.options.get(fd) ?? [];
        list.push(`${names.get(`${level} ${name}`)} ${value}`);
        this.options.set(fd, list);
        return 0;
      },
    };
    this.buffers = new SocketBuffers(sys as unknown as Libc, budget, () => this.now);
  }

  open(slot: number, isDatagram = false): void {
    this.fds[slot] = slot + 1000;
    this.buffers.opened(this.fds, slot, slot + 1000, isDatagram);
  }

  close(slot: number): void {
    this.buffers.closed(slot);
    this.fds[slot] = -1;
  }

  move(slot: number, octets: number): void {
    this.buffers.moved(this.fds, slot, octets);
  }

  /** Last options set on the socket of a slot. */
  last(slot: number, count: number): string[] {
    return (this.options.get(slot + 1000) ?? []).slice(-count);
  }
}

/** Sizes in a stage of 8 MiB: 2 free, 4 large, the rest small. */
const TIGHT = 8 * MIB;

describe("SocketBuffers", () => {
  test("without a bound no socket of TCP costs a call, and datagrams have room for a burst", () => {
    const stage = new Stage(Number.POSITIVE_INFINITY);
    for (let slot = 0; slot < 2000; slot += 1) stage.open(slot);
    assert.equal(stage.calls, 0);
    assert.deepEqual(stage.buffers.counts, { small: 0, large: 0, free: 2000 });
    stage.open(5000, true);
    assert.deepEqual(stage.last(5000, 2), [`receive ${MIB}`, `send ${MIB}`]);
  });

  test("the first have the best places, the many are small", () => {
    const stage = new Stage(TIGHT);
    for (let slot = 0; slot < 100; slot += 1) stage.open(slot);
    assert.deepEqual(stage.buffers.counts, { small: 94, large: 4, free: 2 });
    assert.deepEqual(stage.options.get(1000), undefined);
    assert.deepEqual(stage.last(2, 3), [`receive ${MIB}`, `send ${MIB}`, `clamp ${MIB}`]);
  });

  test("small ones together stay within a quarter of the budget, or at the least there is", () => {
    const stage = new Stage(TIGHT);
    for (let slot = 0; slot < 256; slot += 1) stage.open(slot);
    const size = stage.buffers.smallSize;
    assert.ok(size * 2 * 250 <= (TIGHT / 4) * 2, `${size} each`);
    assert.equal(stage.last(255, 2)[0], `receive ${size / 2}`);
    for (let slot = 256; slot < 20_000; slot += 1) stage.open(slot);
    assert.equal(stage.buffers.smallSize, 4096);
    assert.equal(stage.last(6, 2)[0], "receive 2048", "made smaller as others came");
    assert.ok(stage.calls < 20_000 * 6, `${stage.calls} calls`);
  });

  test("a small one that is busy gets the place of one that is not, at once", () => {
    const stage = new Stage(TIGHT);
    for (let slot = 0; slot < 20; slot += 1) stage.open(slot);
    for (let slot = 0; slot < 5; slot += 1) stage.move(slot, BUSY);
    stage.move(5, 1); // a word is no work
    stage.move(19, BUSY - 1);
    assert.deepEqual(stage.last(19, 2), ["receive 32768", "send 32768"]);
    stage.move(19, 1);
    const wanted = [`receive ${MIB}`, `send ${MIB}`, `clamp ${MIB}`];
    assert.deepEqual(stage.last(19, 3), wanted);
    assert.deepEqual(stage.last(5, 2), ["receive 32768", "send 32768"]);
    assert.deepEqual(stage.buffers.counts, { small: 14, large: 4, free: 2 });
  });

  test("among busy ones nobody is robbed, and nobody looks more than once a second", () => {
    const stage = new Stage(TIGHT);
    for (let slot = 0; slot < 20; slot += 1) stage.open(slot);
    const before = stage.calls;
    for (let round = 0; round < 100; round += 1) {
      for (let slot = 0; slot < 20; slot += 1) stage.move(slot, BUSY);
    }
    assert.equal(stage.calls, before);
    stage.now += SECOND;
    for (let slot = 6; slot < 20; slot += 1) stage.move(slot, BUSY);
    assert.deepEqual(stage.buffers.counts, { small: 14, large: 4, free: 2 });
    assert.ok(stage.calls <= before + 40, "those that were still for a second gave way");
  });

  test("whoever found no place moves as much once more before it is looked for again", () => {
    const stage = new Stage(TIGHT);
    for (let slot = 0; slot < 7; slot += 1) stage.open(slot);
    for (let slot = 0; slot < 6; slot += 1) stage.move(slot, BUSY);
    const small = ["receive 32768", "send 32768"];
    stage.move(6, BUSY); // the others were busy until this look
    assert.deepEqual(stage.last(6, 2), small);
    stage.now += SECOND;
    stage.move(6, BUSY - 1);
    assert.deepEqual(stage.last(6, 2), small);
    stage.move(6, 1);
    assert.deepEqual(stage.last(6, 2), [`clamp ${MIB}`, "lock 0"]);
  });

  test("a look is due a second after the last one, whatever that was for", () => {
    for (const look of [
      (stage: Stage) => stage.move(6, BUSY),
      (stage: Stage) => stage.buffers.tighten(stage.fds),
    ]) {
      const stage = new Stage(TIGHT);
      for (let slot = 0; slot < 7; slot += 1) stage.open(slot);
      for (let slot = 0; slot < 6; slot += 1) stage.move(slot, BUSY);
      look(stage);
      assert.deepEqual(stage.buffers.counts, { small: 1, large: 4, free: 2 });
      stage.now += SECOND - 1;
      stage.move(6, BUSY);
      assert.deepEqual(stage.buffers.counts, { small: 1, large: 4, free: 2 });
      stage.now += 1;
      stage.move(6, BUSY);
      assert.deepEqual(stage.buffers.counts, { small: 6, large: 0, free: 1 });
    }
  });

  test("one that got a place keeps it until the next look but one", () => {
    const stage = new Stage(TIGHT);
    for (let slot = 0; slot < 7; slot += 1) stage.open(slot);
    stage.close(0);
    stage.move(6, BUSY);
    stage.buffers.tighten(stage.fds);
    assert.deepEqual(stage.buffers.counts, { small: 5, large: 0, free: 1 });
    stage.move(6, BUSY - 1);
    stage.move(6, 1);
    stage.buffers.tighten(stage.fds);
    assert.equal(stage.buffers.counts.free, 1, "it was busy once more");
    stage.buffers.tighten(stage.fds);
    assert.equal(stage.buffers.counts.free, 0);
  });

  test("what a slot's socket before has moved counts for nothing", () => {
    const stage = new Stage(TIGHT);
    for (let slot = 0; slot < 7; slot += 1) stage.open(slot);
    stage.move(6, BUSY - 1);
    stage.close(6);
    stage.open(6);
    stage.move(6, 1);
    assert.deepEqual(stage.last(6, 2), ["receive 32768", "send 32768"]);
  });

  test("a place that is given up goes to the next, with the kernel's own adjustment", () => {
    const stage = new Stage(TIGHT);
    for (let slot = 0; slot < 7; slot += 1) stage.open(slot);
    stage.close(0);
    stage.move(6, BUSY);
    assert.deepEqual(stage.last(6, 2), [`clamp ${MIB}`, "lock 0"]);
    assert.deepEqual(stage.buffers.counts, { small: 0, large: 4, free: 2 });
  });

  test("when memory is short idle ones become small, busy ones only when they rest", () => {
    const stage = new Stage(TIGHT);
    for (let slot = 0; slot < 6; slot += 1) stage.open(slot);
    stage.move(0, BUSY);
    stage.move(1, 1);
    stage.buffers.tighten(stage.fds);
    assert.deepEqual(stage.buffers.counts, { small: 5, large: 0, free: 1 });
    stage.buffers.tighten(stage.fds);
    assert.deepEqual(stage.buffers.counts, { small: 6, large: 0, free: 0 });
  });

  test("what is closed twice or was never opened counts for nothing", () => {
    const stage = new Stage(TIGHT);
    stage.close(3);
    stage.open(3);
    stage.close(3);
    stage.close(3);
    assert.deepEqual(stage.buffers.counts, { small: 0, large: 0, free: 0 });
    stage.open(4);
    assert.deepEqual(stage.buffers.counts, { small: 0, large: 0, free: 1 });
  });

  test("the first socket has all of the share of small ones, up to a bound", () => {
    assert.equal(new Stage(262_144).buffers.smallSize, 32_768);
    assert.equal(new Stage(1024).buffers.smallSize, 4096);
    assert.equal(new Stage(TIGHT).buffers.smallSize, 65_536);
    const stage = new Stage(262_144);
    for (let i = 0; i < 3; i += 1) {
      stage.open(1);
      stage.close(1);
      assert.equal(stage.buffers.smallSize, 32_768);
    }
  });

  test("what small ones are made for shrinks only where three in four have gone", () => {
    const stage = new Stage(4 * MIB);
    const sizes: number[] = [];
    const look = () => sizes.push(stage.buffers.smallSize);
    for (let slot = 0; slot < 64; slot += 1) stage.open(slot);
    look();
    stage.close(63);
    look();
    for (let slot = 16; slot < 63; slot += 1) stage.close(slot);
    look();
    stage.close(15);
    look();
    assert.deepEqual(sizes, [8192, 8192, 8192, 17_476]);
  });

  test("half of the budget is for free ones of 2 MiB, a quarter for large ones of 1 MiB", () => {
    for (const [budget, free, large] of [
      [64 * MIB, 16, 16],
      [63 * MIB, 15, 15],
      [12 * MIB, 3, 4],
      [MIB, 1, 4],
    ] as const) {
      const stage = new Stage(budget);
      for (let slot = 0; slot < 40; slot += 1) stage.open(slot);
      assert.deepEqual(stage.buffers.counts, { free, large, small: 40 - free - large });
    }
  });

  test("all that are idle become small, the first and the last of them too", () => {
    const stage = new Stage(64 * MIB);
    const slots = [0, 1, 500, FLOW_CAPACITY_COUNT - 1];
    for (const slot of slots) stage.open(slot);
    stage.buffers.tighten(stage.fds);
    assert.deepEqual(stage.buffers.counts, { free: 0, large: 0, small: slots.length });
  });
});
