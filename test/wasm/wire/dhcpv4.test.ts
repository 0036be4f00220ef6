/** DHCP for IPv4: parse, deconstruct, construct, emit; options in pieces, overloaded, malformed. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hex, patched, toHex } from "../../support/hex.ts";
import { checkProperty, type Local, locals } from "../../support/local.ts";
import { concat, pattern } from "../../support/packet.ts";

const HEADER = hex(`
  02 01 06 00  # op: reply; hardware type: Ethernet; hardware length 6; hops
  39 03 f3 26  # xid
  00 00 80 00  # secs; flags: broadcast
  0a 00 02 0e  # ciaddr
  0a 00 02 0f  # yiaddr
  0a 00 02 04  # siaddr
  0a 00 02 05  # giaddr
  52 54 00 12 34 56 00 00 00 00 00 00 00 00 00 00  # chaddr
  ${"00".repeat(64)}   # sname
  ${"00".repeat(128)}  # file
  63 82 53 63  # cookie
`);
const FIELDS = {
  op: 2,
  hardwareType: 1,
  hardwareLength: 6,
  xid: 0x3903f326,
  flags: 0x8000,
  ciaddr: 0x0a00020e,
  yiaddr: 0x0a00020f,
  siaddr: 0x0a000204,
  giaddr: 0x0a000205,
  clientMac: 0x525400123456n,
};

const OK = 0;
const TRUNCATED = 1;
const OVERSIZED = 2;
const COOKIE = 3;

interface Fields {
  readonly sname?: Uint8Array;
  readonly file?: Uint8Array;
}

/** A message with these octets of options, and of the two fields that may hold options as well. */
function message(options: Uint8Array, { sname, file }: Fields = {}): Uint8Array {
  const header = patched(HEADER, 44, sname ?? new Uint8Array(0));
  return concat(patched(header, 108, file ?? new Uint8Array(0)), options);
}

function check(local: Local, octets: Uint8Array): number {
  return local.wasm.i32("dhcpCheck", local.wasm.writeAtEnd(octets), octets.length);
}

function parse(local: Local, octets: Uint8Array): boolean {
  const p = local.wasm.writeAtEnd(octets);
  return local.wasm.bool("dhcpOptionsParse", p, octets.length);
}

/** Value of an option that was parsed, or undefined if it was absent. */
function option(local: Local, code: number): Uint8Array | undefined {
  const length = local.wasm.i32("dhcpOptionLength", code);
  if (length < 0) return undefined;
  return local.wasm.read(local.wasm.u32("dhcpOptionValue", code), length);
}

function tlv(code: number, value: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(code, value.length), value);
}

for (const [variant, local] of locals()) {
  describe(`wire/dhcpv4 (${variant})`, () => {
    test("parse accepts a message, with options and without", () => {
      assert.equal(check(local, HEADER), OK);
      assert.equal(check(local, message(hex("35 01 01 ff"))), OK);
    });

    test("deconstruct", () => {
      const out = local.place(new Uint8Array(80));
      local.wasm.run("dhcpDeconstruct", local.wasm.writeAtEnd(HEADER), out);
      const found = Object.keys(FIELDS).map((name, i) => [
        name,
        local.wasm.view.getBigUint64(out + 8 * i, true),
      ]);
      const wanted = Object.entries(FIELDS).map(([name, value]) => [name, BigInt(value)]);
      assert.deepEqual(found, wanted);
    });

    test("construct", () => {
      const values = local.place(new Uint8Array(80));
      Object.values(FIELDS).forEach((value, i) => {
        local.wasm.view.setBigUint64(values + 8 * i, BigInt(value), true);
      });
      const base = concat(new Uint8Array(236), HEADER.subarray(236));
      const p = local.place(base, 4096);
      local.wasm.run("dhcpConstruct", p, values);
      assert.equal(toHex(local.wasm.read(p, 240)), toHex(HEADER));
    });

    test("emit", () => {
      const p = local.place(new Uint8Array(260));
      const { xid, flags, giaddr, clientMac } = FIELDS;
      local.wasm.run("dhcpEmit", p, xid, flags, giaddr, clientMac);
      const expected = patched(HEADER, 12, new Uint8Array(12));
      assert.equal(toHex(local.wasm.read(p, 260)), toHex(concat(expected, new Uint8Array(20))));
    });

    test("D09: a message without the magic cookie is refused", () => {
      for (const cookie of ["00 00 00 00", "63 82 53 64", "63 53 82 63"]) {
        assert.equal(check(local, patched(HEADER, 236, hex(cookie))), COOKIE);
      }
    });

    test("CVE-2021-3592 class: a message cut short is refused, nothing behind its end read", () => {
      for (let length = 0; length < 240; length += 1) {
        assert.equal(check(local, HEADER.subarray(0, length)), TRUNCATED, `${length} octets`);
      }
    });

    test("a message of more than 4096 octets is refused", () => {
      assert.equal(check(local, concat(HEADER, new Uint8Array(4096 - 240))), OK);
      assert.equal(check(local, concat(HEADER, new Uint8Array(4097 - 240))), OVERSIZED);
    });

    test("options are found by code, pads skipped, nothing read behind the end option", () => {
      assert.ok(
        parse(local, message(hex("00 00 35 01 03 00 50 00 3d 03 01 02 03 ff 39 02 05 dc"))),
      );
      assert.deepEqual(option(local, 53), Uint8Array.of(3));
      assert.deepEqual(option(local, 61), Uint8Array.of(1, 2, 3));
      assert.deepEqual(option(local, 80), new Uint8Array(0), "there, without a value");
      assert.equal(option(local, 57), undefined, "behind the end");
      assert.equal(option(local, 12), undefined);
    });

    test("what one message had is not found in the next", () => {
      parse(local, message(hex("35 01 03 ff")));
      assert.ok(parse(local, HEADER));
      for (let code = 1; code < 255; code += 1) assert.equal(option(local, code), undefined);
    });

    test("CVE-2017-11434 class: a missing end option is forgiven", () => {
      assert.ok(parse(local, message(hex("35 01 01"))));
      assert.deepEqual(option(local, 53), Uint8Array.of(1));
    });

    test("CVE-2017-11434 class: an option that reaches past its field is refused", () => {
      for (const options of ["35", "35 01", "35 02 01", "35 ff 01", "35 01 01 3d", "00 00 3d fe"]) {
        assert.ok(!parse(local, message(hex(options))), options);
      }
    });

    test("D09: pieces of one option are joined, others between them or not (RFC 3396)", () => {
      const parts = [pattern(255), pattern(255, 255), pattern(90, 510)] as const;
      const [a, b, c] = parts.map((part) => tlv(81, part));
      const other = hex("35 01 03");
      assert.ok(parse(local, message(concat(a ?? "", other, b ?? "", c ?? "", hex("ff")))));
      assert.deepEqual(option(local, 81), pattern(600));
      assert.deepEqual(option(local, 53), Uint8Array.of(3));
    });

    test("D09: option 52 adds the file field, the sname field or both, in that order", () => {
      const fields = {
        file: hex("3d 02 01 02 0c 01 66 ff 0f"),
        sname: hex("3d 01 03 51 01 09 ff"),
      };
      const wanted: [string, string | undefined, string | undefined, string | undefined][] = [
        ["00", "aa", undefined, undefined],
        ["01", "aa 01 02", "66", undefined],
        ["02", "aa 03", undefined, "09"],
        ["03", "aa 01 02 03", "66", "09"],
      ];
      for (const [overload, client, host, fqdn] of wanted) {
        assert.ok(parse(local, message(hex(`34 01 ${overload} 3d 01 aa ff`), fields)));
        const found = [61, 12, 81].map((code) => option(local, code));
        assert.deepEqual(
          found,
          [client, host, fqdn].map((text) => (text === undefined ? text : hex(text))),
        );
      }
    });

    test("D09: fields overloaded are checked like the rest, and not for a second overload", () => {
      const long = { file: concat(hex("3d 7f"), new Uint8Array(126)) };
      assert.ok(parse(local, message(hex("ff"), long)), "not looked at");
      assert.ok(!parse(local, message(hex("34 01 01 ff"), long)));
      const full = { file: concat(hex("3d 7e"), new Uint8Array(126)) };
      assert.ok(parse(local, message(hex("34 01 01 ff"), full)));
      assert.equal(option(local, 61)?.length, 126);
      const again = { file: hex("34 01 03 ff"), sname: hex("3d 7f") };
      assert.ok(parse(local, message(hex("34 01 01 ff"), again)));
    });

    test("random options never trap, and what they hold adds up", () => {
      const octet = fc.oneof(fc.constantFrom(0, 1, 52, 53, 255), fc.nat(255));
      const field = fc.array(octet, { maxLength: 64 }).map((list) => Uint8Array.from(list));
      const long = fc.array(octet, { maxLength: 900 }).map((list) => Uint8Array.from(list));
      checkProperty(
        fc.property(long, field, field, (options, file, sname) => {
          const octets = message(options, { file, sname });
          if (!parse(local, octets)) return;
          let total = 0;
          for (let code = 1; code < 255; code += 1) total += option(local, code)?.length ?? 0;
          assert.ok(total <= options.length + 192);
        }),
        500,
      );
    });

    test("whatever is encoded comes back, each value as it was", () => {
      const value = fc.uint8Array({ maxLength: 255 });
      const code = fc.integer({ min: 1, max: 254 }).filter((each) => each !== 52);
      checkProperty(
        fc.property(fc.array(fc.tuple(code, value), { maxLength: 12 }), (list) => {
          const options = list.map(([each, content]) => tlv(each, content));
          assert.ok(parse(local, message(concat(...options, hex("ff")))));
          for (const [each] of list) {
            const joined = list.filter(([other]) => other === each).map(([, content]) => content);
            assert.deepEqual(option(local, each), concat(...joined));
          }
        }),
      );
    });
  });
}
