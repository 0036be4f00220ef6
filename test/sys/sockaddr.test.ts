/** Socket addresses in memory. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Block } from "../../src/sys/block.ts";
import { readIpv4, readIpv6, writeIpv4, writeIpv6, writeUnix } from "../../src/sys/sockaddr.ts";

const block = () => new Block({ address: () => 4096 }, 128);

describe("sockaddr", () => {
  test("writes IPv4 in network order and reads it back", () => {
    const memory = block();
    memory.bytes.fill(0xff);
    assert.equal(writeIpv4(memory, 8, 0xc0a80102, 8080), 16);
    assert.deepEqual(
      [...memory.bytes.subarray(8, 24)],
      [2, 0, 0x1f, 0x90, 192, 168, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0],
    );
    const endpoint = { address: 0, port: 0 };
    assert.equal(readIpv4(memory, 8, endpoint), true);
    assert.deepEqual(endpoint, { address: 0xc0a80102, port: 8080 });
  });

  test("does not read another family as IPv4", () => {
    const memory = block();
    writeUnix(memory, 0, "/run/x");
    const endpoint = { address: 1, port: 2 };
    assert.equal(readIpv4(memory, 0, endpoint), false);
    assert.deepEqual(endpoint, { address: 1, port: 2 });
  });

  test("writes IPv6 with its scope and reads it back, and no other family", () => {
    const memory = block();
    memory.bytes.fill(0xff);
    const octets = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
    assert.equal(writeIpv6(memory, 8, octets, 8080, 7), 28);
    assert.deepEqual(
      [...memory.bytes.subarray(8, 37)],
      [10, 0, 0x1f, 0x90, 0, 0, 0, 0, ...octets, 7, 0, 0, 0, 0xff],
    );
    const endpoint = { octets: new Uint8Array(16), scope: 0, port: 0 };
    assert.equal(readIpv6(memory, 8, endpoint), true);
    assert.deepEqual(endpoint, { octets, scope: 7, port: 8080 });
    assert.equal(readIpv4(memory, 8, { address: 0, port: 0 }), false);
    writeIpv4(memory, 8, 1, 1);
    assert.equal(readIpv6(memory, 8, endpoint), false);
  });

  test("writes a unix path with a zero at its end, an abstract name with one before it", () => {
    for (const [path, octets] of [
      ["/a@", [1, 0, 0x2f, 0x61, 0x40, 0]],
      ["@ab", [1, 0, 0, 0x61, 0x62]],
      ["@", [1, 0, 0]],
    ] as const) {
      const memory = block();
      memory.bytes.fill(0xff);
      assert.equal(writeUnix(memory, 8, path), octets.length, path);
      const around = [...memory.bytes.subarray(7, 8 + octets.length + 1)];
      assert.deepEqual(around, [0xff, ...octets, 0xff], path);
    }
  });

  test("leaves alone what is around an address, and has no scope unless told", () => {
    const memory = block();
    memory.bytes.fill(0xff);
    writeIpv4(memory, 8, 0xc0a80102, 8080);
    assert.deepEqual([memory.bytes[7], memory.bytes[24]], [0xff, 0xff]);
    writeIpv6(memory, 40, new Uint8Array(16), 8080);
    assert.equal(memory.view.getUint32(64, true), 0);
    assert.deepEqual([memory.bytes[39], memory.bytes[68]], [0xff, 0xff]);
  });

  test("takes unix paths up to the limit of the kernel, in octets", () => {
    const memory = block();
    assert.equal(writeUnix(memory, 0, "a".repeat(107)), 110);
    assert.equal(memory.bytes[109], 0);
    assert.throws(() => writeUnix(memory, 0, "a".repeat(108)), {
      name: "RangeError",
      message: `Use a socket path of 1 to 107 octets: "${"a".repeat(108)}" has 108`,
    });
    assert.throws(() => writeUnix(memory, 0, "é".repeat(54)), RangeError);
    assert.throws(() => writeUnix(memory, 0, ""), RangeError);
  });
});

describe("block", () => {
  test("keeps 64-bit numbers beyond 32 bits", () => {
    const memory = block();
    memory.setU64(8, 0x7fff_1234_5678);
    assert.equal(memory.getU64(8), 0x7fff_1234_5678);
    assert.equal(memory.view.getBigUint64(8, true), 0x7fff_1234_5678n);
  });
});
