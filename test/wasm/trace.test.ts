/** Marks: why each frame of a batch was dropped, and which flow it is of. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { flowsOf } from "../../src/engine/flows.ts";
import { DROP_NAMES } from "../../src/engine/stats.ts";
import * as abi from "../../wasm/abi.ts";
import { EngineWorld } from "../support/engine-harness.ts";
import { GUEST, IPV6, PEER, PEER6 } from "../support/engine-settings.ts";
import { PROTOCOL_UDP, pattern, udp } from "../support/packet.ts";
import { established } from "../support/tcp-guest.ts";

interface Mark {
  readonly reason: string;
  readonly handle: number;
}

/** Marks of the first frames of the last batch. */
function marks({ engine }: EngineWorld, count: number): Mark[] {
  const { view, bases } = engine;
  const first = bases.rxDescriptors + abi.TRACE_MARKS_OFFSET;
  return Array.from({ length: count }, (_, i) => {
    const mark = first + i * abi.TRACE_MARK_SIZE;
    const reason = view.getUint32(mark + abi.TRACE_MARK_REASON_OFFSET, true);
    const handle = view.getUint32(mark + abi.TRACE_MARK_HANDLE_OFFSET, true);
    return { reason: DROP_NAMES[reason] ?? `${reason}`, handle };
  });
}

/** A datagram whose checksum is wrong. */
function spoilt(world: EngineWorld): Uint8Array {
  const ends = { source: GUEST, destination: PEER, sourcePort: 40000, destinationPort: 9 };
  return world.ip(
    { destination: PEER, protocol: PROTOCOL_UDP },
    udp({ ...ends, checksum: 1 }, "a"),
  );
}

const NONE = { reason: "dropNone", handle: 0 };

describe("wasm/trace", () => {
  test("a frame has the reason it was dropped for, and the next batch none of it", () => {
    const world = new EngineWorld();
    const arp = world.arp({ targetAddress: "10.0.2.2" });
    world.guest(spoilt(world), arp, Uint8Array.of(1), world.arp({ targetAddress: "10.0.2.99" }));
    assert.deepEqual(marks(world, 4), [
      { reason: "dropUdpChecksum", handle: 0 },
      NONE,
      { reason: "dropRunt", handle: 0 },
      { reason: "dropArpIgnored", handle: 0 },
    ]);
    world.guest(arp);
    assert.deepEqual(marks(world, 1), [NONE]);
  });

  test("the first reason counts, not what follows from it", () => {
    const world = new EngineWorld();
    // So many errors of ICMP are more than may be sent.
    const fields = { destination: PEER, protocol: PROTOCOL_UDP, ttl: 1 };
    const ends = { source: GUEST, destination: PEER, sourcePort: 40000, destinationPort: 9 };
    const frames = Array.from({ length: 64 }, () => world.ip(fields, udp(ends, "a")));
    for (let i = 0; i < 8; i += 1) world.guest(...frames);
    assert.ok(world.stats.dropReplyFlood > 64, "answers are suppressed");
    assert.ok(marks(world, 64).every(({ reason }) => reason === "dropIpTtl"));
  });

  test("frames of a flow have its handle, of both versions of IP, the first one too", () => {
    const world = new EngineWorld({ ipv6: IPV6 });
    world.guest(
      world.udp({ to: PEER, port: 9 }, "a"),
      world.udp({ to: PEER6, port: 9 }, "a"),
      world.ping(PEER, 1, 1, "a"),
      world.udp({ to: PEER, port: 9 }, "b"),
      world.tcp({ destination: PEER, sourcePort: 1, destinationPort: 2, seq: 1, flags: "S" }),
    );
    const handles = marks(world, 5).map(({ handle }) => handle);
    const flows = flowsOf(world.engine).map(({ handle }) => handle);
    assert.equal(handles[0], handles[3]);
    assert.deepEqual(new Set(handles), new Set(flows));
    assert.equal(flows.length, 4);
  });

  test("a segment that is dropped has reason and flow", () => {
    const { world, guest } = established();
    const [flow] = flowsOf(world.engine);
    guest.sendBatch([{ seq: 1_000_000_000, payload: pattern(10) }]);
    assert.deepEqual(marks(world, 1), [{ reason: "dropTcpWindow", handle: flow?.handle }]);
  });

  test("what other frames held and lose is no reason of the one under way", () => {
    const world = new EngineWorld();
    const fragment = (ident: number): Uint8Array => {
      return world.ip(
        { destination: PEER, protocol: PROTOCOL_UDP, id: ident, moreFragments: true },
        pattern(8),
      );
    };
    const count = abi.FRAGMENT_CONTEXT_COUNT + 2;
    world.guest(...Array.from({ length: count }, (_, i) => fragment(1 + i)));
    assert.equal(world.stats.dropFragmentLimit, 2);
    assert.deepEqual(marks(world, count), new Array(count).fill(NONE));
  });

  test("of any octets: as many reasons as drops are counted in the batch, or fewer", () => {
    const world = new EngineWorld();
    const whole = [
      spoilt(world),
      world.arp({ targetAddress: "10.0.2.2" }),
      world.ping(PEER, 1, 1, "a"),
    ];
    const frames = fc.array(
      fc
        .tuple(fc.constantFrom(...whole), fc.nat(60), fc.nat(255), fc.nat(80))
        .map(([frame, at, octet, length]) => {
          const changed = frame.slice(0, Math.max(1, Math.min(frame.length, length)));
          if (at < changed.length) changed[at] = octet;
          return changed;
        }),
      { minLength: 1, maxLength: 64 },
    );
    fc.assert(
      fc.property(frames, (batch) => {
        const before = world.stats;
        world.guest(...batch);
        const found = marks(world, batch.length);
        for (const name of DROP_NAMES.slice(1)) {
          const marked = found.filter(({ reason }) => reason === name).length;
          assert.ok(marked <= world.stats[name] - before[name], name);
        }
      }),
      { seed: 20261130 },
    );
  });
});
