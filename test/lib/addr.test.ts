/** Addresses as text and numbers. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import * as addr from "../../src/lib/addr.ts";

const SEED = 1918;
const address = fc.integer({ min: 0, max: 0xffffffff });

describe("IPv4 addresses", () => {
  test("reads and writes", () => {
    assert.equal(addr.parseIpv4("10.0.2.2"), 0x0a000202);
    assert.equal(addr.parseIpv4("255.255.255.255"), 0xffffffff);
    assert.equal(addr.formatIpv4(0xc0a80164), "192.168.1.100");
    assert.equal(addr.isIpv4("0.0.0.0"), true);
  });

  test(`text comes back as the same number (seed ${SEED})`, () => {
    fc.assert(
      fc.property(address, (number) => addr.parseIpv4(addr.formatIpv4(number)) === number),
      { seed: SEED },
    );
  });

  test("refuses everything but four plain decimal numbers", () => {
    const wrong = ["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4"];
    for (const text of [...wrong, "0x1.2.3.4", "1..2.3", "::1", "1.2.3.-4", "1.2.3.4\n"]) {
      assert.equal(addr.isIpv4(text), false, text);
      const message = `Write an IPv4 address as "10.0.2.2": "${text}"`;
      assert.throws(() => addr.parseIpv4(text), { name: "RangeError", message });
    }
  });
});

describe("IPv4 networks", () => {
  test("writes", () => {
    assert.equal(addr.formatCidr4({ address: 0x0a000200, prefixLength: 24 }), "10.0.2.0/24");
  });

  test(`a network contains what shares its prefix, and nothing else (seed ${SEED})`, () => {
    const length = fc.integer({ min: 0, max: 32 });
    fc.assert(
      fc.property(address, address, length, (inside, other, prefixLength) => {
        const size = 2 ** (32 - prefixLength);
        const network = { address: Math.floor(inside / size) * size, prefixLength };
        const shares = Math.floor(other / size) === Math.floor(inside / size);
        return addr.contains4(network, inside) && addr.contains4(network, other) === shares;
      }),
      { seed: SEED },
    );
  });

  test("masks at both ends", () => {
    assert.deepEqual(
      [0, 1, 24, 31, 32].map(addr.prefixMask),
      [0, 0x80000000, 0xffffff00, 0xfffffffe, 0xffffffff],
    );
  });
});

describe("MAC addresses", () => {
  test("reads and writes", () => {
    const mac = Uint8Array.of(0x52, 0x54, 0, 0x12, 0xab, 0xff);
    assert.deepEqual(addr.parseMac("52:54:00:12:AB:ff"), mac);
    assert.equal(addr.formatMac(mac), "52:54:00:12:ab:ff");
    for (const text of [
      "52:54:00:12:34",
      "525400123456",
      "52-54-00-12-34-56",
      "g2:54:00:12:34:56",
    ]) {
      const message = `Write a MAC address as "52:54:00:12:34:56": "${text}"`;
      assert.throws(() => addr.parseMac(text), { name: "RangeError", message });
    }
    const message = "Give a MAC address 6 octets: 5";
    assert.throws(() => addr.formatMac(mac.subarray(1)), { name: "RangeError", message });
  });
});
