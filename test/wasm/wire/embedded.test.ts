/** IPv4 addresses inside IPv6 ones: which readings an address has. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ip6, ipText } from "../../support/packet.ts";
import { wire6Modules } from "../../support/wire6.ts";

/** Address and the IPv4 addresses it may stand for. */
const READINGS: readonly (readonly [string, readonly string[]])[] = [
  ["2002:c000:20a::1", ["192.0.2.10"]],
  ["2001:0:c000:20a:8000:1234:3fff:fdf5", ["192.0.2.10", "192.0.2.10"]],
  ["64:ff9b::c000:20a", ["192.0.2.10"]],
  ["64:ff9b::", ["0.0.0.0"]],
  ["64:ff9b:1::c000:20a", ["192.0.2.10"]],
  // A suffix of zeros fits several prefixes.
  ["64:ff9b:1:c000:2:a00::", ["192.0.2.10", "2.10.0.0"]],
  ["64:ff9b:1:ffc0:0:20a::", ["192.0.2.10"]],
  ["64:ff9b:1:ffff:c0:2:a00:0", ["192.0.2.10", "10.0.0.0"]],
  ["64:ff9b:1::", ["0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0"]],
  ["64:ff9b:2::c000:20a", []],
  ["::ffff:0:c000:20a", ["192.0.2.10"]],
  ["::c000:20a", []],
  ["::1:0:c000:20a", []],
];

for (const [variant, wire] of wire6Modules()) {
  describe(`wire/embedded (${variant})`, () => {
    test("every reading, and no octet behind the address", () => {
      for (const [address, wanted] of READINGS) {
        const at = wire.writeAtEnd(ip6(address));
        assert.ok(wire.bool("embeddedIn", at), address);
        const found = Array.from({ length: 4 }, (_, form) => wire.u64("embeddedAt", at, form))
          .filter((reading) => reading !== 2n ** 64n - 1n)
          .map((reading) => ipText(Number(reading)));
        assert.deepEqual(found, wanted, address);
      }
    });

    test("others have none", () => {
      for (const address of ["2001:db8::1", "2003::1", "fd00::1", "fe80::1", "64:ff9c::1"]) {
        assert.ok(!wire.bool("embeddedIn", wire.writeAtEnd(ip6(address))), address);
      }
    });
  });
}
