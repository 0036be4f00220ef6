/** Datagrams to the host in bulk: runs with UDP_SEGMENT and USO, partial and failed sends. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import * as abi from "../../../wasm/abi.ts";
import {
  EACCES,
  EAGAIN,
  ECONNREFUSED,
  EHOSTUNREACH,
  EINVAL,
  EIO,
  EMSGSIZE,
  type Message,
} from "../../support/datagram-host.ts";
import { DatagramWorld } from "../../support/datagram-world.ts";
import { PEER } from "../../support/engine-settings.ts";
import { concat, pattern } from "../../support/packet.ts";

const SEED = 20250117;
const OTHER = "203.0.113.9";
const OFFLOAD = { vnetSize: 12, linkFlags: abi.LINK_CSUM | abi.LINK_USO } as const;

/** Sizes of the datagrams the messages carry. */
function sizes(messages: readonly Message[]): number[][] {
  return messages.map(({ payload, segment }) => {
    if (segment === 0) return [payload.length];
    const count = Math.ceil(payload.length / segment);
    return Array.from({ length: count }, (_, i) => Math.min(segment, payload.length - i * segment));
  });
}

/** Frames of `lengths` octets of payload. */
function batch(world: DatagramWorld, lengths: readonly number[]): Uint8Array[] {
  return lengths.map((length, i) => world.udp(PEER, 9, pattern(length, i)));
}

/** A datagram with a virtio_net_hdr that makes it a run of datagrams of `segment` octets. */
function run(world: DatagramWorld, payload: Uint8Array, segment: number): Uint8Array {
  const head = concat(Uint8Array.of(1, 5, 42, 0, segment & 0xff, segment >> 8, 34, 0, 6, 0, 0, 0));
  return concat(head, world.udp(PEER, 9, payload));
}

describe("UDP to the host in bulk", () => {
  test("equal datagrams become one message, the last may be shorter", () => {
    const world = new DatagramWorld();
    world.guest(...batch(world, [100, 100, 100, 40, 100, 200, 200]));
    const { sent, calls } = world.socket();
    assert.deepEqual(sizes(sent), [[100, 100, 100, 40], [100], [200, 200]]);
    assert.deepEqual(
      sent.map(({ segment, pieces }) => [segment, pieces.length]),
      [
        [100, 4],
        [0, 1],
        [200, 2],
      ],
    );
    assert.deepEqual(calls, [3], "one system call");
    assert.equal(world.stats.udpToHost, 7);
    const want = [100, 100, 100, 40, 100, 200, 200].map((length, i) => pattern(length, i));
    assert.deepEqual(concat(...sent.map(({ payload }) => payload)), concat(...want));
  });

  test("runs end where destination, TTL or TOS change, and where a datagram is empty", () => {
    const world = new DatagramWorld();
    world.guest(
      world.udp(PEER, 9, "aa"),
      world.udp(PEER, 9, "bb"),
      world.udp(PEER, 10, "cc"),
      world.udp(OTHER, 10, "dd"),
      world.udp(OTHER, 10, "ee", { ttl: 9 }),
      world.udp(OTHER, 10, "ff", { ttl: 9, tos: 8 }),
      world.udp(OTHER, 10, "", { ttl: 9, tos: 8 }),
    );
    assert.deepEqual(world.socket().texts, ["aabb", "cc", "dd", "ee", "ff", ""]);
  });

  test("64 datagrams and 65,507 octets are the most in one message", () => {
    const world = new DatagramWorld({ mtu: 9000 });
    world.guest(
      ...batch(
        world,
        Array.from({ length: 64 }, () => 10),
      ),
    );
    assert.deepEqual(
      sizes(world.socket().sent).map((message) => message.length),
      [64],
    );
    world.socket().sent.length = 0;
    world.guest(
      ...batch(
        world,
        Array.from({ length: 20 }, () => 8000),
      ),
    );
    assert.deepEqual(
      sizes(world.socket().sent).map((message) => message.length),
      [8, 8, 4],
    );
  });

  for (const errno of [EINVAL, EIO, EMSGSIZE]) {
    test(`where segmentation fails with errno ${errno}, each datagram is sent alone`, () => {
      const world = new DatagramWorld();
      world.host.onSend = (messages) => {
        const bad = messages.findIndex(({ segment }) => segment !== 0);
        return bad < 0 ? undefined : bad === 0 ? -errno : bad;
      };
      world.guest(...batch(world, [50, 100, 100, 100, 40, 60]));
      const socket = world.socket();
      assert.deepEqual(sizes(socket.sent), [[50], [100], [100], [100], [40], [60]]);
      const before = socket.calls.length;
      world.guest(...batch(world, [100, 100]));
      assert.deepEqual(socket.calls.slice(before), [2], "not tried again");
      assert.equal(world.stats.dropUdpSend, 0);
      assert.equal(world.take().length, 0);
    });
  }

  test("segments too long for the path do not forbid shorter ones", () => {
    const world = new DatagramWorld({ mtu: 9000 });
    world.host.onSend = ([first]) =>
      first !== undefined && first.segment > 1472 ? -EINVAL : undefined;
    world.guest(...batch(world, [4000, 4000]));
    world.guest(...batch(world, [1000, 1000]));
    assert.deepEqual(sizes(world.socket().sent), [[4000], [4000], [1000, 1000]]);
  });

  test("a partial result continues with the rest", () => {
    const world = new DatagramWorld();
    world.host.onSend = () => 1;
    world.guest(...batch(world, [10, 10, 20, 30, 30]));
    assert.deepEqual(sizes(world.socket().sent), [[10, 10], [20], [30, 30]]);
    assert.deepEqual(world.socket().calls, [3, 2, 1]);
    assert.equal(world.stats.udpToHost, 5);
  });

  for (const [name, errno] of [
    ["EAGAIN", EAGAIN],
    ["ENOBUFS", 105],
    ["ENOMEM", 12],
  ] as const) {
    test(`a full socket, ${name}, drops the rest of the batch and counts it`, () => {
      const world = new DatagramWorld();
      const results = [1, -errno];
      world.host.onSend = () => results.shift();
      world.guest(...batch(world, [10, 20, 30]));
      assert.deepEqual(sizes(world.socket().sent), [[10]]);
      assert.equal(world.stats.dropUdpSend, 2);
      assert.equal(world.take().length, 0);
      world.guest(...batch(world, [40]));
      assert.deepEqual(sizes(world.socket().sent), [[10], [40]]);
    });
  }

  test("an error that belongs to an earlier datagram costs nothing", () => {
    const world = new DatagramWorld();
    const results = [1, -ECONNREFUSED, 1, -ECONNREFUSED];
    world.host.onSend = () => results.shift();
    world.guest(...batch(world, [10, 20, 30]));
    assert.deepEqual(sizes(world.socket().sent), [[10], [20], [30]]);
    assert.equal(world.stats.dropUdpSend, 0);
    assert.equal(world.take().length, 0);
  });

  test("P18, P22, N09: a datagram the host refuses twice is told to the guest", () => {
    const cases = [
      [EHOSTUNREACH, 1, 0],
      [101, 0, 0], // ENETUNREACH
      [100, 0, 0], // ENETDOWN
      [99, 0, 0], // EADDRNOTAVAIL
      [EINVAL, 1, 0],
      [95, 1, 0], // EOPNOTSUPP: whatever else it may say
      [EACCES, 13, 0],
      [1, 13, 0],
      [EMSGSIZE, 4, 576],
    ] as const;
    for (const [errno, code, rest] of cases) {
      const world = new DatagramWorld();
      world.host.onSend = ([first]) => (first?.port === 9 ? -errno : undefined);
      world.guest(world.udp(PEER, 9, "bad", { dontFragment: true }), world.udp(PEER, 10, "good"));
      assert.deepEqual(world.socket().texts, ["good"]);
      const error = world.icmp();
      assert.deepEqual([error.type, error.code, error.rest], [3, code, rest]);
      assert.equal(world.stats.dropUdpSend, 1);
    }
  });

  test("a socket that cannot be had is told, a shortage is not", () => {
    for (const [errno, code] of [
      [97, 0], // EAFNOSUPPORT: a host without that version of IP
      [EACCES, 13],
      [24, undefined], // EMFILE
    ] as const) {
      const world = new DatagramWorld();
      world.host.openResults.push(-errno, -errno);
      world.guest(world.udp(PEER, 9, "x"));
      if (code === undefined) assert.equal(world.take().length, 0);
      else assert.deepEqual([world.icmp().code, world.stats.dropUdpSend], [code, 1]);
    }
  });

  test("a USO frame is one message", () => {
    const world = new DatagramWorld(OFFLOAD);
    world.guestRaw(run(world, pattern(5000), 1200));
    const [message, ...others] = world.socket().sent;
    assert.equal(others.length, 0);
    assert.deepEqual(message?.payload, pattern(5000));
    assert.equal(message?.segment, 1200);
    assert.equal(world.stats.udpToHost, 5);
    world.socket().sent.length = 0;
    world.guestRaw(run(world, pattern(1000), 1200));
    assert.equal(world.socket().sent[0]?.segment, 0, "one datagram is no run");
  });

  test("a USO frame of more than 64 datagrams is cut, and cut up without segmentation", () => {
    const world = new DatagramWorld(OFFLOAD);
    world.guestRaw(run(world, pattern(1000), 10));
    assert.deepEqual(
      sizes(world.socket().sent).map((message) => message.length),
      [64, 36],
    );
    world.socket().sent.length = 0;
    world.host.onSend = ([first]) => ((first?.segment ?? 0) > 0 ? -EIO : undefined);
    world.guestRaw(run(world, pattern(2005), 10));
    const { sent, calls } = world.socket();
    assert.equal(sent.length, 201);
    assert.deepEqual(concat(...sent.map(({ payload }) => payload)), pattern(2005));
    assert.ok(Math.max(...calls) <= 128);
  });

  test("a hostile USO frame exhausts nothing", () => {
    const world = new DatagramWorld(OFFLOAD);
    const frame = run(world, pattern(60_000), 1);
    world.guestRaw(...Array.from({ length: 8 }, () => frame));
    assert.ok(world.stats.dropOpLimit > 0);
    world.guest(world.udp(PEER, 9, "fine"));
    assert.equal(world.socket().texts.at(-1), "fine");
  });

  test("any batch arrives whole and in order, however the host takes it", () => {
    const lengths = fc.array(fc.constantFrom(0, 1, 100, 100, 100, 101, 1400), { maxLength: 64 });
    const answers = fc.array(fc.constantFrom(1, 2, 99, -ECONNREFUSED, -EIO), { maxLength: 30 });
    fc.assert(
      fc.property(lengths, answers, (list, results) => {
        const world = new DatagramWorld();
        // Two failures in a row would be one datagram's own fault.
        const rest = results.filter((result, i) => result > 0 || (results[i - 1] ?? 1) > 0);
        world.host.onSend = (messages) => {
          const result = rest.shift() ?? messages.length;
          const segmented = (messages[0]?.segment ?? 0) > 0;
          if (result === -EIO && !segmented) return 1;
          return Math.min(result, messages.length);
        };
        world.guest(...batch(world, list));
        if (list.length === 0) return;
        const all = sizes(world.socket().sent).flat();
        assert.deepEqual(all, list);
        const octets = concat(...world.socket().sent.map(({ payload }) => payload));
        assert.deepEqual(octets, concat(...list.map((length, i) => pattern(length, i))));
        assert.equal(world.stats.udpToHost, list.length);
      }),
      { seed: SEED, numRuns: 60 },
    );
  });
});
