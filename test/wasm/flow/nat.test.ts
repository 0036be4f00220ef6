/** Addresses between guest and host, hidden peers, sockets to close, control messages. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import * as abi from "../../../wasm/abi.ts";
import { ip, ipText } from "../../support/packet.ts";
import { loadTestModule, type TestModule, VARIANTS } from "../../support/wasm.ts";

const SEED = 20250117;
const GATEWAY = "10.0.2.2";
const DNS = "10.0.2.3";

/** Starts the module over with a configuration. */
function configure(wasm: TestModule, options: { loopback?: boolean; prefix?: number } = {}): void {
  const { loopback = false, prefix = 24 } = options;
  const base = wasm.u32("configBase");
  wasm.octets.fill(0, base, base + abi.CONFIG_SIZE);
  const set = (offset: number, value: number): void => {
    wasm.view.setUint32(base + offset, value, true);
  };
  set(abi.CONFIG_GUEST_ADDRESS_OFFSET, ip("10.0.2.15"));
  set(abi.CONFIG_GATEWAY_ADDRESS_OFFSET, ip(GATEWAY));
  set(abi.CONFIG_DNS_ADDRESS_OFFSET, ip(DNS));
  set(abi.CONFIG_PREFIX_LENGTH_OFFSET, prefix);
  set(abi.CONFIG_FLAGS_OFFSET, loopback ? abi.CONFIG_FLAG_HOST_LOOPBACK : 0);
  wasm.run("init");
}

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
        ...["240.0.0.1", "255.255.255.255", "10.0.2.0", "10.0.2.255", "10.0.2.15", "10.0.2.77"],
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
        fc.property(fc.integer({ min: 0, max: 0xffffffff }), (address) => {
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

  describe(`wasm/flow/hidden (${variant})`, () => {
    test("the last 64 peers of a flow are remembered", () => {
      configure(wasm);
      const handle = 0x00010007;
      for (let port = 1; port <= 65; port += 1) {
        wasm.run("hiddenRemember", handle, port, ip("127.0.0.1") + port);
      }
      assert.equal(wasm.u32("hiddenFind", handle, 1), 0);
      for (let port = 2; port <= 65; port += 1) {
        assert.equal(ipText(wasm.u32("hiddenFind", handle, port)), `127.0.0.${1 + port}`);
      }
    });

    test("a peer belongs to one flow and one life of its slot", () => {
      configure(wasm);
      wasm.run("hiddenRemember", 0x00010007, 5000, ip("127.0.0.1"));
      assert.equal(wasm.u32("hiddenFind", 0x00020007, 5000), 0);
      assert.equal(wasm.u32("hiddenFind", 0x00010008, 5000), 0);
      wasm.run("hiddenRemember", 0x00010007, 5000, ip("10.0.2.9"));
      assert.equal(ipText(wasm.u32("hiddenFind", 0x00010007, 5000)), "10.0.2.9");
    });
  });

  describe(`wasm/flow/evict (${variant})`, () => {
    test("handles wait for room, in order, and are closed once", () => {
      configure(wasm);
      const total = abi.OP_CAPACITY_COUNT + 10;
      for (let i = 1; i <= total; i += 1) assert.ok(wasm.bool("closeLater", i, i % 2));
      assert.ok(!wasm.bool("closeFlush"));
      assert.equal(wasm.i32("operationsFree"), 0);
      assert.equal(wasm.u32("closePending"), 10);
      wasm.run("turn");
      assert.ok(wasm.bool("closeFlush"));
      assert.equal(wasm.i32("operationsFree"), abi.OP_CAPACITY_COUNT - 10);
    });

    test("a full queue takes no more", () => {
      configure(wasm);
      const room = wasm.u32("closeRoom");
      for (let i = 0; i < room; i += 1) wasm.run("closeLater", 0x10000 + i, 0);
      assert.equal(wasm.u32("closeRoom"), 0);
      assert.ok(!wasm.bool("closeLater", 1, 0));
    });
  });

  describe(`wasm/flow/control (${variant})`, () => {
    test("what is appended is found, at the sizes the kernel wants", () => {
      configure(wasm);
      const base = wasm.u32("controlStart");
      wasm.run("append", 17, 103, 1400, 2);
      wasm.run("append", 0, 2, 63, 4);
      wasm.run("append", 0, 1, 0xb8, 4);
      assert.equal(wasm.u32("controlLength"), 72);
      assert.equal(wasm.view.getBigUint64(base, true), 18n);
      assert.equal(wasm.view.getUint16(wasm.u32("find", 72, 17, 103, 2), true), 1400);
      assert.equal(wasm.view.getUint32(wasm.u32("find", 72, 0, 2, 4), true), 63);
      assert.equal(wasm.u32("find", 72, 0, 2, 8), 0, "too short");
      assert.equal(wasm.u32("find", 72, 0, 7, 4), 0, "absent");
      assert.equal(wasm.u32("find", 40, 0, 2, 4), 0, "cut off");
    });

    test("random octets never lead outside", () => {
      configure(wasm);
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 128 }), fc.nat(0xffffffff), (octets, length) => {
          const base = wasm.u32("controlStart");
          wasm.write(base, octets);
          const found = wasm.u32("find", length, 0, 0, 4);
          assert.ok(found === 0 || (found >= base + 16 && found + 4 <= base + 128));
        }),
        { seed: SEED, numRuns: 500 },
      );
    });
  });
}
