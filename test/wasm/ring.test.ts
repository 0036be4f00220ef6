/** Operations in two banks, message records, frames for the guest, payload entries. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as abi from "../../wasm/abi.ts";
import { configureBase, counter, loadBase } from "../support/base-module.ts";
import { type TestModule, VARIANTS } from "../support/wasm.ts";

const HOST_BASE = 0x7f12_ffff_0000n;
const PIECES_MAX = 12;
const HEADROOM = 16;
const ENTRY_COUNT = 256;

const control = (wasm: TestModule, offset: number): number =>
  wasm.view.getUint32(wasm.u32("controlBase") + offset, true);

/** Base and length of iovec number `i`. */
function iovec(wasm: TestModule, iov: number, i: number): [bigint, bigint] {
  const at = iov + i * abi.IOV_SIZE;
  return [
    wasm.view.getBigUint64(at + abi.IOV_BASE_OFFSET, true),
    wasm.view.getBigUint64(at + abi.IOV_LENGTH_OFFSET, true),
  ];
}

/** IOV, IOV_COUNT, LENGTH and HANDLE of frame number `i`. */
function txRecord(wasm: TestModule, i: number): [number, number, number, number] {
  const at = wasm.u32("txRecords") + i * abi.TX_RECORD_SIZE;
  const word = (offset: number): number => wasm.view.getUint32(at + offset, true);
  return [
    word(abi.TX_IOV_OFFSET),
    word(abi.TX_IOV_COUNT_OFFSET),
    word(abi.TX_LENGTH_OFFSET),
    word(abi.TX_HANDLE_OFFSET),
  ];
}

for (const variant of VARIANTS) {
  const wasm = loadBase(variant);

  describe(`wasm/ring: operations (${variant})`, () => {
    test("a full bank gives 0, and the host finds what is in it", () => {
      configureBase(wasm);
      const ops = Array.from({ length: abi.OP_CAPACITY_COUNT }, (_, i) =>
        wasm.u32("opAlloc", abi.OP_CLOSE, 0x10000 + i),
      );
      assert.equal(wasm.i32("opsFree"), 0);
      assert.equal(wasm.u32("opAlloc", abi.OP_CLOSE, 1), 0);
      assert.equal(control(wasm, abi.CONTROL_OP_COUNT_OFFSET), 0, "not before it is published");
      wasm.run("ringPublish");
      assert.equal(control(wasm, abi.CONTROL_OP_COUNT_OFFSET), abi.OP_CAPACITY_COUNT);
      const base = control(wasm, abi.CONTROL_OP_BASE_OFFSET);
      ops.forEach((op, i) => {
        assert.equal(op, base + i * abi.OP_SIZE);
      });
    });

    test("results stay readable while the other bank fills with clean records", () => {
      configureBase(wasm);
      const written: number[] = [];
      for (let turn = 0; turn < 4; turn += 1) {
        const op = wasm.u32("opAlloc", abi.OP_TCP_SEND, turn + 1);
        const fresh = wasm.read(op + abi.OP_RESULT_OFFSET, abi.OP_SIZE - abi.OP_RESULT_OFFSET);
        assert.deepEqual(fresh, new Uint8Array(fresh.length), `turn ${turn}`);
        assert.equal(wasm.view.getInt32(op + abi.OP_KIND_OFFSET, true), abi.OP_TCP_SEND);
        assert.equal(wasm.view.getUint32(op + abi.OP_HANDLE_OFFSET, true), turn + 1);
        wasm.poison(op + abi.OP_RESULT_OFFSET, abi.OP_SIZE - abi.OP_RESULT_OFFSET);
        wasm.view.setInt32(op + abi.OP_RESULT_OFFSET, ~turn, true);
        wasm.run("ringTurn");
        assert.equal(wasm.u32("resultBase"), op);
        assert.equal(wasm.i32("resultCount"), 1);
        wasm.run("opAlloc", abi.OP_CLOSE, 99);
        assert.equal(wasm.i32("opResult", op), ~turn);
        wasm.run("ringTurn");
        written.push(op);
      }
      assert.equal(new Set(written).size, 1, "every other turn uses the same bank");
    });

    test("iovecs come in runs, or not at all", () => {
      configureBase(wasm, { hostBase: HOST_BASE });
      const iov = wasm.u32("iovAlloc", 3);
      wasm.run("iovSet", iov, 2, 0x1234, 77);
      assert.deepEqual(iovec(wasm, iov, 2), [HOST_BASE + 0x1234n, 77n]);
      assert.equal(wasm.u32("iovAlloc", 1), iov + 3 * abi.IOV_SIZE);
      const left = abi.IOV_CAPACITY_COUNT - 4;
      assert.equal(wasm.i32("iovsFree"), left);
      assert.equal(wasm.u32("iovAlloc", left + 1), 0);
      assert.notEqual(wasm.u32("iovAlloc", left), 0);
      assert.equal(wasm.u32("iovAlloc", 1), 0);
      wasm.run("ringTurn");
      assert.equal(wasm.i32("iovsFree"), abi.IOV_CAPACITY_COUNT);
    });
  });

  describe(`wasm/ring: messages (${variant})`, () => {
    test("each message has a name and a control buffer nobody else has, in both banks", () => {
      configureBase(wasm);
      const names = new Set<number>();
      const controls = new Set<number>();
      for (let bank = 0; bank < 2; bank += 1) {
        const first = wasm.u32("msgAlloc", abi.MSG_CAPACITY_COUNT);
        assert.notEqual(first, 0);
        assert.equal(wasm.u32("msgAlloc", 1), 0);
        assert.equal(wasm.i32("msgsFree"), 0);
        for (let i = 0; i < abi.MSG_CAPACITY_COUNT; i += 1) {
          names.add(wasm.u32("msgName", first + i * abi.MSG_SIZE) / abi.MSG_NAME_SIZE);
          controls.add(wasm.u32("msgControl", first + i * abi.MSG_SIZE) / abi.MSG_CONTROL_SIZE);
        }
        wasm.run("ringTurn");
      }
      // Equal distances of a whole record: distinct quotients cannot overlap.
      for (const set of [names, controls]) {
        assert.equal(set.size, 2 * abi.MSG_CAPACITY_COUNT);
        const sorted = [...set].sort((a, b) => a - b);
        const span = (sorted.at(-1) ?? 0) - (sorted[0] ?? 0);
        assert.equal(span, 2 * abi.MSG_CAPACITY_COUNT - 1);
      }
    });

    test("a message is zeroed, and carries a sockaddr_in in network order", () => {
      configureBase(wasm, { hostBase: HOST_BASE });
      const used = wasm.u32("msgAlloc", 2);
      wasm.poison(used, 2 * abi.MSG_SIZE);
      wasm.poison(wasm.u32("msgName", used), abi.MSG_NAME_SIZE);
      wasm.run("ringTurn");
      wasm.run("ringTurn");
      const message = wasm.u32("msgAlloc", 2);
      assert.equal(message, used);
      assert.deepEqual(wasm.read(message, 2 * abi.MSG_SIZE), new Uint8Array(2 * abi.MSG_SIZE));
      wasm.run("msgSetName4", message, 0xc6336450, 0x1f90);
      const name = wasm.u32("msgName", message);
      const wanted = [2, 0, 0x1f, 0x90, 0xc6, 0x33, 0x64, 0x50, 0, 0, 0, 0, 0, 0, 0, 0];
      assert.deepEqual([...wasm.read(name, 16)], wanted);
      wasm.run("msgSetIov", message, 0x40, 3);
      const field = (offset: number): bigint => wasm.view.getBigUint64(message + offset, true);
      assert.equal(field(abi.MSG_NAME_OFFSET), HOST_BASE + BigInt(name));
      assert.equal(field(abi.MSG_NAME_LENGTH_OFFSET), 16n);
      assert.equal(field(abi.MSG_IOV_OFFSET), HOST_BASE + 0x40n);
      assert.equal(field(abi.MSG_IOV_COUNT_OFFSET), 3n);
    });
  });

  describe(`wasm/ring: frames (${variant})`, () => {
    for (const vnetSize of [0, 10, 12]) {
      test(`pieces follow the header, with a virtio_net_hdr of ${vnetSize}`, () => {
        configureBase(wasm, { vnetSize, hostBase: HOST_BASE });
        const frame = wasm.u32("txBegin");
        wasm.run("txHeader", frame, 54);
        wasm.run("txPiece", 0x5000, 1000);
        wasm.run("txPiece", 0x9000, 460);
        wasm.run("txEnd", 0x30007);
        const [iov, count, length, handle] = txRecord(wasm, 0);
        assert.deepEqual([count, length, handle], [3, vnetSize + 1514, 0x30007]);
        assert.deepEqual(
          [0, 1, 2].map((i) => iovec(wasm, iov, i)),
          [
            [HOST_BASE + BigInt(frame - vnetSize), BigInt(54 + vnetSize)],
            [HOST_BASE + 0x5000n, 1000n],
            [HOST_BASE + 0x9000n, 460n],
          ],
        );
        assert.equal(counter(wasm, abi.STAT_GUEST_TX_FRAMES), 1n);
        assert.equal(counter(wasm, abi.STAT_GUEST_TX_BYTES), 1514n);
        wasm.run("ringPublish");
        assert.equal(control(wasm, abi.CONTROL_TX_COUNT_OFFSET), 1);
      });
    }

    test("the offload header of one frame does not leak into the next in its slot", () => {
      configureBase(wasm, { vnetSize: 12 });
      const frame = wasm.u32("txBegin");
      wasm.run("txOffload", frame, 1, 66, 1448, 34, 16);
      const wanted = [1, 1, 66, 0, 1448 & 255, 1448 >> 8, 34, 0, 16, 0, 0, 0];
      assert.deepEqual([...wasm.read(frame - 12, 12)], wanted);
      wasm.run("txCommit", frame, 60, 0);
      wasm.run("txReset");
      assert.equal(wasm.u32("txBegin"), frame);
      assert.deepEqual(wasm.read(frame - HEADROOM, HEADROOM), new Uint8Array(HEADROOM));
    });

    test("a full list gives 0 and counts it, whatever the frames are made of", () => {
      for (const pieces of [1, PIECES_MAX]) {
        configureBase(wasm);
        const slots = new Set<number>();
        for (let i = 0; i < abi.TX_CAPACITY_COUNT; i += 1) {
          const frame = wasm.u32("txBegin");
          assert.notEqual(frame, 0, `frame ${i} of ${pieces} pieces`);
          slots.add(frame);
          wasm.run("txHeader", frame, 60);
          for (let piece = 1; piece < pieces; piece += 1) wasm.run("txPiece", 0x5000, 1);
          wasm.run("txEnd", 0);
        }
        assert.equal(slots.size, abi.TX_CAPACITY_COUNT);
        assert.equal(wasm.i32("txFree"), 0);
        assert.equal(wasm.u32("txBegin"), 0);
        assert.equal(counter(wasm, abi.STAT_COUNT + abi.DROP_TX_FULL), 1n);
        wasm.run("txReset");
        assert.equal(wasm.i32("txFree"), abi.TX_CAPACITY_COUNT);
        assert.notEqual(wasm.u32("txBegin"), 0);
      }
    });

    test("a frame that is begun and given up takes no room", () => {
      configureBase(wasm);
      const frame = wasm.u32("txBegin");
      assert.equal(wasm.u32("txBegin"), frame);
      assert.equal(wasm.i32("txFree"), abi.TX_CAPACITY_COUNT);
    });
  });

  describe(`wasm/ring: payload of a batch (${variant})`, () => {
    test("entries run out, and are all there again for the next batch", () => {
      configureBase(wasm);
      for (let i = 0; i < ENTRY_COUNT; i += 1) {
        assert.equal(wasm.i32("entryAlloc", 0x1000 + i, i), i);
      }
      assert.equal(wasm.i32("entryAlloc", 1, 1), -1);
      assert.equal(wasm.u32("entryPointer", 200), 0x1000 + 200);
      assert.equal(wasm.u32("entryLength", 200), 200);
      assert.equal(wasm.i32("entryNext", 200), -1);
      wasm.run("batchReset");
      assert.equal(wasm.i32("entryAlloc", 7, 8), 0);
    });
  });
}
