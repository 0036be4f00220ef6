/** Offload frames cut as a kernel would, and marked as a driver would. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  addSum,
  checksumOf,
  foldSum,
  get16,
  get32,
  set16,
  set32,
} from "../../src/lab/sim/guest/octets.ts";
import { Nic, VNET_SIZE } from "../../src/lab/sim/nic.ts";

const MTU = 1500;
const START = 34;

/** An Ethernet frame with IPv4 and TCP headers and a payload that counts. */
function tcpFrame(payload: number, flags = 0x19): Uint8Array {
  const frame = new Uint8Array(54 + payload);
  frame.set([8, 0, 0x45, 0], 12);
  set16(frame, 16, frame.length - 14);
  frame.set([64, 6], 22);
  set32(frame, 26, 0x0a000202);
  set32(frame, 30, 0x0a00020f);
  set32(frame, START + 4, 0xfffffff0);
  frame.set([0x50, flags], START + 12);
  for (let i = 0; i < payload; i += 1) frame[54 + i] = i * 7;
  return frame;
}

function pseudoSum(frame: Uint8Array, length: number): number {
  return addSum(frame, 26, 8, 6 + length);
}

function fromEngine(octets: Uint8Array): { frames: Uint8Array[]; faults: string[] } {
  const frames: Uint8Array[] = [];
  const faults: string[] = [];
  new Nic(MTU, (text) => faults.push(text)).fromEngine(octets, (f) => void frames.push(f.slice()));
  return { frames, faults };
}

function offload(frame: Uint8Array, header: readonly number[]): Uint8Array {
  const octets = new Uint8Array(VNET_SIZE + frame.length);
  octets.set(header);
  octets.set(frame, VNET_SIZE);
  set16(octets, VNET_SIZE + START + 16, foldSum(pseudoSum(frame, frame.length - START)));
  return octets;
}

describe("sim/nic", () => {
  test("a frame without offload passes as it is", () => {
    const frame = tcpFrame(10);
    const octets = new Uint8Array(VNET_SIZE + frame.length);
    octets.set(frame, VNET_SIZE);
    assert.deepEqual(fromEngine(octets).frames, [frame]);
  });

  test("an offload frame becomes segments with right lengths, numbers, flags and checksums", () => {
    const frame = tcpFrame(3500);
    const octets = offload(frame, [1, 1, 54, 0, 1460 & 255, 1460 >> 8, START, 0, 16, 0]);
    const { frames, faults } = fromEngine(octets);
    assert.deepEqual(faults, []);
    assert.deepEqual(
      frames.map((each) => each.length - 54),
      [1460, 1460, 580],
    );
    frames.forEach((each, i) => {
      const length = each.length - START;
      assert.equal(foldSum(addSum(each, START, length, pseudoSum(each, length))), 0xffff);
      assert.equal(foldSum(addSum(each, 14, 20, 0)), 0xffff);
      assert.equal(get32(each, START + 4), (0xfffffff0 + i * 1460) >>> 0);
      assert.equal(get16(each, 18), i);
      assert.equal(each[START + 13], i < 2 ? 0x10 : 0x19);
    });
  });

  test("a checksum that was left is completed", () => {
    const { frames } = fromEngine(offload(tcpFrame(100), [1, 0, 0, 0, 0, 0, START, 0, 16, 0]));
    const [frame = new Uint8Array(0)] = frames;
    const length = frame.length - START;
    assert.equal(foldSum(addSum(frame, START, length, pseudoSum(frame, length))), 0xffff);
  });

  const wrong: readonly (readonly [string, readonly number[]])[] = [
    ["unknown flags", [4]],
    ["offload without checksum", [0, 1, 54, 0, 100, 0, START, 0, 16, 0]],
    ["segments of nothing", [1, 1, 54, 0, 0, 0, START, 0, 16, 0]],
    ["segments larger than the MTU", [1, 1, 54, 0, 0, 16, START, 0, 16, 0]],
    ["a checksum beyond the end", [1, 0, 0, 0, 0, 0, 200, 15, 16, 0]],
  ];
  for (const [what, header] of wrong) {
    test(`${what} is a fault`, () => {
      assert.notEqual(fromEngine(offload(tcpFrame(3500), header)).faults.length, 0);
    });
  }

  test("what the guest sends: plain, looked at, left to complete; large ones marked", () => {
    const nic = new Nic(MTU, assert.fail);
    const frame = tcpFrame(100);
    set16(frame, START + 16, 0);
    set16(frame, START + 16, checksumOf(addSum(frame, START, 120, pseudoSum(frame, 120))));
    const kinds = [1, 2, 3].map(() => nic.fromGuest(frame, true)?.[0]);
    assert.deepEqual([...kinds].sort(), [0, 1, 2]);
    const large = nic.fromGuest(tcpFrame(5000), true) ?? new Uint8Array(0);
    assert.deepEqual([...large.subarray(0, 10)], [1, 1, 54, 0, 0xb4, 5, START, 0, 16, 0]);
    assert.equal(nic.fromGuest(tcpFrame(5000), false), undefined);
    assert.equal(nic.fromGuest(frame, false)?.[0], 0);
  });
});
