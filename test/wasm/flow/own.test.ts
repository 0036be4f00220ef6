/** The tables of own addresses and published ports: bounded, exact, replaced as a whole. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { mappedOctetsOf } from "../../../src/lib/addr6.ts";
import * as abi from "../../../wasm/abi.ts";
import { configure } from "../../support/datagram-module.ts";
import { loadTestModule, type TestModule, VARIANTS } from "../../support/wasm.ts";

const SEED = 20261129;
const TCP = 6;
const UDP = 17;
const portKind = (protocol: number, port: number): number =>
  protocol * 2 ** abi.HOST_PORT_SHIFT + port;

const gone = (protocol: number, port: number): number => portKind(protocol + abi.HOST_GONE, port);

for (const variant of VARIANTS) {
  const wasm: TestModule = loadTestModule("datagram", variant);
  const take = (address: number, kind: number): boolean => {
    const at = wasm.u32("controlBase") + abi.CONTROL_ADDRESS_OFFSET;
    wasm.write(at, Uint8Array.from(mappedOctetsOf(address)));
    return wasm.bool("ownTake", kind);
  };
  const has = (address: number): boolean => wasm.bool("ownHas", address);
  const published = (address: number, protocol: number, port: number): boolean =>
    wasm.bool("ownPublished", address, protocol, port);

  describe(`wasm/flow/own (${variant})`, () => {
    test("any addresses that were told are there, and no others, until they are cleared", () => {
      const address = fc.integer({ min: 1, max: 0xefffffff });
      fc.assert(
        fc.property(fc.array(address, { maxLength: 300 }), address, (own, other) => {
          configure(wasm);
          for (const each of own) assert.ok(take(each, abi.HOST_OWN));
          for (const each of own) assert.ok(has(each));
          assert.equal(has(other), own.includes(other));
          take(0, abi.HOST_CLEAR);
          for (const each of own) assert.ok(!has(each));
        }),
        { seed: SEED, numRuns: 100 },
      );
    });

    test("what exceeds the bound is refused and harms nothing", () => {
      configure(wasm);
      for (let i = 0; i < abi.HOST_ADDRESS_COUNT; i += 1) {
        assert.ok(take(0x0a000000 + i, abi.HOST_OWN));
      }
      assert.ok(!take(0x0b000000, abi.HOST_OWN));
      assert.ok(take(0x0a000000, abi.HOST_OWN), "it is there already");
      assert.ok(has(0x0a000000) && has(0x0a000000 + abi.HOST_ADDRESS_COUNT - 1));
      assert.ok(!has(0x0b000000));
    });

    test("published ports by protocol, number and address", () => {
      configure(wasm);
      assert.ok(take(0, portKind(TCP, 80)));
      assert.ok(take(0x0a000001, portKind(UDP, 53)));
      assert.ok(published(0x0a000009, TCP, 80) && published(0x0a000001, UDP, 53));
      assert.ok(!published(0x0a000009, UDP, 80) && !published(0x0a000009, UDP, 53));
      assert.ok(!published(0x0a000009, TCP, 81) && !published(0x0a000009, TCP, 0));
      take(0, abi.HOST_CLEAR);
      assert.ok(published(0x0a000009, TCP, 80), "they are no own addresses");
      configure(wasm);
      assert.ok(!published(0x0a000009, TCP, 80), "until the engine starts over");
    });

    test("all ports of both protocols, on as many addresses as may have some", () => {
      configure(wasm);
      for (let i = 1; i < 65_535; i += 1) assert.ok(take(0, portKind(TCP, i)));
      assert.ok(published(1, TCP, 1) && published(1, TCP, 65_534));
      assert.ok(!published(1, TCP, 65_535) && !published(1, UDP, 1));
      for (let i = 1; i < abi.HOST_SPOT_COUNT; i += 1) {
        assert.ok(take(0x0a000000 + i, portKind(UDP, i)));
      }
      assert.ok(!take(0x0b000000, portKind(UDP, 7)));
      assert.ok(!published(0x0b000000, UDP, 7));
      assert.ok(published(0x0a000001, UDP, 1) && !published(0x0a000001, UDP, 2));
      assert.ok(take(0x0a000001, portKind(UDP, 2)), "an address that is there already");
    });

    test("a port is published no longer, and others are", () => {
      configure(wasm);
      for (const [address, protocol, port] of [
        [0, TCP, 80],
        [0, TCP, 81],
        [0, UDP, 80],
        [0x0a000001, TCP, 80],
      ] as const) {
        assert.ok(take(address, portKind(protocol, port)));
      }
      assert.ok(take(0, gone(TCP, 80)));
      assert.ok(!published(0x0a000009, TCP, 80) && published(0x0a000001, TCP, 80));
      assert.ok(published(0x0a000009, TCP, 81) && published(0x0a000009, UDP, 80));
      assert.ok(!take(0, gone(TCP, 80)), "it is so already");
      assert.ok(!take(0x0a000002, gone(TCP, 80)), "no port of that address is published");
      for (const kind of [portKind(abi.HOST_GONE, 80), gone(1, 80), gone(0xff, 80)]) {
        assert.ok(!take(0, kind), String(kind));
      }
      assert.ok(take(0, portKind(TCP, 80)) && published(0x0a000009, TCP, 80), "again");
    });

    test("any ports that come and go are there while they are", () => {
      const step = fc.record({
        address: fc.constantFrom(0, 0x0a000001, 0x0a000002),
        protocol: fc.constantFrom(TCP, UDP),
        port: fc.integer({ min: 1, max: 20 }),
        isGone: fc.boolean(),
      });
      fc.assert(
        fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
          configure(wasm);
          const there = new Set<string>();
          for (const { address, protocol, port, isGone } of steps) {
            const key = `${address} ${protocol} ${port}`;
            const wanted = isGone ? there.has(key) : true;
            assert.equal(take(address, (isGone ? gone : portKind)(protocol, port)), wanted);
            if (isGone) there.delete(key);
            else there.add(key);
            const isThere = there.has(key) || there.has(`0 ${protocol} ${port}`);
            assert.equal(published(address || 0x0a000009, protocol, port), isThere);
          }
        }),
        { seed: SEED, numRuns: 100 },
      );
    });

    test("addresses come and go without end, and those with ports keep their places", () => {
      configure(wasm);
      assert.ok(take(0x0a000001, portKind(UDP, 65_535)));
      for (let i = 0; i < 3 * abi.HOST_SPOT_COUNT; i += 1) {
        assert.ok(take(0x0b000000 + i, portKind(TCP, 80)), `address ${i}`);
        assert.ok(published(0x0b000000 + i, TCP, 80));
        assert.ok(take(0x0b000000 + i, gone(TCP, 80)));
        assert.ok(!published(0x0b000000 + i, TCP, 80));
      }
      assert.ok(published(0x0a000001, UDP, 65_535));
    });

    test("a guest port's first socket is of both versions until it is not", () => {
      configure(wasm);
      assert.ok(take(0, portKind(abi.HOST_DUAL, 53)) && take(0, portKind(abi.HOST_DUAL, 54)));
      assert.ok(take(0, gone(abi.HOST_DUAL, 53)));
      assert.ok(!wasm.bool("ownIsDual", 53) && wasm.bool("ownIsDual", 54));
    });

    test("what makes no sense is refused", () => {
      configure(wasm);
      for (const kind of [2, 80, 0xffff, portKind(1, 80), portKind(0xffff, 80)]) {
        assert.ok(!take(0x0a000001, kind), String(kind));
      }
      wasm.write(wasm.u32("controlBase") + abi.CONTROL_ADDRESS_OFFSET, new Uint8Array(16));
      assert.ok(!wasm.bool("ownTake", abi.HOST_OWN), "::");
    });
  });
}
