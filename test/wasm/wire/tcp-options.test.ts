/**
 * TCP options: parsed at any offset, in any order, malformed in every way, against a plain
 * reference parser; emitted in every combination and parsed back.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hex } from "../../support/hex.ts";
import type { TestModule } from "../../support/wasm.ts";
import { assertEmits, checkProperty, wireModules } from "../../support/wire.ts";

type Options = {
  wellFormed: boolean;
  mss: number;
  windowScale: number;
  sackPermitted: boolean;
  timestamps: readonly [value: number, echo: number] | undefined;
  sack: readonly (readonly [left: number, right: number])[];
};

const NONE: Options = {
  wellFormed: true,
  mss: -1,
  windowScale: -1,
  sackPermitted: false,
  timestamps: undefined,
  sack: [],
};

function parse(wire: TestModule, octets: Uint8Array): Options {
  const wellFormed = wire.bool("tcpOptionsParse", wire.writeAtEnd(octets), octets.length);
  const echoed = wire.bool("optionTimestamps");
  return {
    wellFormed,
    mss: wire.i32("optionMss"),
    windowScale: wire.i32("optionWindowScale"),
    sackPermitted: wire.bool("optionSackPermitted"),
    timestamps: echoed ? [wire.u32("optionTsValue"), wire.u32("optionTsEcho")] : undefined,
    sack: Array.from({ length: wire.i32("optionSackCount") }, (_, i) => [
      wire.u32("optionSackLeft", i),
      wire.u32("optionSackRight", i),
    ]),
  };
}

/** What one well-formed option of this kind and content says. */
function meaning(kind: number, content: DataView): Partial<Options> {
  const size = content.byteLength;
  if (kind === 2 && size === 2) return { mss: content.getUint16(0) };
  if (kind === 3 && size === 1) return { windowScale: content.getUint8(0) };
  if (kind === 4 && size === 0) return { sackPermitted: true };
  if (kind === 8 && size === 8) return { timestamps: [content.getUint32(0), content.getUint32(4)] };
  if (kind !== 5 || size % 8 !== 0 || size < 8 || size > 32) return {};
  const edges = (i: number) => [content.getUint32(8 * i), content.getUint32(8 * i + 4)] as const;
  return { sack: Array.from({ length: size / 8 }, (_, i) => edges(i)) };
}

function reference(octets: Uint8Array): Options {
  let found = NONE;
  let rest = octets;
  for (;;) {
    const [kind, size] = rest;
    if (kind === undefined || kind === 0) return found;
    if (kind === 1) {
      rest = rest.subarray(1);
      continue;
    }
    if (size === undefined || size < 2 || size > rest.length)
      return { ...found, wellFormed: false };
    const content = Uint8Array.from(rest.subarray(2, size));
    found = { ...found, ...meaning(kind, new DataView(content.buffer)) };
    rest = rest.subarray(size);
  }
}

const u32 = fc.integer({ min: 0, max: 0xffffffff });

/** Option soup: known kinds with right and wrong lengths, unknown ones, padding, plain noise. */
const soup = fc
  .array(
    fc.oneof(
      fc.constantFrom(...["01", "00", "0402", "02040218", "03030e", "0303ff"].map(hex)),
      fc.constantFrom(...["0101080a00000001fffffffe", "1304aabb", "050a0000000180000000"].map(hex)),
      fc.constantFrom(...["0200", "0201", "0302", "040300", "0506aabbccdd", "02"].map(hex)),
      fc.uint8Array({ maxLength: 6 }),
    ),
    { maxLength: 8 },
  )
  .map((parts) => Uint8Array.from(parts.flatMap((part) => [...part])).subarray(0, 40));

for (const [variant, wire] of wireModules()) {
  const parsed = (text: string): Options => parse(wire, hex(text));

  describe(`wire/tcp-options (${variant})`, () => {
    test("parse the options of a SYN", () => {
      const found = parsed(`
        02 04 05 b4                    # MSS 1460
        04 02                          # SACK permitted
        08 0a 00 00 30 39 00 00 00 00  # timestamps 12345, 0
        01                             # NOP
        03 03 07                       # window scale 7
      `);
      const wanted = { mss: 1460, windowScale: 7, sackPermitted: true };
      assert.deepEqual(found, { ...NONE, ...wanted, timestamps: [12345, 0] });
    });

    test("parse timestamps in the usual layout and elsewhere alike", () => {
      const stamps = { ...NONE, timestamps: [0xfffffff0, 0x80000001] as const };
      assert.deepEqual(parsed("0101 080a fffffff0 80000001"), stamps);
      assert.deepEqual(parsed("080a fffffff0 80000001 0101"), stamps);
      assert.deepEqual(parsed("0101 080a fffffff0 80000001 0000 0000"), stamps);
    });

    test("parse 1 to 4 SACK blocks", () => {
      for (let count = 1; count <= 4; count += 1) {
        const blocks = Array.from({ length: count }, (_, i) => [i + 1, 0xfffffff0 + i] as const);
        const digits = blocks.flat().map((edge) => edge.toString(16).padStart(8, "0"));
        const found = parsed(
          `0101 05 ${(2 + 8 * count).toString(16).padStart(2, "0")} ${digits.join("")}`,
        );
        assert.deepEqual(found, { ...NONE, sack: blocks });
      }
    });

    test("nothing is left of the segment before", () => {
      parsed("02040218 030305 0402 01 0101080a0000000100000002 050a0000000100000002");
      assert.deepEqual(parsed(""), NONE);
      assert.deepEqual(parsed("0101 080a 00000001 00000002"), { ...NONE, timestamps: [1, 2] });
    });

    test("T02: end of options, NOP and MSS are understood", () => {
      assert.deepEqual(parsed("00"), NONE);
      assert.deepEqual(parsed("01 01 01"), NONE);
      assert.deepEqual(parsed("02 04 02 18"), { ...NONE, mss: 536 });
      assert.deepEqual(parsed("02 04 ff ff 00 02 04 02 18"), { ...NONE, mss: 65535 });
    });

    test("T03: unknown options are skipped by their length", () => {
      assert.deepEqual(parsed("fd 06 aa bb cc dd 02 04 02 18"), { ...NONE, mss: 536 });
      assert.deepEqual(parsed("13 02 02 04 02 18"), { ...NONE, mss: 536 });
      assert.deepEqual(parsed("22 26".concat(" 99".repeat(36))), NONE);
    });

    test("known options of another length than theirs are skipped like unknown ones", () => {
      const wrong =
        "02 03 05 03 04 07 00 04 03 00 08 09 00 00 00 00 00 00 00 05 02 05 06 00 00 00 00";
      assert.deepEqual(parsed(`${wrong} 03 03 02`), { ...NONE, windowScale: 2 });
    });

    test("more SACK blocks than a header can hold are not taken", () => {
      assert.deepEqual(parsed("05 2a".concat(" 11".repeat(40))), NONE);
    });

    test("T04: options at odd offsets are parsed", () => {
      const all = { mss: 1460, windowScale: 7, sackPermitted: true, sack: [[1, 2]] as const };
      const stamps = { timestamps: [3, 4] as const };
      const some = "01 02 04 05 b4 03 03 07 04 02 01";
      assert.deepEqual(parsed(`${some} 05 0a 00000001 00000002 08 0a 00000003 00000004`), {
        ...NONE,
        ...all,
        ...stamps,
      });
    });

    test("T05: a length of 0, 1 or past the end stops the parser, what came is kept", () => {
      for (const bad of ["03", "03 00", "03 01 07", "03 04 07", "fd ff", "08 0a 00 00 00 00"]) {
        const wanted = { ...NONE, wellFormed: false, mss: 536 };
        assert.deepEqual(parsed(`02 04 02 18 ${bad}`), wanted, bad);
        assert.deepEqual(parsed(bad), { ...NONE, wellFormed: false }, bad);
      }
    });

    test("T05: any octets end without a trap and as the reference says", () => {
      const octets = fc.oneof(soup, fc.uint8Array({ maxLength: 40 }));
      checkProperty(
        fc.property(octets, (content) => {
          assert.deepEqual(parse(wire, content), reference(content));
        }),
        3000,
      );
    });

    test("emit the options of a SYN", () => {
      const emit = (...args: number[]) => {
        return (p: number): void => wire.run("tcpOptionsEmitSyn", p, ...args);
      };
      const full = hex("020405b4 0402080a 00003039 00000007 01030307");
      assertEmits(wire, full, emit(1460, 7, 1, 1, 12345, 7));
      assertEmits(wire, hex("020405b4"), emit(1460, -1, 0, 0, 12345, 7));
      assertEmits(wire, hex("020405b4 01010402 01030300"), emit(1460, 0, 1, 0, 0, 0));
      assertEmits(wire, hex("020405b4 0101080a 00003039 00000007"), emit(1460, -1, 0, 1, 12345, 7));
    });

    test("T04: whatever is emitted for a SYN is whole words, NOP-padded, and parses back", () => {
      const shift = fc.integer({ min: -1, max: 14 });
      checkProperty(
        fc.property(
          fc.nat(0xffff),
          shift,
          fc.boolean(),
          fc.boolean(),
          u32,
          u32,
          (m, w, s, t, v, e) => {
            const p = wire.u32("scratchBase");
            wire.poison(p, 40);
            const length = wire.u32("tcpOptionsEmitSyn", p, m, w, Number(s), Number(t), v, e);
            assert.equal(length % 4, 0);
            const wanted = { ...NONE, mss: m, windowScale: w, sackPermitted: s };
            const timestamps = t ? ([v, e] as const) : undefined;
            assert.deepEqual(parse(wire, wire.read(p, length)), { ...wanted, timestamps });
          },
        ),
      );
    });

    test("emit timestamps", () => {
      assertEmits(wire, hex("0101 080a fffffff0 80000001"), (p) => {
        assert.equal(wire.u32("tcpOptionsEmitTimestamps", p, 0xfffffff0, 0x80000001), 12);
      });
    });

    test("emit SACK blocks", () => {
      assertEmits(wire, hex("0101 0512 00000001 00000002 fffffff0 00000010"), (p) => {
        assert.equal(wire.u32("tcpOptionsEmitSackHeader", p, 2), 20);
        wire.run("tcpOptionsEmitSackBlock", p, 0, 1, 2);
        wire.run("tcpOptionsEmitSackBlock", p, 1, 0xfffffff0, 0x10);
      });
    });

    test("SACK blocks beside timestamps fill the 40 octets and parse back", () => {
      const blocks = fc.array(fc.tuple(u32, u32), { minLength: 1, maxLength: 3 });
      checkProperty(
        fc.property(blocks, u32, u32, (edges, value, echo) => {
          const p = wire.u32("scratchBase");
          const sack = p + wire.u32("tcpOptionsEmitTimestamps", p, value, echo);
          const length = 12 + wire.u32("tcpOptionsEmitSackHeader", sack, edges.length);
          edges.forEach(([left, right], i) => {
            wire.run("tcpOptionsEmitSackBlock", sack, i, left, right);
          });
          assert.ok(length <= 40);
          const found = parse(wire, wire.read(p, length));
          assert.deepEqual(found, { ...NONE, timestamps: [value, echo], sack: edges });
        }),
      );
    });
  });
}
