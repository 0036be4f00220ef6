/** Names of this machine itself, in all forms that the kernel takes for it, and those close by. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  isLocal4,
  isLocal6,
  isLoopback4,
  isLoopback6,
  portOf,
} from "../../src/upstream/socket-name.ts";

const NAME = 64;

/** Memory with a struct sockaddr_in6 of these 16 octets, given by their last ones. */
function named(octets: readonly number[], port = 0): Int32Array {
  const view = new DataView(new ArrayBuffer(NAME + 28));
  new Uint8Array(view.buffer).fill(0x5a);
  new Uint8Array(view.buffer, NAME + 8, 16).fill(0);
  new Uint8Array(view.buffer, NAME + 24 - octets.length).set(octets);
  view.setUint16(NAME, 10, true);
  view.setUint16(NAME + 2, port);
  return new Int32Array(view.buffer);
}

const is = (octets: readonly number[]): readonly [loopback: boolean, local: boolean] => {
  const memory = named(octets);
  return [isLoopback6(memory, NAME), isLocal6(memory, NAME)];
};

describe("socket-name: IPv4", () => {
  test("127.0.0.0/8 is loopback, 0.0.0.0/8 leads there", () => {
    const of = (address: number) => [isLoopback4(address), isLocal4(address)];
    assert.deepEqual(of(0x7f000001), [true, true]);
    assert.deepEqual(of(0x7fffffff), [true, true]);
    assert.deepEqual(of(0), [false, true]);
    assert.deepEqual(of(0x00ffffff), [false, true]);
    for (const address of [0x01000000, 0x7effffff, 0x80000000, 0xff000001]) {
      assert.deepEqual(of(address), [false, false], address.toString(16));
    }
  });
});

describe("socket-name: IPv6", () => {
  test("::1 is loopback, and no other", () => {
    assert.deepEqual(is([1]), [true, true]);
    assert.equal(is([2])[0], false);
    for (let i = 0; i < 16; i += 1) {
      const octets = new Array<number>(16).fill(0);
      octets[15] = 1;
      octets[i] = (octets[i] ?? 0) + 4;
      assert.equal(is(octets)[0], false, `octet ${i}`);
    }
  });

  test("IPv4 inside of it is local, mapped or compatible", () => {
    assert.deepEqual(is([]), [false, true]);
    assert.deepEqual(is([127, 0, 0, 1]), [false, true]);
    assert.deepEqual(is([0xff, 0xff, 127, 9, 9, 9]), [false, true]);
    assert.deepEqual(is([0xff, 0xff, 0, 0, 0, 0]), [false, true]);
  });

  test("others are not", () => {
    assert.deepEqual(is([0xff, 0xff, 126, 0, 0, 1]), [false, false]);
    assert.deepEqual(is([10, 0, 0, 1]), [false, false]);
    assert.deepEqual(is([0xff, 0xfe, 127, 0, 0, 1]), [false, false]);
    assert.deepEqual(is([1, 0xff, 0xff, 127, 0, 0, 1]), [false, false]);
    for (let i = 0; i < 10; i += 1) {
      const octets = new Array<number>(16).fill(0);
      octets[i] = 1;
      assert.deepEqual(is(octets), [false, false], `octet ${i}`);
    }
  });

  test("the port is in network order", () => {
    assert.equal(portOf(named([1], 0x1234), NAME), 0x1234);
    assert.equal(portOf(named([1], 0xfffe), NAME), 0xfffe);
    assert.equal(portOf(named([1], 80), NAME), 80);
  });

  test("a name beyond the memory is nobody's", () => {
    const memory = named([1]);
    assert.equal(isLoopback6(memory, 1 << 20), false);
    assert.equal(isLocal6(memory, 1 << 20), false);
    assert.equal(portOf(memory, 1 << 20), 0);
  });
});
