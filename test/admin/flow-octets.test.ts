/**
 * Flows out of octets. Goal: the same values as the library reads, for every field there is, and no
 * octets that make it read beyond them or go on without end.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { FlowReader, type FlowValues } from "../../src/admin/flow-octets.ts";
import { FlowWriter } from "../../src/admin/flow-writer.ts";
import { type Flow, FlowSchema } from "../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";

const u32 = fc.nat({ max: 0xffff_ffff });
const wide = fc.bigInt({ min: 0n, max: BigInt(Number.MAX_SAFE_INTEGER) });
const text = fc.oneof(fc.string({ unit: "grapheme" }), fc.constant("10.0.2.15"));

/** A value of each field of the message, whatever fields it has. */
const flows: fc.Arbitrary<Flow> = fc
  .record(
    Object.fromEntries(
      FlowSchema.fields.map((field) => {
        if (field.fieldKind === "enum") return [field.localName, fc.nat({ max: 9 })];
        if (field.fieldKind !== "scalar") throw new Error(`${field.name}: a kind without test`);
        const byKind: Record<number, fc.Arbitrary<unknown>> = {
          4: wide,
          8: fc.boolean(),
          9: text,
          13: u32,
        };
        const values = byKind[field.scalar];
        if (values === undefined) throw new Error(`${field.name}: a type without test`);
        return [field.localName, values];
      }),
    ),
  )
  .map((init) => create(FlowSchema, init));

/** As the reader has them: numbers in place of bigints. */
function valuesOf({ $typeName: _, $unknown: __, ...flow }: Flow): FlowValues {
  const { bytesToHost, bytesToGuest, ageUs, idleUs } = flow;
  return {
    ...flow,
    bytesToHost: Number(bytesToHost),
    bytesToGuest: Number(bytesToGuest),
    ageUs: Number(ageUs),
    idleUs: Number(idleUs),
  };
}

describe("flows into octets", () => {
  test("they are those that the library writes, one flow after the other", () => {
    fc.assert(
      fc.property(fc.array(flows, { maxLength: 5 }), (all) => {
        const writer = new FlowWriter();
        for (const flow of all) {
          assert.deepEqual([...writer.write(valuesOf(flow))], [...toBinary(FlowSchema, flow)]);
        }
      }),
    );
  });
});

describe("flows out of octets", () => {
  test("every field is what the library wrote, one flow after the other", () => {
    fc.assert(
      fc.property(fc.array(flows, { maxLength: 5 }), (all) => {
        const reader = new FlowReader();
        for (const flow of all) {
          assert.deepEqual(reader.read(toBinary(FlowSchema, flow)), valuesOf(flow));
        }
      }),
    );
  });

  test("fields that nobody knows are skipped, whatever type they have", () => {
    // id = 7, then fields 100 of every type that is in use, then guest_port = 9
    const unknown = [
      ...[0xa0, 0x06, 0x96, 0x01],
      ...[0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8],
      ...[0xa2, 0x06, 3, 1, 2, 3],
      ...[0xa5, 0x06, 1, 2, 3, 4],
    ];
    const flow = new FlowReader().read(Uint8Array.of(0x10, 7, ...unknown, 0x30, 9));
    assert.deepEqual([flow.id, flow.guestPort, flow.network], [7, 9, ""]);
  });

  const broken: readonly (readonly [string, readonly number[]])[] = [
    ["a text longer than the rest", [0x0a, 5, 65]],
    ["a number without end", [0x10, 0xff, 0xff]],
    ["a number of more than 64 bits", [0x10, ...Array.from({ length: 12 }, () => 0xff), 1]],
    ["a group", [0x0b]],
    ["a fixed number cut short", [0xa1, 0x06, 1]],
  ];
  for (const [name, octets] of broken) {
    test(`${name} is an error`, () => {
      assert.throws(() => new FlowReader().read(Uint8Array.from(octets)));
    });
  }

  test("other octets make an error or a flow, and take no longer than they are long", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (octets) => {
        try {
          assert.equal(typeof new FlowReader().read(octets).network, "string");
        } catch (error) {
          assert.ok(error instanceof Error);
        }
      }),
    );
  });
});
