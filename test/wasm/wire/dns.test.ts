/** DNS messages: the first question is found or refused, and nothing behind the end is read. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hex, toHex } from "../../support/hex.ts";
import { concat, type Octets, octetsOf } from "../../support/packet.ts";
import { checkProperty, wireModules } from "../../support/wire.ts";

const HEADER = hex("1a2b 0100 0001 0000 0000 0000");
const NAME = "\x07example\x03com\0";
const TYPE = hex("0001 0001");
const QUERY = concat(HEADER, NAME, TYPE);
const SERVFAIL = 2;

for (const [variant, wire] of wireModules()) {
  const end = (octets: Octets): number => {
    const whole = octetsOf(octets);
    return wire.u32("dnsQuestionEnd", wire.writeAtEnd(whole), whole.length);
  };
  const hash = (octets: Uint8Array): number =>
    wire.u32("dnsQuestionHash", wire.writeAtEnd(octets), octets.length);
  const isQuery = (octets: Uint8Array): boolean =>
    wire.bool("dnsIsQuery", wire.writeAtEnd(octets), octets.length);
  const isAnswer = (octets: Uint8Array): boolean =>
    wire.bool("dnsIsAnswer", wire.writeAtEnd(octets), octets.length);
  const failure = (octets: Uint8Array, code: number): Uint8Array => {
    const p = wire.writeAtEnd(octets);
    const size = wire.u32("dnsFailureEmit", p, octets.length, code);
    return wire.read(p, size);
  };
  const flags = (value: string): Uint8Array => concat(hex("1a2b"), hex(value), QUERY.subarray(4));

  describe(`wire/dns (${variant})`, () => {
    test("the end of the first question", () => {
      assert.equal(end(QUERY), QUERY.length);
      assert.equal(end(concat(QUERY, "more")), QUERY.length);
      assert.equal(end(concat(HEADER, "\0", TYPE)), 17, "the root");
      const longest = concat(...Array.from({ length: 127 }, () => "\x01a"), "\0");
      assert.equal(end(concat(HEADER, longest, TYPE)), 12 + 255 + 4);
      for (const more of ["\x02aa", "\x01a\x01a"]) {
        const long = concat(HEADER, more, longest.subarray(2), TYPE);
        assert.equal(end(long), 0, "a name longer than 255 octets");
      }
    });

    test("what is malformed has none", () => {
      for (let size = 0; size < QUERY.length; size += 1) assert.equal(end(QUERY.slice(0, size)), 0);
      assert.equal(end(concat(HEADER, "\xc0\x0c", TYPE)), 0, "a pointer");
      assert.equal(end(concat(HEADER, "\x40", new Uint8Array(100))), 0, "a label of 64");
      const none = concat(HEADER.subarray(0, 4), hex("0000"), QUERY.subarray(6));
      assert.equal(end(none), 0, "no question is announced");
    });

    test("letters without case, all else by the octet", () => {
      const spelled = concat(HEADER, "\x07eXaMPle\x03COM\0", TYPE);
      assert.equal(hash(spelled), hash(QUERY));
      assert.equal(hash(concat(QUERY, "more")), hash(QUERY));
      const others = [concat(HEADER, "\x07examplf\x03com\0", TYPE), concat(HEADER, "\0", TYPE)];
      const type = concat(HEADER, NAME, hex("001c 0001"));
      for (const other of [...others, type]) assert.notEqual(hash(other), hash(QUERY));
    });

    test("queries and answers", () => {
      assert.ok(isQuery(QUERY) && !isAnswer(QUERY));
      assert.ok(isAnswer(flags("8180")) && !isQuery(flags("8180")));
      for (const other of ["2800", "2000", "7800"]) {
        assert.ok(!isQuery(flags(other)) && !isAnswer(flags(other)), "another opcode");
      }
      const two = concat(HEADER.subarray(0, 4), hex("0002"), QUERY.subarray(6));
      assert.ok(!isQuery(two));
      assert.ok(!isAnswer(flags("8180").slice(0, 11)));
    });

    test("a failure keeps identifier, opcode, RD, CD and the question alone", () => {
      const asked = concat(hex("1a2b 0110 0001 0000 0000 0001"), QUERY.subarray(12), "extra");
      const wanted = concat(hex("1a2b 8192 0001 0000 0000 0000"), NAME, TYPE);
      assert.equal(toHex(failure(asked, SERVFAIL)), toHex(wanted));
      assert.equal(failure(flags("8180"), SERVFAIL).length, 0, "to no answer");
    });

    test("any octets: inside, and the hash is the question's alone", () => {
      const message = fc.record({
        head: fc.uint8Array({ minLength: 0, maxLength: 12 }),
        rest: fc.uint8Array({ maxLength: 300 }),
      });
      checkProperty(
        fc.property(message, ({ head, rest }) => {
          const octets = concat(head, rest);
          const found = end(octets);
          assert.ok(found <= octets.length);
          if (found > 0) assert.equal(hash(octets), hash(octets.slice(0, found)));
          isQuery(octets);
          isAnswer(octets);
          assert.ok(failure(octets, SERVFAIL).length <= octets.length);
        }),
      );
    });
  });
}
