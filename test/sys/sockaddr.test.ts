/** Socket addresses in memory. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Block } from "../../src/sys/block.ts";
import { readIpv4, writeIpv4, writeUnix } from "../../src/sys/sockaddr.ts";

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

  test("takes unix paths up to the limit of the kernel, in octets", () => {
    const memory = block();
    assert.equal(writeUnix(memory, 0, "a".repeat(107)), 110);
    assert.equal(memory.bytes[109], 0);
    assert.throws(() => writeUnix(memory, 0, "a".repeat(108)), RangeError);
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
