/** What every link has to do, whatever carries its frames. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { concat } from "../../src/lib/bytes.ts";
import type { Link } from "../../src/link/link.ts";
import { testUnless } from "../sys/support.ts";
import type { TestMemory } from "./test-memory.ts";

/** A link with its guest's side in the test's hands. Frames here have no virtio_net_hdr. */
export interface LinkHarness {
  readonly link: Link;
  readonly memory: TestMemory;
  /** The guest sends; the frame can be received at once. */
  send(frame: Uint8Array): void;
  /** The next frame of the test's ethertype that the guest got; waits for it. */
  receive(): Uint8Array;
  /** The guest's side goes away for good. */
  unplug(): void;
  /** Whether the link then waits for another guest. */
  readonly outlivesGuest: boolean;
}

export interface LinkCase {
  readonly name: string;
  /** Why it cannot run here; empty: it can. */
  readonly skip: string;
  /** Opens a harness, runs `run` on it, and cleans up. */
  with(run: (harness: LinkHarness) => void): Promise<void>;
}

/** For local experiments (IEEE 802): nothing in a kernel answers it. */
export const TEST_ETHERTYPE = 0x88b5;

/** A broadcast frame of `length` octets with a recognisable payload. */
export function testFrame(length: number, mark: number): Uint8Array {
  const frame = Uint8Array.from({ length }, (_, i) => (i * 7 + mark) & 0xff);
  frame.fill(0xff, 0, 6);
  frame.set([0x02, 0, 0, 0, 0, mark], 6);
  frame.set([TEST_ETHERTYPE >>> 8, TEST_ETHERTYPE & 0xff], 12);
  return frame;
}

export function linkSuite(link: LinkCase): void {
  const it = (name: string, run: (harness: LinkHarness) => void) => {
    testUnless(link.skip, name, () => link.with(run));
  };

  describe(`link: ${link.name}`, () => {
    it("has nothing to receive at first", ({ link, memory }) => {
      assert.equal(link.receive(memory, 64), 0);
      assert.equal(link.refused, 0);
    });

    it("receives frames in order, never more than asked", ({ link, memory, send }) => {
      const frames = [60, 1514, 200, 61, 62].map(testFrame);
      for (const frame of frames) send(frame);
      const received: Uint8Array[] = [];
      for (const [max, expected] of [
        [3, 3],
        [0, 0],
        [64, 2],
        [64, 0],
      ] as const) {
        const n = link.receive(memory, max);
        assert.equal(n, expected);
        for (let i = 0; i < n; i += 1) received.push(memory.frame(i));
      }
      const header = new Uint8Array(link.vnetSize);
      assert.deepEqual(
        received,
        frames.map((frame) => concat(header, frame)),
      );
    });

    it("receives frames of the largest MTU", ({ link, memory, send }) => {
      const frame = testFrame(link.mtuMax + 14, 1);
      send(frame);
      assert.equal(link.receive(memory, 1), 1);
      assert.deepEqual(memory.frame(0).subarray(link.vnetSize), frame);
    });

    it("transmits frames in one part and in several", ({ link, memory, receive }) => {
      const header = new Uint8Array(link.vnetSize);
      const [one, many, large] = [testFrame(60, 1), testFrame(1514, 2), testFrame(60_000, 3)];
      const count = memory.putFrames([
        [concat(header, one)],
        [header, many.subarray(0, 14), many.subarray(14, 54), many.subarray(54)],
        [concat(header, large.subarray(0, 100)), large.subarray(100)],
      ]);
      assert.equal(link.transmit(memory, 0, count), 3);
      assert.deepEqual([receive(), receive(), receive()], [one, many, large]);
      assert.equal(link.refused, 0);
    });

    it("transmits from the first frame asked for", ({ link, memory, receive }) => {
      const header = new Uint8Array(link.vnetSize);
      const frames = [1, 2, 3, 4].map((mark) => testFrame(100, mark));
      memory.putFrames(frames.map((frame) => [concat(header, frame)]));
      assert.equal(link.transmit(memory, 2, 3), 1);
      assert.equal(link.transmit(memory, 3, 4), 1);
      assert.equal(link.transmit(memory, 4, 4), 0);
      assert.deepEqual([receive(), receive()], [frames[2], frames[3]]);
    });

    it("skips and counts what the other side would not have", ({ link, memory, receive }) => {
      const header = new Uint8Array(link.vnetSize);
      const [before, after] = [testFrame(64, 1), testFrame(65, 2)];
      memory.putFrames([[concat(header, before)], [header], [concat(header, after)]]);
      assert.equal(link.transmit(memory, 0, 3), 3);
      assert.equal(link.refused, 1);
      assert.deepEqual([receive(), receive()], [before, after]);
    });

    it("skips a frame that points outside the memory", ({ link, memory, receive }) => {
      const header = new Uint8Array(link.vnetSize);
      const good = testFrame(64, 1);
      memory.putFrames([[concat(header, testFrame(64, 9))], [concat(header, good)]]);
      memory.misdirect(0, 16);
      assert.equal(link.transmit(memory, 0, 2), 2);
      assert.equal(link.refused, 1);
      assert.deepEqual(receive(), good);
    });

    it("says when the guest is gone, or drops its frames", (harness) => {
      const { link, memory } = harness;
      memory.putFrames([[concat(new Uint8Array(link.vnetSize), testFrame(64, 1))]]);
      harness.unplug();
      if (harness.outlivesGuest) {
        assert.equal(link.receive(memory, 1), 0);
        assert.equal(link.transmit(memory, 0, 1), 1);
        assert.equal(link.refused, 1);
        return;
      }
      assert.ok(link.receive(memory, 1) < 0);
      assert.ok(link.transmit(memory, 0, 1) < 0);
      assert.equal(link.refused, 0);
    });

    it("is closed once", ({ link, memory }) => {
      link.close();
      link.close();
      assert.ok(link.receive(memory, 1) < 0);
    });
  });
}
