/** UDP in bulk: runs with UDP_SEGMENT and USO towards the host, recvmmsg and UDP_GRO back. */
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
import { GUEST, PEER } from "../../support/engine-harness.ts";
import { concat, pattern, u16 } from "../../support/packet.ts";
import {
  type FragmentFrame,
  type Frame,
  reassemble,
  type UdpFrame,
} from "../../support/packet-decode.ts";

const SEED = 20250117;
const OTHER = "203.0.113.9";
const OFFLOAD = { vnetSize: 12, linkFlags: abi.LINK_CSUM | abi.LINK_USO };

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
    world.guest(...batch(world, Array.from({ length: 64 }, () => 10)));
    assert.deepEqual(
      sizes(world.socket().sent).map((message) => message.length),
      [64],
    );
    world.socket().sent.length = 0;
    world.guest(...batch(world, Array.from({ length: 20 }, () => 8000)));
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

  test("a full socket drops the rest of the batch and counts it", () => {
    const world = new DatagramWorld();
    const results = [1, -EAGAIN];
    world.host.onSend = () => results.shift();
    world.guest(...batch(world, [10, 20, 30]));
    assert.deepEqual(sizes(world.socket().sent), [[10]]);
    assert.equal(world.stats.dropUdpSend, 2);
    world.guest(...batch(world, [40]));
    assert.deepEqual(sizes(world.socket().sent), [[10], [40]]);
  });

  test("an error that belongs to an earlier datagram costs nothing", () => {
    const world = new DatagramWorld();
    const results = [1, -ECONNREFUSED, 1, -ECONNREFUSED];
    world.host.onSend = () => results.shift();
    world.guest(...batch(world, [10, 20, 30]));
    assert.deepEqual(sizes(world.socket().sent), [[10], [20], [30]]);
    assert.equal(world.stats.dropUdpSend, 0);
    assert.equal(world.take().length, 0);
  });

  test("P22: a datagram the host refuses twice is told to the guest", () => {
    const cases = [
      [EHOSTUNREACH, 1, 0],
      [101, 0, 0],
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

/** Datagrams as the guest's stack puts them together. */
function whole(frames: readonly Frame[]): UdpFrame[] {
  const found: UdpFrame[] = [];
  let parts: FragmentFrame[] = [];
  for (const frame of frames) {
    if (frame.kind === "udp") found.push(frame);
    if (frame.kind !== "fragment") continue;
    parts.push(frame);
    if (frame.moreFragments) continue;
    const datagram = reassemble(parts);
    assert.ok(datagram.kind === "udp");
    found.push(datagram);
    parts = [];
  }
  return found;
}

describe("UDP from the host in bulk", () => {
  test("datagrams keep order and boundaries, however many there are", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 9, "x"));
    for (let i = 0; i < 300; i += 1) world.socket().receive(pattern(i), PEER, 1000 + i);
    const frames = world.datagrams();
    assert.equal(frames.length, 300);
    for (const [i, { payload, sourcePort }] of frames.entries()) {
      assert.equal(sourcePort, 1000 + i);
      assert.deepEqual(payload, pattern(i));
    }
    assert.equal(world.stats.udpToGuest, 300);
    assert.equal(world.stats.dropTxFull, 0);
  });

  test("many busy sockets share a turn and lose nothing", () => {
    const world = new DatagramWorld();
    for (let i = 0; i < 60; i += 1) world.guest(world.udp(PEER, 9, "x", { sourcePort: 2000 + i }));
    for (const [i, socket] of world.host.sockets.entries()) {
      for (let k = 0; k < 20; k += 1) socket.receive(pattern(200, i * 20 + k), PEER, 9);
    }
    const frames = world.datagrams();
    assert.equal(frames.length, 1200);
    for (let i = 0; i < 60; i += 1) {
      const own = frames.filter(({ destinationPort }) => destinationPort === 2000 + i);
      const want = Array.from({ length: 20 }, (_, k) => pattern(200, i * 20 + k));
      assert.deepEqual(
        own.map(({ payload }) => payload),
        want,
      );
    }
  });

  test("a GRO run is one USO frame where the link segments", () => {
    const world = new DatagramWorld(OFFLOAD);
    world.guest(world.udp(PEER, 9, "x"));
    world.socket().receive(pattern(5000), PEER, 9, { segment: 1200 });
    const [frame, ...others] = world.datagrams();
    assert.equal(others.length, 0);
    assert.deepEqual(frame?.vnet, {
      gsoType: 5,
      headerLength: 42,
      gsoSize: 1200,
      checksumStart: 34,
      checksumOffset: 6,
    });
    assert.deepEqual(frame?.payload, pattern(5000));
    assert.equal(world.stats.udpToGuest, 5);
  });

  test("a GRO run is a frame per datagram where it does not", () => {
    for (const options of [{}, { vnetSize: 12, linkFlags: abi.LINK_CSUM }]) {
      const world = new DatagramWorld(options);
      world.guest(world.udp(PEER, 9, "x"));
      for (let i = 0; i < 20; i += 1) {
        world.socket().receive(pattern(60_050), PEER, 9, { segment: 1000 });
      }
      const frames = world.datagrams();
      const lengths = frames.map(({ payload }) => payload.length);
      // The first runs come while one frame per message was expected.
      assert.equal(world.stats.dropTxFull, 20 * 61 - frames.length);
      assert.ok(frames.length >= 16 * 61, `${frames.length} frames`);
      assert.deepEqual(lengths.slice(0, 61), [...Array.from({ length: 60 }, () => 1000), 50]);
      assert.equal(frames[0]?.vnet === undefined, options.vnetSize === undefined);
    }
  });

  test("small datagrams carry their checksum whatever the link offers", () => {
    const world = new DatagramWorld(OFFLOAD);
    world.guest(world.udp(PEER, 9, "x"));
    world.socket().receive("tiny", PEER, 9);
    world.socket().receive(pattern(1000), PEER, 9);
    const [tiny, large] = world.datagrams();
    assert.equal(tiny?.vnet, undefined);
    assert.equal(large?.vnet?.gsoType, 0);
  });

  test("what exceeds the MTU is fragmented, up to the largest datagram", () => {
    for (const options of [{}, OFFLOAD, { ...OFFLOAD, mtu: 576 }]) {
      const world = new DatagramWorld(options);
      world.guest(world.udp(PEER, 9, "x"));
      for (const length of [1472, 1473, 9000, 65_507]) {
        world.socket().receive(pattern(length), PEER, 9);
        const [datagram, ...others] = whole(world.take());
        assert.equal(others.length, 0);
        assert.deepEqual(datagram?.payload, pattern(length));
        assert.equal(datagram?.destination, GUEST);
      }
      world.socket().receive(pattern(4000), PEER, 9, { segment: 2000 });
      assert.equal(whole(world.take()).length, 2, "a run of datagrams that are too long");
    }
  });

  test("TTL and TOS arrive, one hop less", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 9, "x"));
    world.socket().receive("a", PEER, 9, { ttl: 57, tos: 0xb8 });
    world.socket().receive("b", PEER, 9, { ttl: 1 });
    world.socket().receive("c", PEER, 9);
    assert.deepEqual(
      world.datagrams().map(({ ttl, tos }) => [ttl, tos]),
      [
        [56, 0xb8],
        [1, 0],
        [64, 0],
      ],
    );
  });

  test("P22: sources nobody can answer are dropped", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 9, "x"));
    world.socket().receive("a", "224.0.0.251", 5353);
    world.socket().receive("b", "255.255.255.255", 9);
    world.socket().receive("c", PEER, 0);
    assert.equal(world.take().length, 0);
    assert.equal(world.stats.dropUdpFiltered, 2);
    assert.equal(world.stats.dropUdpPort, 1);
  });

  test("an errno of a receive is taken once and the data after it", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 9, "x"));
    world.socket().receiveErrors.push(ECONNREFUSED);
    world.socket().receive("after", PEER, 9);
    assert.equal(world.datagrams().length, 1);
    world.socket().receiveErrors.push(9, 9, 9);
    world.socket().receive("lost to a broken socket until the next event", PEER, 9);
    assert.equal(world.take().length, 0);
  });

  test("octets of another datagram never show", () => {
    const world = new DatagramWorld();
    world.guest(world.udp(PEER, 9, "x"));
    world.socket().receive(new Uint8Array(1400).fill(0xee), PEER, 9);
    world.take();
    world.socket().receive(u16(1), PEER, 9);
    const [frame] = world.datagrams();
    assert.equal(frame?.octets.length, 60);
    assert.ok(!frame?.octets.includes(0xee));
  });
});
