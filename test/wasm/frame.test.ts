/**
 * What a frame of the guest must be to be looked into: the virtio_net_hdr in front of it, its
 * length, its addresses on the link and its type. Source: virtio 1.2 §5.1.6.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EngineWorld } from "../support/engine-harness.ts";
import { GATEWAY_MAC, GUEST, IPV6, PEER, PEER6 } from "../support/engine-settings.ts";
import { concat, MAC_BROADCAST, PROTOCOL_UDP, pattern, udp } from "../support/packet.ts";

const NEEDS_CSUM = 1;
const DATA_VALID = 2;
const TCPV4 = 1;
const TCPV6 = 4;
const UDP_L4 = 5;
const ECN = 0x80;

const ENDS = { source: GUEST, destination: PEER, sourcePort: 40000, destinationPort: 9 };

interface Header {
  readonly flags?: number;
  readonly gso?: number;
  readonly segment?: number;
}

function header({ flags = 0, gso = 0, segment = 0 }: Header, size = 10): Uint8Array {
  const octets = new Uint8Array(size);
  octets.set([flags, gso, 0, 0, segment & 0xff, segment >> 8]);
  return octets;
}

/** A datagram whose checksum is wrong. */
function spoilt(world: EngineWorld): Uint8Array {
  return world.ip(
    { destination: PEER, protocol: PROTOCOL_UDP },
    udp({ ...ENDS, checksum: 1 }, "a"),
  );
}

/** A datagram in a packet of that many octets. */
function sized(world: EngineWorld, octets: number, link = {}): Uint8Array {
  const payload = pattern(octets - 28);
  return world.ip({ destination: PEER, protocol: PROTOCOL_UDP }, udp(ENDS, payload), link);
}

/** Hands frames over with what is in front of them; what became of them, by counters. */
function counted(world: EngineWorld, ...frames: Uint8Array[]): Record<string, number> {
  const before = world.stats;
  world.guestRaw(...frames);
  const changes = Object.entries(world.stats)
    .map(([name, value]) => [name, value - (Reflect.get(before, name) as number)] as const)
    .filter(([name, value]) => value !== 0 && /^(?:drop|udpToHost)/.test(name));
  return Object.fromEntries(changes);
}

const TAKEN = { udpToHost: 1 };

describe("wasm/frame: virtio_net_hdr", () => {
  for (const vnetSize of [10, 12] as const) {
    test(`of ${vnetSize} octets: a checksum is trusted where it says so, and only there`, () => {
      const world = new EngineWorld({ vnetSize });
      const front = (flags: number): Uint8Array =>
        concat(header({ flags }, vnetSize), spoilt(world));
      const wrong = { dropUdpChecksum: 1 };
      assert.deepEqual(counted(world, front(0)), wrong);
      assert.deepEqual(counted(world, front(NEEDS_CSUM)), TAKEN);
      assert.deepEqual(counted(world, front(0)), wrong);
      assert.deepEqual(counted(world, front(DATA_VALID)), TAKEN);
      assert.deepEqual(counted(world, front(4)), wrong);
      assert.deepEqual(counted(world, front(NEEDS_CSUM | DATA_VALID)), TAKEN);
      const batch = [NEEDS_CSUM, 0, NEEDS_CSUM].map(front);
      assert.deepEqual(counted(world, ...batch), { udpToHost: 2, ...wrong });
    });
  }

  test("without one no checksum is trusted, whatever the frame begins with", () => {
    const world = new EngineWorld();
    const frame = spoilt(world);
    assert.equal((frame[0] ?? 0) & DATA_VALID, DATA_VALID, "the gateway's MAC has that bit");
    assert.deepEqual(counted(world, frame), { dropUdpChecksum: 1 });
  });

  const kinds: readonly (readonly [string, string, number, boolean])[] = [
    ["a datagram over IPv4", PEER, UDP_L4, false],
    ["a datagram over IPv6", PEER6, UDP_L4, false],
    ["a segment over IPv4", PEER, TCPV4, true],
    ["a segment over IPv6", PEER6, TCPV6, true],
  ];
  for (const [name, to, right, isSegment] of kinds) {
    test(`${name} is cut as what it is alone, and into pieces of a size`, () => {
      const world = new EngineWorld({ vnetSize: 10, ipv6: IPV6 });
      const stray = { destination: to, sourcePort: 40000, destinationPort: 9, flags: "A" };
      const frame = isSegment
        ? world.tcp({ ...stray, seq: 1, ack: 1 }, pattern(500))
        : world.udp({ to, port: 9 }, pattern(500));
      for (let gso = 1; gso < 256; gso++) {
        if (gso === ECN) continue;
        const taken = (gso & ~ECN) === right;
        const found = counted(world, concat(header({ gso, segment: 500 }), frame));
        assert.equal(found["dropVnetHeader"] ?? 0, taken ? 0 : 1, `kind ${gso}`);
        const none = counted(world, concat(header({ gso }), frame));
        assert.deepEqual(none, { dropVnetHeader: 1 }, `kind ${gso} without a size`);
      }
    });
  }

  test("a size of pieces means nothing where nothing is to be cut", () => {
    const world = new EngineWorld({ vnetSize: 10 });
    const frame = sized(world, 528);
    for (const gso of [0, ECN]) {
      assert.deepEqual(counted(world, concat(header({ gso, segment: 100 }), frame)), TAKEN);
    }
    const cut = concat(header({ gso: UDP_L4, segment: 100 }), frame);
    assert.deepEqual(counted(world, cut, concat(header({}), frame)), { udpToHost: 6 });
  });
});

describe("wasm/frame: length", () => {
  for (const vnetSize of [0, 10] as const) {
    test(`the MTU is the bound, with a virtio_net_hdr of ${vnetSize} octets too`, () => {
      const world = new EngineWorld({ vnetSize, mtu: 1400 });
      const front = header({}, 10).subarray(0, vnetSize);
      assert.deepEqual(counted(world, concat(front, sized(world, 1400))), TAKEN);
      const over = concat(front, sized(world, 1401));
      assert.deepEqual(counted(world, over), { dropOversized: 1 });
    });
  }

  test("octets behind the packet do not count", () => {
    const world = new EngineWorld({ mtu: 1400 });
    const behind = new Uint8Array(300);
    assert.deepEqual(counted(world, concat(sized(world, 1400), behind)), TAKEN);
    assert.deepEqual(counted(world, concat(sized(world, 1401), behind)), { dropOversized: 1 });
  });

  test("what is to be cut may be as long as IPv4 allows", () => {
    const world = new EngineWorld({ vnetSize: 10 });
    const front = header({ gso: UDP_L4, segment: 1472 });
    const most = 65_535;
    const datagrams = Math.ceil((most - 28) / 1472);
    assert.deepEqual(counted(world, concat(front, sized(world, most))), { udpToHost: datagrams });
  });
});

describe("wasm/frame: addresses and type", () => {
  /** Looked into, and found not to be for a group. */
  const read = { dropIpDestination: 1 };
  const links: readonly (readonly [string, object, object])[] = [
    ["to everybody", { destination: MAC_BROADCAST }, read],
    ["to a group", { destination: "01:00:5e:00:00:01" }, read],
    ["to another host", { destination: "52:55:0a:00:02:03" }, { dropNotForUs: 1 }],
    ["from a group", { source: "53:54:00:12:34:56" }, { dropSourceMac: 1 }],
    ["from the gateway's address", { source: GATEWAY_MAC }, { dropSourceMac: 1 }],
    ["from no address", { source: "00:00:00:00:00:00" }, { dropSourceMac: 1 }],
    ["from another address of the guest", { source: "52:54:00:12:34:57" }, TAKEN],
  ];
  for (const [name, link, wanted] of links) {
    test(`a frame ${name}: ${Object.keys(wanted).join()}`, () => {
      const world = new EngineWorld();
      assert.deepEqual(counted(world, sized(world, 100, link)), wanted);
    });
  }

  test("a version of IP that is not served is no type we know", () => {
    const both = new EngineWorld({ ipv6: IPV6 });
    const four = new EngineWorld();
    const six = new EngineWorld({ ipv6: IPV6, ipv4: false });
    const frames = [PEER, PEER6].map((to) => four.udp({ to, port: 9 }, "a"));
    const other = { dropEthertype: 1 };
    for (const [world, wanted] of [
      [both, [TAKEN, TAKEN]],
      [four, [TAKEN, other]],
      [six, [other, TAKEN]],
    ] as const) {
      assert.deepEqual(
        frames.map((frame) => counted(world, frame)),
        wanted,
      );
    }
  });

  test("ARP is IPv4's, and what is neither is dropped", () => {
    const world = new EngineWorld();
    const frame = sized(world, 100);
    frame.set([0x88, 0xcc], 12); // LLDP
    assert.deepEqual(counted(world, frame), { dropEthertype: 1 });
    world.guest(world.arp({ targetAddress: "10.0.2.2" }));
    assert.equal(world.take().length, 1);
    const six = new EngineWorld({ ipv6: IPV6, ipv4: false });
    const asked = six.arp({ targetAddress: "10.0.2.2" });
    assert.deepEqual(counted(six, asked), { dropEthertype: 1 });
    assert.equal(six.take().filter(({ kind }) => kind === "arp").length, 0);
  });
});
