/** ARP: parse, deconstruct, construct, emit, and what is refused. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hex, patched } from "../../support/hex.ts";
import {
  assertConstructs,
  assertDeconstructs,
  assertEmits,
  checkProperty,
  wireModules,
} from "../../support/wire.ts";

const REPLY = hex(`
  00 01              # hardware type: Ethernet
  08 00              # protocol type: IPv4
  06 04              # lengths of hardware and protocol address
  00 02              # operation: reply
  52 55 0a 00 02 02  # sender MAC
  0a 00 02 02        # sender address
  52 54 00 12 34 56  # target MAC
  0a 00 02 0f        # target address
`);
const FIELDS = {
  hardwareType: 1,
  protocolType: 0x0800,
  hardwareLength: 6,
  protocolLength: 4,
  operation: 2,
  senderMac: 0x52550a000202n,
  senderAddress: 0x0a000202,
  targetMac: 0x525400123456n,
  targetAddress: 0x0a00020f,
};

for (const [variant, wire] of wireModules()) {
  const check = (octets: Uint8Array): boolean =>
    wire.bool("arpCheck", wire.writeAtEnd(octets), octets.length);

  describe(`wire/arp (${variant})`, () => {
    test("parse accepts the packet, with and without padding, whatever the operation", () => {
      assert.ok(check(REPLY));
      assert.ok(check(Uint8Array.from([...REPLY, ...new Uint8Array(18)])));
      assert.ok(check(patched(REPLY, 6, hex("00 09"))));
    });

    test("deconstruct", () => assertDeconstructs(wire, "arp", REPLY, FIELDS));

    test("construct", () => assertConstructs(wire, "arp", REPLY, FIELDS));

    test("emit", () => {
      const { senderMac, senderAddress, targetMac, targetAddress } = FIELDS;
      assertEmits(wire, REPLY, (p) =>
        wire.run("arpEmit", p, 2, senderMac, senderAddress, targetMac, targetAddress),
      );
    });

    test("any other hardware, protocol or address length is refused", () => {
      assert.ok(!check(patched(REPLY, 0, hex("00 06"))), "hardware type 6");
      assert.ok(!check(patched(REPLY, 2, hex("86 dd"))), "protocol IPv6");
      assert.ok(!check(patched(REPLY, 4, hex("08"))), "hardware length 8");
      assert.ok(!check(patched(REPLY, 4, hex("00"))), "hardware length 0");
      assert.ok(!check(patched(REPLY, 5, hex("10"))), "protocol length 16");
    });

    test("a packet cut short is refused without a look behind its end", () => {
      for (let length = 0; length < REPLY.length; length += 1) {
        assert.ok(!check(REPLY.subarray(0, length)), `${length} octets`);
      }
    });

    test("random octets never trap", () => {
      checkProperty(fc.property(fc.uint8Array({ maxLength: 64 }), (octets) => void check(octets)));
    });
  });
}
