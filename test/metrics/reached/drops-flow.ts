/** Drops of datagrams (UDP, DNS, ping) and of what is out of reach: a scenario for each reason. */
import type { DropName } from "../../../src/engine/stats.ts";
import { mappedOctetsOf } from "../../../src/lib/addr6.ts";
import * as abi from "../../../wasm/abi.ts";
import { DatagramWorld } from "../../support/datagram-world.ts";
import { answer, query, RESOLVERS } from "../../support/dns.ts";
import { EngineWorld } from "../../support/engine-harness.ts";
import { DNS, GATEWAY, PEER, type WorldOptions } from "../../support/engine-settings.ts";
import type { FakeSocket } from "../../support/fake-socket.ts";
import { concat, ip, PROTOCOL_UDP, pattern, udp } from "../../support/packet.ts";
import { TcpGuest } from "../../support/tcp-guest.ts";
import { World6 } from "../../support/world6.ts";
import { once, type Scenario, sends } from "./scenario.ts";

const [EACCES, ECONNREFUSED, ENETUNREACH] = [13, 111, 101];
const SECOND_us = 1_000_000;
/** ICMP errors that the guest gets at once. */
const ERRORS_AT_ONCE = 50;
const NOBODY_HEARD = { guestMac: new Uint8Array(6) };
const OWN = "192.0.2.10";

/** A datagram with these fields of its header. */
function datagram(world: EngineWorld, fields: object): Uint8Array {
  const ends = { source: "10.0.2.15", destination: PEER, sourcePort: 40000, destinationPort: 9 };
  return world.ip({ destination: PEER, protocol: PROTOCOL_UDP }, udp({ ...ends, ...fields }, "x"));
}

/** A world whose guest has sent a datagram, and the host's socket of it. */
function talking(options: WorldOptions = {}): { world: EngineWorld; socket: FakeSocket } {
  const world = new EngineWorld(options);
  world.guest(world.udp({ to: PEER, port: 9 }, "x"));
  return { world, socket: world.host.socket() };
}

/** Where more connections are in use than the table has slots by now, and none of them rests. */
export function crowded(): EngineWorld {
  const world = new EngineWorld({ flowsMax: 64 });
  for (let i = 0; i < 20; i += 1) new TcpGuest(world, { port: 41_000 + i }).open();
  world.engine.setLimits({ flowsMax: 16, chunksMax: 64 });
  world.engine.step(world.now); // which is when limits take effect
  return world;
}

function ownAddress(options: WorldOptions = {}): EngineWorld {
  const world = new EngineWorld(options);
  world.engine.setHostAddresses([mappedOctetsOf(ip(OWN))]);
  return world;
}

/** As many runs of datagrams as a batch holds, and one datagram more. */
function tooMany(): DatagramWorld {
  const world = new DatagramWorld({ vnetSize: 12, linkFlags: abi.LINK_CSUM | abi.LINK_USO });
  const header = Uint8Array.of(1, 5, 42, 0, 1, 0, 34, 0, 6, 0, 0, 0);
  const run = concat(header, world.udp(PEER, 9, pattern(64 * 64)));
  const plain = concat(new Uint8Array(12), world.udp(PEER, 9, "x"));
  world.guestRaw(run, run, run, run, plain);
  return world;
}

/** Frames of the guest that only the engine answers, while nobody takes the answers. */
function unread(): EngineWorld {
  const world = new EngineWorld();
  const { engine } = world;
  const frame = world.arp({ targetAddress: GATEWAY });
  for (let i = 0; i <= abi.TX_CAPACITY_COUNT; i += 1) receive(world, frame);
  engine.step(world.now);
  return world;
}

/** Hands a frame over and does no more. */
function receive({ engine, now }: EngineWorld, frame: Uint8Array): void {
  const { octets, words, bases } = engine;
  octets.set(frame, bases.rxBuffers);
  words[bases.rxDescriptors >> 2] = bases.rxBuffers;
  words[(bases.rxDescriptors >> 2) + 1] = frame.length;
  engine.guestRx(1, now);
}

export const FLOW_DROPS = {
  dropUdpTruncated: sends((w) =>
    w.ip({ destination: PEER, protocol: PROTOCOL_UDP }, Uint8Array.of(0x9c, 0x40, 0, 9, 0, 8)),
  ),
  dropUdpLength: sends((w) => datagram(w, { length: 100 })),
  dropUdpChecksum: sends((w) => datagram(w, { checksum: 0x1234 })),
  dropUdpPort: sends((w) => datagram(w, { destinationPort: 0 })),
  dropUdpTableFull: once(() => {
    const world = crowded();
    world.guest(world.udp({ to: PEER, port: 9 }, "x"));
    return world;
  }),
  dropUdpSend: once(() => {
    const world = new EngineWorld();
    world.host.openResult = -EACCES;
    world.guest(world.udp({ to: PEER, port: 9 }, "x"));
    return world;
  }),
  dropUdpFiltered: once(() => {
    const { world, socket } = talking({ strictFilter: true });
    socket.receive("unasked", { address: "203.0.113.9", port: 7 });
    world.run();
    return world;
  }),
  dropUdpLocal: once(() => {
    const world = ownAddress();
    world.guest(world.udp({ to: PEER, port: 9 }, "x"));
    world.host.socket().receive("unasked", { address: OWN, port: 7 });
    world.run();
    return world;
  }),
  dropPingTableFull: once(() => {
    const world = crowded();
    world.guest(world.ping(PEER, 1, 1, "x"));
    return world;
  }),
  dropPingSend: once(() => {
    const world = new DatagramWorld();
    world.host.openResults.push(-EACCES);
    world.guest(world.ping(PEER, 1, 1, "x"));
    return world;
  }),
  dropDatagramTooBig: once(() => {
    const { world, socket } = talking();
    socket.receive(pattern(65_535 - 28 + 1), { address: PEER, port: 9 });
    world.run();
    return world;
  }),
  dropReplyFlood: once(() => {
    const { world, socket } = talking();
    const error = { errno: ECONNREFUSED, type: 3, code: 3, offender: PEER };
    for (let i = 0; i <= ERRORS_AT_ONCE; i += 1) {
      socket.queueError({ ...error, address: PEER, port: 9, payload: "x" });
    }
    world.run();
    return world;
  }),
  dropOpLimit: once(tooMany),
  dropTxFull: once(unread),
  dropNeighbor: once(() => {
    const world = new EngineWorld(NOBODY_HEARD);
    world.inboundUdp(53, 5300)?.receive("for whom", { address: PEER, port: 162 });
    world.advance(5 * SECOND_us);
    return world;
  }),
  // The process stood still between taking a datagram and sending it.
  dropGuestGone: once(() => {
    const world = new EngineWorld();
    receive(world, world.udp({ to: PEER, port: 9 }, "x"));
    world.engine.guestGone(world.now);
    world.engine.step(world.now + 2 * SECOND_us);
    return world;
  }),
  dropLoopback: sends((w) => w.udp({ to: GATEWAY, port: 7000 }, "x")),
  dropHostAddress: once(() => {
    const world = ownAddress({ refusesHost: true });
    world.guest(world.udp({ to: OWN, port: 9 }, "x"));
    return world;
  }),
  dropMetadata: sends((w) => w.udp({ to: "169.254.169.254", port: 80 }, "x"), {
    refusesMetadata: true,
  }),
  dropNoResolver: sends((w) => w.udp({ to: DNS, port: 53 }, answer(1)), { resolvers: [] }),
  dropDnsAnswer: once(() => {
    const world = new DatagramWorld();
    world.guest(world.udp(DNS, 53, query(1)));
    world.socket().receive(answer(1));
    world.socket().receive(answer(1));
    world.run();
    return world;
  }),
  dropDnsRetry: once(() => {
    const world = new DatagramWorld({ resolvers: RESOLVERS.slice(0, 2) });
    world.host.openResults.push(0, -ENETUNREACH);
    world.guest(world.udp(DNS, 53, query(1)));
    world.advance(2);
    return world;
  }),
  dropPathMtu: once(() => {
    const world = new DatagramWorld({ strictDf: true, mtu: 9000 });
    world.host.pathMtu = () => 1400;
    world.guest(world.udp(PEER, 9, pattern(1400), { dontFragment: true }));
    return world;
  }),
  dropAddressTableFull: once(() => {
    const world = new World6({ flowsMax: 16 });
    // More addresses in one batch than there is room for; what is used in a batch stays in it.
    const frames = Array.from({ length: 64 }, (_, i) =>
      world.udp({ to: `2001:db8::${(0x100 + i).toString(16)}`, port: 9 }, "x"),
    );
    for (let i = 1; world.stats.dropAddressTableFull === 0; i += 1) {
      world.guest(...frames.slice(0, i));
    }
    return world;
  }),
} satisfies Partial<Record<DropName, Scenario>>;
