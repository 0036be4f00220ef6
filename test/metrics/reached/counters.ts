/** What the engine counts beside TCP: a scenario for each counter. */
import * as abi from "../../../wasm/abi.ts";
import { DatagramWorld } from "../../support/datagram-world.ts";
import { query, RESOLVERS } from "../../support/dns.ts";
import { EngineWorld } from "../../support/engine-harness.ts";
import {
  DNS,
  GATEWAY,
  GATEWAY6,
  GUEST_MAC,
  LINK6,
  PEER,
  PEER6,
} from "../../support/engine-settings.ts";
import { concat, PROTOCOL_UDP, pattern, u16, u32 } from "../../support/packet.ts";
import {
  ia,
  linkOption,
  neighborSolicitation,
  type Option6,
  solicitedNode,
} from "../../support/packet6.ts";
import { World6 } from "../../support/world6.ts";
import { type Beside, once, type Scenario, sends, sends6, sent, times } from "./scenario.ts";

const SECOND_us = 1_000_000;
const ARP_SIZE = 42;
/** Without the checksum behind it, which is the link's. */
const FRAME_MIN_SIZE = 60;
const NOBODY_HEARD = { guestMac: new Uint8Array(6) };
/** The router has advertised itself in every world of IPv6. */
const ROUTER: Beside = { 'slirp_local_replies_total{protocol="router"}': 1 };
const [DISCOVER, REQUEST, SOLICIT, INFORMATION] = [1, 3, 1, 11];
const CLIENT: Option6 = [1, concat(u16(1), u16(1), u32(77), pattern(6))];
/** DNS flows that a table of 64 has at most. */
const DNS_MOST = 16;

function asksGateway(world: EngineWorld): Uint8Array {
  return world.arp({ targetAddress: GATEWAY });
}

function datagram(world: EngineWorld): Uint8Array {
  return world.udp({ to: PEER, port: 9 }, "x");
}

function asksDhcp(type: number, address: string) {
  const octets = Uint8Array.from(address.split("."), Number);
  return (world: EngineWorld): Uint8Array => world.dhcp({ type, options: [[50, octets]] });
}

function solicitation(world: World6): Uint8Array {
  const destination = solicitedNode(GATEWAY6);
  const ends = { source: LINK6, destination };
  const body = neighborSolicitation(ends, GATEWAY6, linkOption(1, GUEST_MAC));
  return world.message(LINK6, destination, body);
}

function fragment(world: EngineWorld, offset: number): Uint8Array {
  const range = { fragmentOffset: offset, moreFragments: offset === 0, id: 7 };
  return world.ip({ destination: PEER, protocol: PROTOCOL_UDP, ...range }, pattern(16, 1));
}

/** More UDP ports than there are slots for. */
function manyPorts(): EngineWorld {
  const world = new EngineWorld({ flowsMax: 16 });
  for (let i = 0; world.stats.udpEvicted === 0; i += 1) {
    world.guest(world.udp({ to: PEER, port: 9, from: 2000 + i }, "x"));
  }
  return world;
}

/** More IPv6 addresses than there is room for. */
function manyAddresses(): World6 {
  const world = new World6({ flowsMax: 16 });
  for (let i = 0; world.stats.addressSweeps === 0; i += 1) {
    world.guest(world.udp({ to: `2001:db8::${(0x100 + i).toString(16)}`, port: 9 }, "x"));
  }
  return world;
}

function pinging(answers: boolean): EngineWorld {
  const world = new EngineWorld();
  world.host.answersPing = answers;
  world.guest(world.ping(PEER, 1, 1, "x"));
  return world;
}

export const COUNTERS = {
  slirp_guest_receive_packets_total: sends(asksGateway),
  slirp_guest_receive_bytes_total: times(ARP_SIZE, () => sent(new EngineWorld(), asksGateway)),
  slirp_guest_transmit_packets_total: sends(asksGateway),
  slirp_guest_transmit_bytes_total: times(FRAME_MIN_SIZE, () =>
    sent(new EngineWorld(), asksGateway),
  ),
  'slirp_flows_opened_total{protocol="udp"}': sends(datagram),
  'slirp_flows_closed_total{protocol="udp"}': once(() => {
    const world = sent(new EngineWorld(), datagram);
    world.advance(301 * SECOND_us);
    return world;
  }),
  'slirp_datagrams_total{protocol="udp",direction="to_host"}': sends(datagram),
  'slirp_datagrams_total{protocol="udp",direction="to_guest"}': once(() => {
    const world = new EngineWorld();
    world.inboundUdp(53, 5300)?.receive("x", { address: PEER, port: 9 });
    world.run();
    return world;
  }),
  'slirp_flows_evicted_total{kind="udp"}': once(manyPorts),
  'slirp_datagrams_total{protocol="ping",direction="to_host"}': once(() => pinging(false)),
  'slirp_datagrams_total{protocol="ping",direction="to_guest"}': once(() => pinging(true), {
    'slirp_datagrams_total{protocol="ping",direction="to_host"}': 1,
  }),
  'slirp_local_replies_total{protocol="ping"}': sends((w) => w.ping(GATEWAY, 1, 1, "x")),
  'slirp_icmp_errors_total{direction="to_guest"}': sends((w) =>
    w.udp({ to: GATEWAY, port: 7000 }, "x"),
  ),
  'slirp_local_replies_total{protocol="arp"}': sends(asksGateway),
  'slirp_neighbor_requests_total{protocol="arp"}': once(() => {
    const world = new EngineWorld(NOBODY_HEARD);
    world.inboundUdp(53, 5300)?.receive("x", { address: PEER, port: 9 });
    world.run();
    return world;
  }),
  'slirp_neighbor_requests_total{protocol="ndp"}': once(() => {
    const world = new World6(NOBODY_HEARD);
    world.inboundUdp(53, 5300, 6)?.receive("x", { address: PEER6, port: 9 });
    world.run();
    return world;
  }),
  'slirp_local_replies_total{protocol="dhcp_offer"}': sends(asksDhcp(DISCOVER, "10.0.2.15")),
  'slirp_local_replies_total{protocol="dhcp_ack"}': sends(asksDhcp(REQUEST, "10.0.2.15")),
  'slirp_local_replies_total{protocol="dhcp_nak"}': sends(asksDhcp(REQUEST, "10.0.2.99")),
  'slirp_fragments_total{direction="from_guest"}': sends((w) => fragment(w, 0)),
  slirp_datagrams_reassembled_total: sends((w) => [fragment(w, 0), fragment(w, 16)]),
  'slirp_fragments_total{direction="to_guest"}': times(2, () => {
    const world = new EngineWorld();
    world.inboundUdp(53, 5300)?.receive(pattern(2000), { address: PEER, port: 9 });
    world.run();
    return world;
  }),
  'slirp_local_replies_total{protocol="dns_failure"}': sends(
    (w) => w.udp({ to: DNS, port: 53 }, query(1)),
    { resolvers: [] },
  ),
  'slirp_flows_evicted_total{kind="dns"}': once(() => {
    const world = new EngineWorld({ flowsMax: 4 * DNS_MOST });
    for (let i = 0; i <= DNS_MOST; i += 1) {
      world.guest(world.udp({ to: DNS, port: 53, from: 2000 + i }, query(i)));
    }
    return world;
  }),
  slirp_dns_retries_total: once(() => {
    const world = new DatagramWorld({ resolvers: RESOLVERS.slice(0, 2) });
    world.guest(world.udp(DNS, 53, query(1)));
    world.advance(2);
    return world;
  }),
  slirp_local_packets_total: sends(asksGateway),
  slirp_stale_events_total: once(() => {
    const world = sent(new EngineWorld(), datagram);
    const { handle } = world.host.socket();
    world.advance(301 * SECOND_us);
    world.engine.upstreamEvent(handle, abi.EVENT_READABLE, world.now);
    return world;
  }),
  slirp_guests_gone_total: once(() => {
    const world = sent(new EngineWorld(), datagram);
    world.leave();
    world.advance(2 * SECOND_us);
    return world;
  }),
  'slirp_local_replies_total{protocol="ndp"}': sends6(solicitation, {}, ROUTER),
  'slirp_local_replies_total{protocol="router"}': once(() => new World6()),
  'slirp_local_replies_total{protocol="dhcp6_advertise"}': sends6(
    (w) => w.dhcp6({ type: SOLICIT, options: [CLIENT, ia(5)] }),
    {},
    ROUTER,
  ),
  'slirp_local_replies_total{protocol="dhcp6_reply"}': sends6(
    (w) => w.dhcp6({ type: INFORMATION, options: [CLIENT] }),
    {},
    ROUTER,
  ),
  slirp_address_sweeps_total: once(manyAddresses),
} satisfies Readonly<Record<string, Scenario>>;
