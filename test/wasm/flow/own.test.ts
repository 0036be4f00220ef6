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
      assert.ok(published(0x0a000009, TCP, 80), "for good");
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
