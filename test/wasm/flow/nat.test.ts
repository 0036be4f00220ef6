/** Addresses between guest and host. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { configure, DNS, GATEWAY } from "../../support/datagram-module.ts";
import { ip, ipText } from "../../support/packet.ts";
import { loadTestModule, VARIANTS } from "../../support/wasm.ts";

/** From here on numbers stand for IPv6 addresses. */
const SIX = 0xf0000000;
const SEED = 20250117;

for (const variant of VARIANTS) {
  const wasm = loadTestModule("datagram", variant);
  const toHost = (address: string): string => ipText(wasm.u32("natToHost", ip(address)));
  const toGuest = (address: string): string => ipText(wasm.u32("natToGuest", ip(address)));
  const unusable = (address: string): boolean => wasm.bool("natUnusable", ip(address));

  describe(`wasm/flow/nat (${variant})`, () => {
    test("destinations on the Internet are themselves", () => {
      configure(wasm);
      for (const address of ["198.51.100.7", "10.0.3.1", "10.0.1.255", "1.1.1.1", "169.254.1.1"]) {
        assert.equal(toHost(address), address);
        assert.ok(!unusable(address), address);
      }
    });

    test("the gateway is the host's loopback only where that is allowed", () => {
      configure(wasm);
      assert.equal(toHost(GATEWAY), "0.0.0.0");
      assert.ok(!unusable(GATEWAY), "refused aloud");
      configure(wasm, { loopback: true });
      assert.equal(toHost(GATEWAY), "127.0.0.1");
      assert.equal(toHost(DNS), "0.0.0.0");
      assert.ok(!unusable(DNS), "refused aloud");
    });

    test("addresses that lead nowhere are dropped silently, loopback above all", () => {
      configure(wasm, { loopback: true });
      const nowhere = [
        ...["0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255", "224.0.0.1", "239.255.255.250"],
        ...["10.0.2.0", "10.0.2.255", "10.0.2.15", "10.0.2.77"],
      ];
      for (const address of nowhere) {
        assert.ok(unusable(address), address);
        assert.equal(toHost(address), "0.0.0.0", address);
      }
    });

    test("the guest sees as the gateway what it could not answer", () => {
      configure(wasm);
      for (const address of ["127.0.0.1", "127.0.0.53", "0.0.0.0", "10.0.2.15", "10.0.2.200"]) {
        assert.equal(toGuest(address), GATEWAY, address);
      }
      assert.equal(toGuest("198.51.100.7"), "198.51.100.7");
      assert.equal(toGuest("10.0.3.2"), "10.0.3.2");
    });

    test("sources: only hosts of the guest network", () => {
      configure(wasm);
      const isGuest = (address: string): boolean => wasm.bool("natIsGuest", ip(address));
      assert.ok(isGuest("10.0.2.15") && isGuest("10.0.2.254"));
      const others = ["0.0.0.0", "10.0.2.0", "10.0.2.255", GATEWAY, DNS, "10.0.3.15", "127.0.0.1"];
      for (const address of others) assert.ok(!isGuest(address), address);
      configure(wasm, { prefix: 31 });
      assert.ok(!isGuest("10.0.2.2"));
      configure(wasm, { prefix: 0 });
      assert.ok(isGuest("198.51.100.7"));
    });

    test("any address: usable ones reach themselves, and no other reaches loopback", () => {
      configure(wasm);
      fc.assert(
        fc.property(fc.integer({ min: 0, max: SIX - 1 }), (address) => {
          const host = wasm.u32("natToHost", address);
          assert.ok(host === 0 || host === address);
          if (wasm.bool("natUnusable", address)) assert.equal(host, 0);
          assert.notEqual(host >>> 24, 127);
          const seen = wasm.u32("natToGuest", address);
          assert.ok(seen === address || seen === ip(GATEWAY));
        }),
        { seed: SEED, numRuns: 500 },
      );
    });
  });
}
