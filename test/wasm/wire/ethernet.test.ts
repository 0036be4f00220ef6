/** Ethernet header: deconstruct, construct, emit. */
import { describe, test } from "node:test";
import { hex } from "../../support/hex.ts";
import {
  assertConstructs,
  assertDeconstructs,
  assertEmits,
  wireModules,
} from "../../support/wire.ts";

const HEADER = hex(`
  52 55 0a 00 02 02  # destination
  52 54 00 12 34 56  # source
  08 06              # type: ARP
`);
const FIELDS = { destination: 0x52550a000202n, source: 0x525400123456n, etherType: 0x0806 };

for (const [variant, wire] of wireModules()) {
  describe(`wire/ethernet (${variant})`, () => {
    test("deconstruct", () => assertDeconstructs(wire, "ethernet", HEADER, FIELDS));

    test("construct", () => assertConstructs(wire, "ethernet", HEADER, FIELDS));

    test("emit", () => {
      assertEmits(wire, HEADER, (p) =>
        wire.run("ethernetEmit", p, FIELDS.destination, FIELDS.source, FIELDS.etherType),
      );
    });
  });
}
