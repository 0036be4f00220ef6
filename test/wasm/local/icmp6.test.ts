/** Echo over ICMPv6 for the engine's own addresses. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DNS6, GATEWAY6, GUEST6, LINK6, ROUTER6 } from "../../support/engine-settings.ts";
import type { FragmentFrame } from "../../support/frame.ts";
import { concat, pattern } from "../../support/packet.ts";
import { reassemble } from "../../support/packet-decode.ts";
import { echo6, fragments6, PROTOCOL_ICMPV6 } from "../../support/packet6.ts";
import { World6 } from "../../support/world6.ts";

describe("wasm/local/icmp6", () => {
  for (const [source, destination] of [
    [GUEST6, GATEWAY6],
    [GUEST6, DNS6],
    [LINK6, ROUTER6],
    [GUEST6, ROUTER6],
  ] as const) {
    test(`P14 ${destination} answers ${source} with id, sequence and all data`, () => {
      const w = new World6();
      const ends = { source, destination };
      const message = echo6(ends, 0x1234, 9, pattern(100));
      w.guest(w.packet({ ...ends, protocol: PROTOCOL_ICMPV6, tos: 0x28 }, message));
      const frame = w.expect("icmp6", {
        type: 129,
        source: destination,
        destination: source,
        rest: 0x12340009,
        tos: 0x28,
      });
      assert.deepEqual(frame.payload, pattern(100));
      assert.equal(w.stats.pingLocal, 1);
    });
  }

  test("P14 nobody else is answered for, nor a group", () => {
    const w = new World6();
    for (const destination of ["ff02::1", "fd10:0:2::77", "fe80::77"]) {
      w.guest(w.icmp6({ destination, type: 128 }, "x"));
    }
    w.expectNothing();
    assert.equal(w.stats.pingLocal, 0);
  });

  test("a reply larger than the MTU leaves in fragments", () => {
    const w = new World6();
    const ends = { source: GUEST6, destination: GATEWAY6 };
    const parts = fragments6(
      { ...ends, protocol: PROTOCOL_ICMPV6 },
      echo6(ends, 1, 2, pattern(3000)),
      1232,
    );
    for (const part of parts) {
      w.guest(concat(w.packet({ destination: GATEWAY6 }, "").subarray(0, 14), part));
    }
    const whole = reassemble(w.take() as FragmentFrame[]);
    assert.ok(whole.kind === "icmp6" && whole.type === 129);
    assert.deepEqual(whole.payload, pattern(3000));
  });

  test("CVE-2020-10756 class: the reply has the data of the request, not an octet more", () => {
    for (const size of [0, 1, 7, 8]) {
      const w = new World6();
      w.guest(w.icmp6({ destination: GATEWAY6, type: 128 }, new Uint8Array(600).fill(0x77)));
      w.take();
      w.guest(w.icmp6({ destination: GATEWAY6, type: 128 }, new Uint8Array(size).fill(1)));
      const { octets } = w.expect("icmp6", { type: 129 });
      assert.ok(!octets.includes(0x77), `${size} octets of data`);
      assert.equal(octets.length, Math.max(60, 14 + 40 + 8 + size));
    }
  });
});
