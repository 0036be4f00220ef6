/** What the engine counts of TCP: a scenario for each counter. */
import type { StatName } from "../../../src/engine/stats.ts";
import { crowd } from "../../support/arrivals.ts";
import { EngineWorld } from "../../support/engine-harness.ts";
import { GUEST, PEER } from "../../support/engine-settings.ts";
import { icmp, ipv4, PROTOCOL_ICMP, PROTOCOL_TCP, pattern, tcp } from "../../support/packet.ts";
import { type Conversation, established, reach, TcpGuest } from "../../support/tcp-guest.ts";
import { type Outcome, once, type Scenario, sends, times } from "./scenario.ts";

const SECOND_us = 1_000_000;
const RTT_us = 10_000;
const MSS = 1460;
const FLOWS = 64;
const STRANGER = "192.0.2.66";

/** A connection with so many segments under way, to a guest that is RTT away and knows it. */
function flying(segments: number): Conversation {
  const conversation = established();
  const { world, guest, socket } = conversation;
  for (let i = 0; i < 20; i += 1) {
    socket.push(pattern(MSS));
    guest.expect({ length: MSS });
    world.advance(RTT_us);
    guest.send();
  }
  socket.push(pattern(segments * MSS));
  world.take();
  return conversation;
}

/** The guest tells which octets behind the first segment it has got. */
function hasGot({ guest }: Conversation, from: number, to: number): void {
  const at = (segment: number): number => guest.wanted + segment * MSS;
  guest.send({ ack: guest.wanted, sack: [[at(from), at(to)]] });
}

/** Nothing is heard of the guest until the engine sends again what it has not acknowledged. */
function silence(segments: number, name: StatName): EngineWorld {
  const { world } = flying(segments);
  while (world.stats[name] === 0) world.advance(RTT_us);
  return world;
}

/** The guest complains about a segment on its way to it. */
function complaint({ guest, world }: Conversation): Uint8Array {
  const ends = { source: PEER, destination: GUEST };
  const ports = { sourcePort: guest.peerPort, destinationPort: guest.port };
  const seq = (guest.irs + guest.wanted) >>> 0;
  const segment = tcp({ ...ends, ...ports, seq, flags: "A" });
  const quote = ipv4({ ...ends, protocol: PROTOCOL_TCP }, segment).subarray(0, 28);
  const message = icmp({ type: 3, code: 1 }, quote);
  return world.ip({ destination: PEER, protocol: PROTOCOL_ICMP }, message);
}

/** A table where one connection in TIME-WAIT gives way to the first one more. */
function waiting(): EngineWorld {
  const world = new EngineWorld({ flowsMax: 16 });
  for (let i = 0; world.stats.timeWaitEvicted === 0; i += 1) {
    const guest = new TcpGuest(world, { port: 41_000 + i }).open();
    guest.socket.end();
    guest.expect({ flags: "FA" });
    guest.send({ flags: "FA" });
    world.take();
  }
  return world;
}

/** Uploads that nobody takes, until some of what they hold is given back: so much of it. */
function unwanted(): Outcome {
  const world = new EngineWorld({ chunksMax: 64 });
  for (let i = 0; i < 20; i += 1) {
    const guest = new TcpGuest(world, { port: 41_000 + i, peerPort: 1000 + i }).open();
    guest.socket.sendRoom = 0;
    for (let at = 0; at < 40; at += 1) guest.send({ payload: pattern(MSS) });
    world.take();
  }
  const held = world.engine.chunkCount;
  while (world.engine.chunkCount === held) world.advance(SECOND_us / 10);
  return { engine: world.engine, value: held - world.engine.chunkCount, beside: {} };
}

/** Downloads that the guest does not take, while memory is short. */
function stuck(): EngineWorld {
  const world = new EngineWorld({ chunksMax: 16 });
  for (let i = 0; i < 15; i += 1) {
    const guest = new TcpGuest(world, { port: 41_000 + i, peerPort: 1000 + i }).open();
    guest.socket.push(pattern(60_000));
    world.advance(SECOND_us / 10);
    world.take();
  }
  while (world.stats.tcpStuck === 0) world.advance(SECOND_us / 10);
  return world;
}

export const TCP_COUNTERS = {
  'slirp_flows_opened_total{protocol="tcp"}': once(() => reach("SYN_RECEIVED").world),
  'slirp_flows_closed_total{protocol="tcp"}': once(() => {
    const { world, guest } = established();
    guest.send({ flags: "R" });
    return world;
  }),
  'slirp_tcp_resets_total{direction="to_guest"}': sends((w) =>
    w.tcp({ destination: PEER, sourcePort: 1, destinationPort: 2, seq: 1, ack: 1, flags: "A" }),
  ),
  'slirp_tcp_resets_total{direction="from_guest"}': once(() => {
    const { world, guest } = established();
    guest.send({ flags: "R" });
    return world;
  }),
  slirp_tcp_retransmits_total: once(() => silence(1, "tcpRetransmits")),
  'slirp_tcp_recoveries_total{by="acknowledgments"}': once(() => {
    const conversation = flying(5);
    conversation.world.advance(RTT_us);
    hasGot(conversation, 1, 5);
    return conversation.world;
  }),
  'slirp_tcp_recoveries_total{by="timeout"}': once(() => silence(1, "tcpTimeouts")),
  'slirp_tcp_probes_total{kind="tail"}': once(() => silence(2, "tcpTailProbes")),
  'slirp_tcp_probes_total{kind="window"}': once(() => {
    const { world } = established({ world: { keepaliveSeconds: 30 } });
    world.advance(30 * SECOND_us);
    return world;
  }),
  slirp_tcp_out_of_order_total: once(() => {
    const { world, guest } = established();
    guest.send({ seq: guest.next + 1, payload: "x" });
    return world;
  }),
  slirp_tcp_challenge_acks_total: once(() => {
    const { world, guest } = established();
    guest.send({ flags: "S" });
    return world;
  }),
  'slirp_payload_bytes_total{protocol="tcp",direction="to_host"}': times(5, () => {
    const { world, guest } = established();
    guest.send({ payload: "hello" });
    return world;
  }),
  'slirp_payload_bytes_total{protocol="tcp",direction="to_guest"}': times(5, () => {
    const { world, guest, socket } = established();
    socket.push("hello");
    guest.expect({ payload: "hello" });
    return world;
  }),
  'slirp_icmp_errors_total{direction="from_guest"}': once(() => {
    const conversation = flying(1);
    conversation.world.guest(complaint(conversation));
    return conversation.world;
  }),
  'slirp_flows_evicted_total{kind="time_wait"}': once(waiting),
  'slirp_flows_evicted_total{kind="tcp_idle"}': once(() => {
    const world = new EngineWorld({ flowsMax: FLOWS });
    crowd(world, STRANGER, FLOWS / 2);
    world.advance(SECOND_us);
    crowd(world, PEER, 1);
    return world;
  }),
  slirp_outside_refused_total: once(() => {
    const world = new EngineWorld({ flowsMax: FLOWS });
    crowd(world, STRANGER, FLOWS / 2 + 1);
    return world;
  }),
  'slirp_flows_evicted_total{kind="tcp_half_open"}': once(() => {
    const world = new EngineWorld({ flowsMax: FLOWS });
    world.host.connect = () => "pending";
    for (let i = 0; world.stats.halfOpenEvicted === 0; i += 1) {
      new TcpGuest(world, { port: 41_000 + i }).send({ flags: "S" });
    }
    return world;
  }),
  slirp_upload_chunks_released_total: unwanted,
  'slirp_flows_evicted_total{kind="tcp_stuck"}': once(stuck),
} satisfies Readonly<Record<string, Scenario>>;
