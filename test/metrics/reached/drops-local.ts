/** Drops of ICMP and of what is for the gateway itself: a scenario for each reason. */
import type { DropName } from "../../../src/engine/stats.ts";
import type { EngineWorld } from "../../support/engine-harness.ts";
import { GATEWAY, GUEST, GUEST_MAC, GUEST6, LINK6, PEER } from "../../support/engine-settings.ts";
import {
  icmp,
  ipv4,
  MAC_BROADCAST,
  PROTOCOL_ICMP,
  PROTOCOL_UDP,
  pattern,
  udp,
} from "../../support/packet.ts";
import { linkOption, neighborSolicitation, solicitedNode } from "../../support/packet6.ts";
import { type Scenario, sends, sends6 } from "./scenario.ts";

const CHECKSUM_WRONG = 0x1234;
const [RELEASE, OTHER_SERVER] = [7, Uint8Array.of(10, 0, 2, 99)];

function message(world: EngineWorld, octets: Uint8Array, to = GATEWAY): Uint8Array {
  return world.ip({ destination: to, protocol: PROTOCOL_ICMP }, octets);
}

/** "Port unreachable" for a datagram that nobody has sent the guest. */
function strayError(): Uint8Array {
  const ends = { source: PEER, destination: GUEST };
  const datagram = udp({ ...ends, sourcePort: 9, destinationPort: 40000 }, "x");
  return icmp({ type: 3, code: 3 }, ipv4({ ...ends, protocol: PROTOCOL_UDP }, datagram));
}

/** What is no DHCP message, to the server's port. */
function noDhcp(world: EngineWorld): Uint8Array {
  const ends = { source: "0.0.0.0", destination: "255.255.255.255" };
  const datagram = udp({ ...ends, sourcePort: 68, destinationPort: 67 }, pattern(300, 1));
  return world.ip({ ...ends, protocol: PROTOCOL_UDP }, datagram, { destination: MAC_BROADCAST });
}

function solicitation(target: string, payload = linkOption(1, GUEST_MAC)): Uint8Array {
  const ends = { source: LINK6, destination: solicitedNode(target) };
  return neighborSolicitation(ends, target, payload);
}

export const LOCAL_DROPS = {
  dropIcmpTruncated: sends((w) => message(w, Uint8Array.of(8, 0, 0, 0))),
  dropIcmpChecksum: sends((w) => message(w, icmp({ type: 8, checksum: CHECKSUM_WRONG }, "x"))),
  dropIcmpType: sends((w) => message(w, icmp({ type: 13 }, pattern(12)))),
  dropIcmpQuote: sends((w) => message(w, strayError(), PEER)),
  dropDhcpMalformed: sends(noDhcp),
  dropDhcpIgnored: sends((w) => w.dhcp({ type: RELEASE, options: [[54, OTHER_SERVER]] })),
  dropNdpMalformed: sends6((w) =>
    w.message(LINK6, solicitedNode(GUEST6), solicitation(GUEST6), 64),
  ),
  dropNdpIgnored: sends6((w) => w.message(LINK6, solicitedNode(GUEST6), solicitation(GUEST6))),
} satisfies Partial<Record<DropName, Scenario>>;
