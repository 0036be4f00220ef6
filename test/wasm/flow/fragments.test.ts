/** Reassembly: any order, duplicates, overlaps, bounds, time. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import * as abi from "../../../wasm/abi.ts";
import {
  checkProperty,
  GATEWAY,
  GUEST,
  GUEST_MAC,
  type Local,
  locals,
  NOW,
  PEER,
  SECOND,
} from "../../support/local.ts";
import { fragments, type Ipv4Fields, ipv4, pattern } from "../../support/packet.ts";

const FIELDS: Ipv4Fields = { source: GUEST, destination: PEER, protocol: 17, id: 0x4242 };

/** One fragment: `length` octets of the pattern from `offset` on. */
function piece(offset: number, length: number, more: boolean, fields = {}): Uint8Array {
  const range = { fragmentOffset: offset, moreFragments: more };
  return ipv4({ ...FIELDS, ...range, ...fields }, pattern(length, offset));
}

/** Hands over fragments one by one; the address of what each completed, or 0. */
function input(local: Local, parts: readonly Uint8Array[], now = NOW): number[] {
  return parts.map((part) => local.wasm.u32("fragmentInput", local.wasm.writeAtEnd(part), now));
}

/** The packet at an address, which has to be a sound one. */
function packetAt(local: Local, address: number): Uint8Array {
  assert.notEqual(address, 0, "a packet is complete");
  const length = local.wasm.view.getUint16(address + 2);
  assert.equal(local.wasm.i32("ipv4Check", address, length), 0);
  return local.wasm.read(address, length);
}

/** Pieces of a datagram of `size` octets, cut at the units named. */
function cut(size: number, units: readonly number[], fields = {}): Uint8Array[] {
  const inside = units.map((unit) => unit * 8).filter((at) => at > 0 && at < size);
  const edges = [...new Set([0, ...inside, size])].sort((a, b) => a - b);
  return edges.slice(0, -1).map((from, i) => {
    const to = edges[i + 1] ?? size;
    return piece(from, to - from, to < size, fields);
  });
}

function shuffled<Item>(items: readonly Item[], keys: readonly number[]): Item[] {
  return items
    .map((item, i) => ({ item, key: keys[i % keys.length] ?? 0 }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

function only(reason: number, times: number): [number, number][] {
  return [[reason, times]];
}

for (const [variant, local] of locals()) {
  const next = (): bigint => local.wasm.u64("fragmentNext");

  describe(`flow/fragments (${variant})`, () => {
    test("P05: any split in any order, with duplicates, gives the same packet", () => {
      const size = fc.oneof(fc.integer({ min: 9, max: 4000 }), fc.integer({ min: 9, max: 65515 }));
      const units = fc.array(fc.nat(8190), { minLength: 1, maxLength: 40 });
      const keys = fc.array(fc.nat(), { minLength: 1, maxLength: 50 });
      const again = fc.array(fc.nat(), { maxLength: 20 });
      checkProperty(
        fc.property(size, units, keys, again, (length, cuts, order, doubles) => {
          const inside = cuts.map((unit) => 1 + (unit % Math.ceil(length / 8 - 1)));
          const parts = cut(length, inside);
          if (parts.length < 2) return;
          local.reset();
          const queue = shuffled(parts, order);
          const last = queue.pop();
          assert.ok(last !== undefined);
          for (const i of doubles) queue.push(queue[i % queue.length] ?? last);
          const held = input(local, shuffled(queue, order));
          assert.ok(held.every((address) => address === 0) || doubles.length > 0);
          const [address = 0] = [...held, ...input(local, [last])].filter((at) => at !== 0);
          assert.deepEqual(packetAt(local, address), ipv4(FIELDS, pattern(length)));
          assert.equal(local.stat(abi.STAT_DATAGRAMS_REASSEMBLED), 1);
        }),
      );
    });

    test("P04: up to 65,535 octets, header included", () => {
      local.reset();
      const parts = fragments(FIELDS, pattern(65515), 1480);
      const [address = 0] = input(local, parts).slice(-1);
      assert.deepEqual(packetAt(local, address), ipv4(FIELDS, pattern(65515)));
      assert.deepEqual(local.drops(), []);
    });

    test("P04: the header is the first fragment's, options included", () => {
      local.reset();
      const options = Uint8Array.of(0x94, 4, 0, 0);
      const parts = [
        piece(1480, 100, false, { tos: 9, ttl: 3 }),
        piece(0, 1480, true, { tos: 4, ttl: 60, options }),
      ];
      const [, address = 0] = input(local, parts);
      const whole = ipv4({ ...FIELDS, tos: 4, ttl: 60, options }, pattern(1580));
      assert.deepEqual(packetAt(local, address), whole);
    });

    test("P05: fragments of other datagrams are not mixed in", () => {
      const others = [
        { id: 1 },
        { source: "10.0.2.16" },
        { destination: GATEWAY },
        { protocol: 1 },
      ];
      local.reset();
      input(local, [piece(0, 8, true)]);
      for (const fields of others)
        assert.deepEqual(input(local, [piece(8, 8, false, fields)]), [0]);
      const [address = 0] = input(local, [piece(8, 8, false)]);
      assert.deepEqual(packetAt(local, address), ipv4(FIELDS, pattern(16)));
      for (const fields of others) {
        const [other = 0] = input(local, [piece(0, 8, true, fields)]);
        assert.deepEqual(packetAt(local, other), ipv4({ ...FIELDS, ...fields }, pattern(16)));
      }
    });

    test("P05: any partial overlap drops the datagram and what still comes of it", () => {
      const overlaps: [Uint8Array, string][] = [
        [piece(16, 32, true), "over the end"],
        [piece(24, 8, true), "inside"],
        [piece(8, 24, true), "over the start"],
        [piece(8, 48, true), "around"],
        [piece(16, 16, true), "same end"],
        [piece(24, 16, true), "same start, longer"],
        [piece(16, 8, false), "the last, shorter than what is there"],
        [piece(24, 16, false), "the same range, but last"],
      ];
      for (const [overlap, what] of overlaps) {
        local.reset();
        input(local, [piece(16, 24, true)]);
        assert.deepEqual(input(local, [overlap]), [0], what);
        const rest = input(local, [piece(0, 16, true), piece(40, 8, false)]);
        assert.deepEqual(rest, [0, 0], what);
        assert.deepEqual(local.drops(), only(abi.DROP_FRAGMENT_OVERLAP, 4), what);
      }
    });

    test("P05: two opinions about the length drop the datagram", () => {
      local.reset();
      input(local, [piece(80, 16, false), piece(80, 13, false)]);
      assert.deepEqual(local.drops(), only(abi.DROP_FRAGMENT_OVERLAP, 2));
      local.reset();
      input(local, [piece(80, 16, false), piece(160, 8, false)]);
      assert.deepEqual(local.drops(), only(abi.DROP_FRAGMENT_OVERLAP, 2));
      local.reset();
      input(local, [piece(80, 16, false), piece(96, 8, true)]);
      assert.deepEqual(local.drops(), only(abi.DROP_FRAGMENT_OVERLAP, 2), "behind the last");
      local.reset();
      input(local, [piece(80, 13, false), piece(80, 16, true)]);
      assert.deepEqual(local.drops(), only(abi.DROP_FRAGMENT_OVERLAP, 2));
    });

    test("P05: after an overlap time alone makes the identification usable again", () => {
      local.reset();
      input(local, [piece(0, 16, true), piece(8, 16, true)]);
      assert.deepEqual(input(local, [piece(0, 8, true), piece(8, 8, false)]), [0, 0]);
      local.wasm.run("fragmentExpire", NOW + 60n * SECOND);
      const [, address = 0] = input(local, [piece(0, 8, true), piece(8, 8, false)]);
      assert.deepEqual(packetAt(local, address), ipv4(FIELDS, pattern(16)));
      assert.deepEqual(local.frames(), [], "nothing is said about an overlap");
    });

    test("P05: empty fragments and odd lengths before the end are malformed", () => {
      const parts = [piece(8, 0, true), piece(8, 0, false), piece(0, 0, true)];
      for (const part of [...parts, piece(0, 9, true), piece(64, 15, true)]) {
        local.reset();
        assert.deepEqual(input(local, [part]), [0]);
        assert.deepEqual(local.drops(), only(abi.DROP_FRAGMENT_MALFORMED, 1));
        assert.equal(next(), 0n, "nothing is held");
      }
    });

    test("P05: fragments that hide a TCP header's flags are malformed (RFC 1858, 3128)", () => {
      local.reset();
      input(local, [piece(0, 8, true, { protocol: 6 }), piece(8, 40, false, { protocol: 6 })]);
      assert.deepEqual(local.drops(), only(abi.DROP_FRAGMENT_MALFORMED, 2));
    });

    test("P05: what would end behind 65,535 octets is refused", () => {
      const parts = [piece(65512, 8, false), piece(65528, 8, false), piece(65528, 1480, true)];
      for (const part of parts) {
        local.reset();
        assert.deepEqual(input(local, [part]), [0]);
        assert.deepEqual(local.drops(), only(abi.DROP_FRAGMENT_OVERSIZED, 1));
      }
    });

    test("CVE-2018-11806 class: a first header too long for the rest drops the datagram", () => {
      local.reset();
      const options = new Uint8Array(40).fill(1);
      input(local, [piece(8, 65504, false), piece(0, 8, true, { options })]);
      assert.deepEqual(local.drops(), only(abi.DROP_FRAGMENT_OVERSIZED, 2));
      assert.equal(next(), 0n);
    });

    test("CVE-2019-14378 class: a first fragment longer than the whole datagram", () => {
      local.reset();
      const parts = [piece(0, 1480, true), piece(8, 8, false)];
      assert.deepEqual(input(local, parts), [0, 0]);
      assert.deepEqual(local.drops(), only(abi.DROP_FRAGMENT_OVERLAP, 2));
      local.reset();
      assert.deepEqual(input(local, parts.reverse()), [0, 0]);
      assert.deepEqual(local.drops(), only(abi.DROP_FRAGMENT_OVERLAP, 2));
    });

    test("CVE-2019-15890 class: an overlap that leaves nothing of what was held", () => {
      local.reset();
      const held = [piece(8, 8, true), piece(24, 8, true), piece(40, 8, true)];
      assert.deepEqual(input(local, [...held, piece(0, 64, true), ...held]), Array(7).fill(0));
      assert.deepEqual(local.drops(), only(abi.DROP_FRAGMENT_OVERLAP, 7));
    });

    test("CVE-2020-1983 class: the last fragment first, then one that reaches over it", () => {
      local.reset();
      const parts = [piece(1480, 8, false), piece(0, 1496, true), piece(0, 1480, true)];
      assert.deepEqual(input(local, parts), [0, 0, 0]);
      assert.deepEqual(local.drops(), only(abi.DROP_FRAGMENT_OVERLAP, 3));
    });

    test("CVE-2018-5391 class: 8,189 fragments of 8 octets make one datagram or none", () => {
      local.reset();
      const parts = cut(
        65512,
        Array.from({ length: 8189 }, (_, i) => i),
      );
      assert.equal(parts.length, 8189);
      const addresses = input(local, [...parts.slice(1), ...parts.slice(0, 1)]);
      const address = addresses.pop() ?? 0;
      assert.ok(addresses.every((each) => each === 0));
      assert.deepEqual(packetAt(local, address), ipv4(FIELDS, pattern(65512)));
    });

    test("CVE-2018-5391 class: of nine unfinished datagrams the oldest gives way", () => {
      local.reset();
      for (let id = 1; id <= 9; id += 1) {
        input(local, [piece(0, 8, true, { id }), piece(8, 8, true, { id })], NOW + BigInt(id));
      }
      assert.deepEqual(local.drops(), only(abi.DROP_FRAGMENT_LIMIT, 2));
      for (let id = 2; id <= 9; id += 1) {
        const [address = 0] = input(local, [piece(16, 8, false, { id })]);
        assert.deepEqual(packetAt(local, address), ipv4({ ...FIELDS, id }, pattern(24)));
      }
    });

    test("P05: the most datagrams a batch can complete all stay until the next one", () => {
      local.reset();
      const datagram = (id: number): Uint8Array => ipv4({ ...FIELDS, id }, pattern(40, 0));
      for (let round = 0; round < 3; round += 1) {
        for (let id = 1; id <= 8; id += 1) input(local, [piece(0, 16, true, { id })]);
        local.wasm.run("fragmentBatchReset");
        const done: [number, number][] = [];
        for (let id = 1; id <= 36; id += 1) {
          if (id > 8) input(local, [piece(0, 16, true, { id })]);
          const [address = 0] = input(local, [piece(16, 24, false, { id })]);
          done.push([id, address]);
        }
        for (const [id, address] of done) assert.deepEqual(packetAt(local, address), datagram(id));
      }
      assert.deepEqual(local.drops(), []);
    });

    test("P05: more than a batch can hold is dropped, not overwritten", () => {
      local.reset();
      const done: number[] = [];
      for (let id = 1; id <= 50; id += 1) {
        done.push(...input(local, [piece(0, 8, true, { id }), piece(8, 8, false, { id })]));
      }
      const complete = done.filter((address) => address !== 0);
      assert.equal(new Set(complete).size, 44);
      assert.deepEqual(local.drops(), only(abi.DROP_FRAGMENT_LIMIT, 12));
      local.wasm.run("fragmentBatchReset");
      assert.notEqual(input(local, [piece(0, 8, true), piece(8, 8, false)])[1], 0);
    });

    test("P04: after 60 seconds a datagram is given up, the guest told if it can know it", () => {
      local.reset({ guestMac: GUEST_MAC });
      assert.equal(next(), 0n);
      const first = piece(0, 600, true);
      input(local, [first]);
      input(local, [piece(800, 8, true, { id: 7 })], NOW + SECOND);
      assert.equal(next(), NOW + 60n * SECOND);
      local.wasm.run("fragmentExpire", NOW + 60n * SECOND - 1n);
      assert.deepEqual(local.drops(), []);
      local.wasm.run("fragmentExpire", NOW + 60n * SECOND);
      const told = local.frame();
      assert.ok(told.kind === "icmp");
      assert.deepEqual([told.type, told.code, told.source], [11, 1, GATEWAY]);
      assert.deepEqual(told.payload, first.subarray(0, 548));
      assert.equal(next(), NOW + 61n * SECOND);
      local.wasm.run("fragmentExpire", NOW + 90n * SECOND);
      assert.deepEqual(local.frames(), [], "without the first fragment nothing is said");
      assert.deepEqual(local.drops(), only(abi.DROP_FRAGMENT_TIMEOUT, 2));
      assert.equal(next(), 0n);
    });

    test("a packet that is no fragment is handed back as it is", () => {
      local.reset();
      const address = local.place(ipv4(FIELDS, pattern(8)));
      assert.equal(local.wasm.u32("fragmentInput", address, NOW), address);
    });

    test("P05: whatever comes, no fragment is lost from the counters and no octet is wrong", () => {
      const unit = fc.nat(12);
      const shape = fc.tuple(unit, unit, fc.boolean(), fc.integer({ min: 1, max: 3 }));
      checkProperty(
        fc.property(fc.array(shape, { maxLength: 60 }), (shapes) => {
          local.reset({ guestMac: GUEST_MAC });
          let complete = 0;
          for (const [at, length, more, id] of shapes) {
            if (at === 0 && !more) continue;
            const part = piece(at * 8, length * 8, more, { id });
            const [address = 0] = input(local, [part]);
            if (address === 0) continue;
            complete += 1;
            const packet = packetAt(local, address);
            assert.deepEqual(packet.subarray(20), pattern(packet.length - 20));
          }
          local.wasm.run("fragmentExpire", NOW + 60n * SECOND);
          assert.equal(local.stat(abi.STAT_DATAGRAMS_REASSEMBLED), complete);
          const dropped = local.drops().reduce((sum, [, times]) => sum + times, 0);
          const frames = shapes.filter(([at, , more]) => at !== 0 || more).length;
          assert.ok(complete === 0 ? dropped === frames : dropped <= frames - 2 * complete);
        }),
        500,
      );
    });
  });
}
