/** DHCPv6 options on the wire. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  checkSearchList6,
  encodeDhcp6Options,
  fitSearchList6,
} from "../../src/config/dhcp6-options.ts";

/** Sixteen names of 62 octets on the wire: with the head of the option 996 octets. */
const NAMES = Array.from(
  { length: 16 },
  (_, i) => `${"x".repeat(50)}.domain-${String(i).padStart(2, "0")}`,
);

describe("encodeDhcp6Options", () => {
  test("nothing is nothing", () => {
    assert.deepEqual(encodeDhcp6Options([]), new Uint8Array(0));
  });

  test("search list: names in wire form, never compressed", () => {
    const found = encodeDhcp6Options(["a.test", "b.test."]);
    const names = "\x01a\x04test\0\x01b\x04test\0";
    assert.deepEqual([...found], [0, 24, 0, 16, ...Buffer.from(names, "latin1")]);
  });

  test("a list longer than 255 octets has its length in two", () => {
    const found = encodeDhcp6Options(NAMES);
    assert.deepEqual([...found.subarray(0, 4)], [0, 24, 992 >> 8, 992 & 255]);
    assert.equal(found.length, 996);
  });

  test("refuses a malformed domain", () => {
    assert.throws(() => encodeDhcp6Options(["a..b"]), {
      name: "ConfigError",
      message: 'encode search domain "a..b": wanted a DNS name',
    });
  });
});

describe("the room for a search list", () => {
  const full = [...NAMES, "x".repeat(26)];

  test("is 1024 octets, as counted on the wire", () => {
    assert.equal(encodeDhcp6Options(full).length, 1024);
    checkSearchList6(full);
    checkSearchList6([]);
    assert.throws(() => checkSearchList6([...NAMES, "x".repeat(27)]), {
      name: "ConfigError",
      message: "shorten DHCPv6 options: 1025 octets do not fit 1024",
    });
  });

  test("is filled from the beginning, malformed names left out", () => {
    assert.deepEqual(fitSearchList6(["one.test", "no name", "two.test."]), [
      "one.test",
      "two.test",
    ]);
    assert.deepEqual(fitSearchList6(full), full);
    assert.deepEqual(fitSearchList6([...full, "a"]), full);
    assert.deepEqual(fitSearchList6(["a..b"]), []);
  });
});
