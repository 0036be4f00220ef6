/** Payload that the guest has lent: its pieces in place of engine addresses. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HostEngine } from "../../src/engine/host-engine.ts";
import { instantiateEngine } from "../../src/engine/instance.ts";
import { LentFrames } from "../../src/upstream/lent.ts";
import * as abi from "../../wasm/abi.ts";
import { EFAULT } from "../../wasm/errno.ts";
import { engineModule } from "../support/engine-binary.ts";
import { worldConfig } from "../support/engine-settings.ts";

const BASE = 0x7f12_ffff_0000;
const GUEST = 0x7f45_0000_0000;

/** Calls are noted; addresses are invented. */
class Stage {
  readonly engine = new HostEngine(instantiateEngine(engineModule("simd")));
  readonly frames: LentFrames;
  readonly copies: (readonly [to: number, from: number, length: number])[] = [];
  readonly sends: (readonly [address: number, length: number])[][] = [];
  /** What sends return, beginning with the first; then all that was asked for. */
  readonly results: number[] = [];
  readonly #buffers: ArrayBufferLike[] = [];

  constructor() {
    this.engine.start(worldConfig({ vnetSize: 12 }));
    const address = (buffer: ArrayBufferLike | Uint8Array): number => {
      assert.ok(!(buffer instanceof Uint8Array));
      this.#buffers.push(buffer);
      return this.#buffers.length * 2 ** 40;
    };
    const memcpy = (to: number, from: number, length: number): number => {
      this.copies.push([to, from, length]);
      return 0;
    };
    const sendmsg = (_fd: number, message: number): number => this.#send(message);
    this.frames = new LentFrames({ address, memcpy, sendmsg }, this.engine, BASE);
  }

  /** Engine address of an octet of a slot. */
  slot(i: number, octet = 0): number {
    return this.engine.bases.rxBuffers + i * abi.RX_SLOT_SIZE + octet;
  }

  /** A msghdr with these iovecs, engine addresses; its own engine address. */
  message(...iovecs: readonly (readonly [at: number, length: number])[]): number {
    const { view, bases } = this.engine;
    const at = bases.scratch;
    const iov = at + abi.MSG_SIZE;
    const set = (to: number, value: number): void => view.setBigUint64(to, BigInt(value), true);
    set(at + abi.MSG_IOV_OFFSET, BASE + iov);
    set(at + abi.MSG_IOV_COUNT_OFFSET, iovecs.length);
    iovecs.forEach(([base, length], i) => {
      set(iov + i * abi.IOV_SIZE, BASE + base);
      set(iov + i * abi.IOV_SIZE + abi.IOV_LENGTH_OFFSET, length);
    });
    return at;
  }

  /** Has the engine's list say so. */
  list(...copies: readonly (readonly [to: number, from: number, length: number])[]): void {
    const { view, bases } = this.engine;
    const base = view.getUint32(bases.control + abi.LENT_CONTROL_BASE_OFFSET, true);
    view.setUint32(bases.control + abi.LENT_CONTROL_COUNT_OFFSET, copies.length, true);
    copies.forEach((words, i) => {
      words.forEach((word, j) => {
        view.setUint32(base + i * abi.LENT_COPY_SIZE + 4 * j, word, true);
      });
    });
  }

  #send(message: number): number {
    const block = this.#buffers[Math.floor(message / 2 ** 40) - 1];
    if (block === undefined) {
      this.sends.push([[message, -1]]); // of engine memory
      return 0;
    }
    const view = new DataView(block);
    const iov = Number(view.getBigUint64(abi.MSG_IOV_OFFSET, true));
    const count = Number(view.getBigUint64(abi.MSG_IOV_COUNT_OFFSET, true));
    const words = new BigUint64Array(this.#buffers[Math.floor(iov / 2 ** 40) - 1] ?? block);
    const pieces = Array.from({ length: count }, (_, i) => {
      return [Number(words[2 * i]), Number(words[2 * i + 1])] as const;
    });
    this.sends.push(pieces);
    return this.results.shift() ?? pieces.reduce((sum, [, length]) => sum + length, 0);
  }
}

/** A frame in slot 1 of 66 octets of headers and pieces of 100, 1000 and 50. */
function lent(): Stage {
  const stage = new Stage();
  const { frames } = stage;
  frames.begin(1, 66);
  for (const [at, length] of [
    [0x1000, 100],
    [0xffff_f000, 1000],
    [0x3000, 50],
  ] as const) {
    assert.ok(frames.add(1, GUEST + at, length));
  }
  return stage;
}

describe("upstream: payload that is lent", () => {
  test("is read from its beginning, as far as it goes, and where nothing is lent not", () => {
    const { frames, copies } = lent();
    assert.deepEqual([frames.read(1, 5000, 150), frames.read(1, 7000, 9999)], [150, 1150]);
    assert.deepEqual(copies, [
      [5000, GUEST + 0x1000, 100],
      [5100, GUEST + 0xffff_f000, 50],
      [7000, GUEST + 0x1000, 100],
      [7100, GUEST + 0xffff_f000, 1000],
      [8100, GUEST + 0x3000, 50],
    ]);
    assert.equal(frames.read(0, 5000, 150), 0);
    frames.clear();
    assert.equal(frames.read(1, 5000, 150), 0);
  });

  test("while there is none messages go as they are", () => {
    const stage = new Stage();
    const message = stage.message([stage.slot(1), 10]);
    stage.frames.send(3, message, 0);
    assert.deepEqual(stage.sends, [[[BASE + message, -1]]]);
  });

  test("is sent from where its pieces are, with what is in the slot or elsewhere beside it", () => {
    const stage = lent();
    const chunk = stage.engine.bases.chunks;
    const message = stage.message([stage.slot(1, 66), 1150], [chunk, 7], [stage.slot(2, 9), 5]);
    assert.equal(stage.frames.send(3, message, 0), 1162);
    assert.deepEqual(stage.sends, [
      [
        [GUEST + 0x1000, 100],
        [GUEST + 0xffff_f000, 1000],
        [GUEST + 0x3000, 50],
        [BASE + chunk, 7],
        [BASE + stage.slot(2, 9), 5],
      ],
    ]);
  });

  test("may be asked for from any octet to any other, and back again", () => {
    const stage = lent();
    const message = stage.message(
      [stage.slot(1, 60), 10],
      [stage.slot(1, 165), 2],
      [stage.slot(1, 1000), 200],
      [stage.slot(1, 70), 1],
    );
    stage.frames.send(3, message, 0);
    assert.deepEqual(stage.sends, [
      [
        [BASE + stage.slot(1, 60), 6],
        [GUEST + 0x1000, 4],
        [GUEST + 0x1000 + 99, 1],
        [GUEST + 0xffff_f000, 1],
        [GUEST + 0xffff_f000 + 834, 166],
        [GUEST + 0x3000, 34],
        [GUEST + 0x1004, 1],
      ],
    ]);
  });

  test("of more pieces than a call takes is sent by several, until one is short", () => {
    const stage = new Stage();
    stage.frames.begin(0, 20);
    for (let i = 0; i < 2500; i += 1) stage.frames.add(0, GUEST + 16 * i, 4);
    const message = stage.message([stage.slot(0, 20), 10_000]);
    assert.equal(stage.frames.send(3, message, 0), 10_000);
    assert.deepEqual(
      stage.sends.map((pieces) => pieces.length),
      [1024, 1024, 452],
    );
    for (const [second, sent, calls] of [
      [4095, 8191, 2],
      [-11, 4096, 2],
      [-EFAULT, 4096, 2],
    ] as const) {
      stage.sends.length = 0;
      stage.results.push(4096, second);
      assert.equal(stage.frames.send(3, message, 0), sent);
      assert.equal(stage.sends.length, calls);
    }
    stage.results.push(-32);
    assert.equal(stage.frames.send(3, message, 0), -32);
  });

  test("whose memory is gone is told of until it is given back", () => {
    const stage = lent();
    const message = stage.message([stage.slot(1, 66), 10]);
    stage.results.push(-EFAULT);
    assert.equal(stage.frames.send(3, message, 0), -EFAULT);
    assert.equal(stage.frames.hasFaulted, true);
    stage.frames.clear();
    assert.equal(stage.frames.hasFaulted, false);
    assert.equal(stage.frames.count, 0);
  });

  test("that is not there at all is not sent", () => {
    const stage = lent();
    const message = stage.message([stage.slot(1, 66), 1151]);
    assert.equal(stage.frames.send(3, message, 0), -EFAULT);
    assert.deepEqual(stage.sends, []);
  });

  test("is copied as the engine has listed it, in that order", () => {
    const stage = lent();
    const { chunks } = stage.engine.bases;
    stage.list([chunks + 500, stage.slot(1, 160), 10], [chunks + 505, stage.slot(0, 3), 9]);
    stage.frames.copy();
    assert.deepEqual(stage.copies, [
      [BASE + chunks + 500, GUEST + 0x1000 + 94, 6],
      [BASE + chunks + 506, GUEST + 0xffff_f000, 4],
      [BASE + chunks + 505, BASE + stage.slot(0, 3), 9],
    ]);
  });

  test("is put into its slot where the engine still needs it", () => {
    const stage = lent();
    const { view, bases } = stage.engine;
    const word = bases.rxDescriptors + abi.RX_DESCRIPTOR_SIZE + abi.RX_DESCRIPTOR_LENGTH_OFFSET;
    view.setUint32(word, 1216 + 66 * 2 ** abi.LENT_SHIFT, true);
    stage.frames.settle();
    assert.deepEqual(stage.copies, [
      [BASE + stage.slot(1, 66), GUEST + 0x1000, 100],
      [BASE + stage.slot(1, 166), GUEST + 0xffff_f000, 1000],
      [BASE + stage.slot(1, 1166), GUEST + 0x3000, 50],
    ]);
    assert.equal(view.getUint32(word, true), 1216);
    stage.frames.send(3, stage.message([stage.slot(1, 66), 10]), 0);
    assert.deepEqual(stage.sends, [[[BASE + stage.slot(1, 66), 10]]]);
  });

  test("finds no room at some point, and is taken back", () => {
    const stage = new Stage();
    const { frames } = stage;
    frames.begin(0, 20);
    let pieces = 0;
    while (frames.add(0, GUEST, 1)) pieces += 1;
    assert.equal(pieces, 4096);
    frames.cancel(0);
    assert.equal(frames.count, 0);
    frames.begin(0, 20);
    assert.ok(frames.add(0, GUEST, 1));
    assert.equal(frames.count, 1);
  });
});
