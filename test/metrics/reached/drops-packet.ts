/** Drops of frames, for what their IP headers say, and of fragments: a scenario for each reason. */
import type { DropName } from "../../../src/engine/stats.ts";
import { EngineWorld } from "../../support/engine-harness.ts";
import { GATEWAY, GUEST, GUEST6, PEER, PEER6 } from "../../support/engine-settings.ts";
import { concat, type Ipv4Fields, PROTOCOL_UDP, pattern, udp } from "../../support/packet.ts";
import { once, type Scenario, sends, sends6, times } from "./scenario.ts";

const ENDS = { source: GUEST, destination: PEER, sourcePort: 40000, destinationPort: 9 };
const [FRAGMENTS_HELD, FRAGMENT_WAIT_us] = [8, 61_000_000];
const HOP_BY_HOP = 0;

/** A datagram in a packet with these fields. */
function packet(world: EngineWorld, fields: Partial<Ipv4Fields>, link = {}): Uint8Array {
  const whole = { destination: PEER, protocol: PROTOCOL_UDP, ...fields };
  return world.ip(whole, udp({ ...ENDS, ...addresses(fields) }, "x"), link);
}

function addresses({ source = GUEST, destination = PEER }: Partial<Ipv4Fields>) {
  return { source, destination };
}

/** A piece of a packet. */
function piece(world: EngineWorld, offset: number, size: number, more = true, id = 7): Uint8Array {
  const range = { fragmentOffset: offset, moreFragments: more, id };
  return world.ip({ destination: PEER, protocol: PROTOCOL_UDP, ...range }, pattern(size));
}

/** A frame cut off after `size` octets of its packet. */
function cut(frame: Uint8Array, size: number): Uint8Array {
  return frame.subarray(0, 14 + size);
}

export const PACKET_DROPS = {
  dropRunt: sends(() => new Uint8Array(13)),
  dropOversized: sends((w) => w.udp({ to: PEER, port: 9 }, pattern(1500 - 28 + 1))),
  // To be cut into pieces of no size.
  dropVnetHeader: once(() => {
    const world = new EngineWorld({ vnetSize: 10 });
    const header = Uint8Array.of(0, 5, 0, 0, 0, 0, 0, 0, 0, 0);
    world.guestRaw(concat(header, world.udp({ to: PEER, port: 9 }, "x")));
    return world;
  }),
  dropEthertype: sends((w) => {
    const frame = w.udp({ to: PEER, port: 9 }, "x");
    frame.set([0x88, 0xcc], 12); // LLDP
    return frame;
  }),
  dropNotForUs: sends((w) => packet(w, {}, { destination: "52:55:0a:00:02:03" })),
  dropSourceMac: sends((w) => packet(w, {}, { source: "53:54:00:12:34:56" })),
  dropArpMalformed: sends((w) => w.arp({ targetAddress: GATEWAY, hardware: 6 })),
  dropArpIgnored: sends((w) => w.arp({ targetAddress: "10.0.2.77" })),
  dropIpTruncated: sends((w) => cut(packet(w, {}), 19)),
  dropIpVersion: sends((w) => packet(w, { version: 5 })),
  dropIpHeaderLength: sends((w) => packet(w, { headerWords: 4 })),
  dropIpTotalLength: sends((w) => packet(w, { totalLength: 1000 })),
  dropIpChecksum: sends((w) => packet(w, { checksum: 0x1234 })),
  // A loose source route.
  dropIpOptions: sends((w) => packet(w, { options: Uint8Array.of(131, 7, 4, 198, 51, 100, 1, 0) })),
  dropIpSource: sends((w) => packet(w, { source: "192.0.2.1" })),
  dropIpDestination: sends((w) => packet(w, { destination: "224.0.0.251" })),
  dropIpTtl: sends((w) => packet(w, { ttl: 1 })),
  dropIpProtocol: sends((w) => w.ip({ destination: PEER, protocol: 132 }, pattern(40))),
  dropIpExtension: sends6((w) =>
    // A hop-by-hop option that nobody who does not know it may pass on.
    w.packet(
      { destination: PEER6, protocol: HOP_BY_HOP },
      concat(
        Uint8Array.of(PROTOCOL_UDP, 0, 0x7e, 4, 0, 0, 0, 0),
        udp({ ...ENDS, source: GUEST6, destination: PEER6 }, "x"),
      ),
    ),
  ),
  dropFragmentLimit: sends((w) =>
    Array.from({ length: FRAGMENTS_HELD + 1 }, (_, id) => piece(w, 0, 16, true, id)),
  ),
  // Both pieces, as none of it is used.
  dropFragmentOverlap: times(2, () => {
    const world = new EngineWorld();
    world.guest(piece(world, 8, 16));
    world.guest(piece(world, 0, 16));
    return world;
  }),
  dropFragmentOversized: sends((w) => piece(w, 65_528, 16, false)),
  dropFragmentTimeout: once(() => {
    const world = new EngineWorld();
    world.guest(piece(world, 0, 16));
    world.advance(FRAGMENT_WAIT_us);
    return world;
  }),
  dropFragmentMalformed: sends((w) => piece(w, 8, 13)),
} satisfies Partial<Record<DropName, Scenario>>;
