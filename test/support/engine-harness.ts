/**
 * A world for one engine: virtual time, a guest that is a list of frames, a scripted host. Turns
 * run exactly in the order `src/engine/engine.ts` lays down, every frame for the guest is decoded
 * strictly, every operation is checked.
 *
 *     const world = new EngineWorld({ mtu: 1500 });
 *     world.guest(world.udp({ to: PEER, port: 53 }, "query"));
 *     world.host.socket().receive("answer");
 *     world.expect("udp", { sourcePort: 53 });
 *
 * What happens at the host's sockets takes effect with the next call that looks at frames, sends
 * some, or moves the clock; `run` does it explicitly.
 */
import assert from "node:assert/strict";
import type { EngineConfigValues } from "../../src/engine/config.ts";
import { type FlowInfo, flowsOf } from "../../src/engine/flows.ts";
import { HostEngine } from "../../src/engine/host-engine.ts";
import { instantiateEngine } from "../../src/engine/instance.ts";
import { DROP_NAMES, type EngineStats, readStats } from "../../src/engine/stats.ts";
import { OTHER_DROPS } from "../../src/lab/sim/check/other-drops.ts";
import { messageOf } from "../../src/lib/message.ts";
import * as abi from "../../wasm/abi.ts";
import { engineModule } from "./engine-binary.ts";
import { describeFrame, gatherFrame } from "./engine-frame.ts";
import {
  GATEWAY_MAC,
  GUEST,
  GUEST_MAC,
  GUEST6,
  PEER,
  type WorldOptions,
  worldConfig,
} from "./engine-settings.ts";
import { FakeHost } from "./fake-host.ts";
import { FakeSocket } from "./fake-socket.ts";
import type { Frame } from "./frame.ts";
import { Lender } from "./lender.ts";
import {
  type ArpFields,
  arp,
  concat,
  type DhcpFields,
  dhcp,
  ETHERTYPE_ARP,
  ethernet,
  type Ipv4Fields,
  icmpEcho,
  ip,
  ip6,
  ipv4,
  MAC_BROADCAST,
  type Octets,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  type TcpFields,
  tcp,
  udp,
} from "./packet.ts";
import { decodeFrame } from "./packet-decode.ts";
import { ETHERTYPE_IPV6, echo6, ipv6, PROTOCOL_ICMPV6 } from "./packet6.ts";

/** Virtual time starts here, microseconds. */
export const START = 1_000_000_000;
const TURNS_MAX = 10_000;
const TRACE_SHOWN = 30;

export type FrameOf<Kind extends Frame["kind"]> = Extract<Frame, { kind: Kind }>;

type MaybeSocket = FakeSocket | undefined;

export class EngineWorld {
  readonly engine: HostEngine;
  readonly host: FakeHost;
  readonly config: EngineConfigValues;
  readonly lender: Lender | undefined;
  /** Virtual time, microseconds. */
  now = START;
  /**
   * Frames for the guest that no expectation has taken yet; use `take` to have events carried out.
   */
  readonly frames: Frame[] = [];
  /** What happened, one line each, for messages. */
  readonly trace: string[] = [];
  framesIn = 0;
  framesOut = 0;
  octetsOut = 0;

  constructor(options: WorldOptions = {}) {
    this.config = worldConfig(options);
    this.engine = new HostEngine(instantiateEngine(engineModule(options.variant ?? "simd")));
    this.engine.start(this.config);
    this.host = new FakeHost(this.engine);
    this.lender = options.lends ? new Lender(this.engine, this.host, options.lends) : undefined;
  }

  // -------------------------------------------------------------- time and turns

  /** Hands frames from the guest to the engine as one batch and lets it finish. */
  guest(...frames: readonly Uint8Array[]): void {
    const header = (): Uint8Array => this.lender?.header() ?? new Uint8Array(this.config.vnetSize);
    this.guestRaw(...frames.map((frame) => concat(header(), frame)));
  }

  /** The same for frames that bring their virtio_net_hdr. */
  guestRaw(...frames: readonly Uint8Array[]): void {
    if (frames.length > abi.RX_SLOT_COUNT) throw new Error("give at most 64 frames");
    this.run();
    this.#log(`guest sends ${frames.length}`);
    this.#settle(frames);
  }

  /** Delivers the events of the host's sockets and lets the engine finish. */
  run(): void {
    if (this.engine.ready || this.host.hasEvents) this.#settle([]);
  }

  /** The link loses its peer. */
  leave(): void {
    this.run();
    this.#log("the machine leaves");
    this.engine.guestGone(this.now);
  }

  /** Moves the clock, calling the engine at each deadline on the way. */
  advance(microseconds: number): void {
    const end = this.now + microseconds;
    this.run();
    for (let turns = 0; ; turns += 1) {
      const deadline = this.engine.nextDeadline();
      if (deadline === 0 || deadline > end) break;
      if (turns > TURNS_MAX) this.#fail(`deadline "${deadline}" does not go away`);
      this.now = Math.max(this.now, deadline);
      this.#settle([]);
    }
    this.now = end;
  }

  #settle(frames: readonly Uint8Array[]): void {
    this.#turn(frames);
    for (let turns = 0; this.engine.ready || this.host.hasEvents; turns += 1) {
      if (turns > TURNS_MAX) this.#fail("the engine does not come to rest");
      this.#turn([]);
    }
  }

  #turn(frames: readonly Uint8Array[]): void {
    const { engine, host, now } = this;
    for (const [handle, events] of host.takeEvents()) {
      this.#log(`event ${handle} 0x${events.toString(16)}`);
      engine.upstreamEvent(handle, events, now);
    }
    if (frames.length > 0) {
      for (const [slot, frame] of frames.entries()) this.#place(slot, frame);
      this.framesIn += frames.length;
      engine.guestRx(frames.length, now);
      this.lender?.frames.copy();
    }
    engine.step(now);
    this.lender?.frames.copy();
    for (let rounds = 0; ; rounds += 1) {
      if (rounds > TURNS_MAX) this.#fail("the engine never stops asking for operations");
      this.#transmit();
      if (engine.opCount === 0) break;
      const before = host.log.length;
      host.execute();
      this.#log(`operations ${host.log.slice(before).join(" ")}`);
      engine.complete(now);
      this.lender?.frames.copy();
    }
    this.lender?.release();
  }

  #place(slot: number, frame: Uint8Array): void {
    if (this.lender?.place(slot, frame) === true) return;
    const { octets, view, bases } = this.engine;
    const pointer = bases.rxBuffers + slot * abi.RX_SLOT_SIZE;
    const descriptor = bases.rxDescriptors + slot * abi.RX_DESCRIPTOR_SIZE;
    octets.set(frame, pointer);
    view.setUint32(descriptor + abi.RX_DESCRIPTOR_POINTER_OFFSET, pointer, true);
    view.setUint32(descriptor + abi.RX_DESCRIPTOR_LENGTH_OFFSET, frame.length, true);
  }

  #transmit(): void {
    const { engine, config } = this;
    const count = engine.txCount;
    if (count === 0) return; // as the loop does: nothing was sent, so nothing is done
    for (let i = 0; i < count; i += 1) {
      const octets = gatherFrame(engine, i);
      this.framesOut += 1;
      this.octetsOut += octets.length - config.vnetSize;
      const frame = decodeFrame(octets, { vnetSize: config.vnetSize, mtu: config.mtu });
      this.#log(`frame ${describeFrame(frame)}`);
      this.frames.push(frame);
    }
    if (engine.txCount > 0) engine.txDone(); // as the loop does
  }

  #log(line: string): void {
    this.trace.push(`${((this.now - START) / 1e6).toFixed(6)} ${line}`);
  }

  /** Throws with what happened lately. */
  #fail(message: string): never {
    throw new Error(`${message}\n${this.trace.slice(-TRACE_SHOWN).join("\n")}`);
  }

  // -------------------------------------------------------------- frames the guest sends

  /** A packet from the guest in its frame to the gateway, of the version its destination has. */
  ip(
    fields: Omit<Ipv4Fields, "source"> & { readonly source?: string },
    payload: Octets,
    link: { readonly destination?: string; readonly source?: string } = {},
  ): Uint8Array {
    const { destination = GATEWAY_MAC, source = GUEST_MAC } = link;
    if (fields.destination.includes(":")) {
      const packet = ipv6({ source: GUEST6, ...fields }, payload);
      return ethernet({ destination, source, type: ETHERTYPE_IPV6 }, packet);
    }
    return ethernet({ destination, source }, ipv4({ source: GUEST, ...fields }, payload));
  }

  udp(to: { to: string; port: number; from?: number }, payload: Octets): Uint8Array {
    const addresses = { source: guestFor(to.to), destination: to.to };
    const ports = { sourcePort: to.from ?? 40000, destinationPort: to.port };
    return this.ip(
      { destination: to.to, protocol: PROTOCOL_UDP },
      udp({ ...addresses, ...ports }, payload),
    );
  }

  ping(to: string, id: number, sequence: number, payload: Octets): Uint8Array {
    if (to.includes(":")) {
      const ends = { source: GUEST6, destination: to };
      const message = echo6(ends, id, sequence, payload);
      return this.ip({ destination: to, protocol: PROTOCOL_ICMPV6 }, message);
    }
    return this.ip({ destination: to, protocol: PROTOCOL_ICMP }, icmpEcho(id, sequence, payload));
  }

  tcp(fields: Omit<TcpFields, "source">, payload: Octets = ""): Uint8Array {
    const { destination } = fields;
    return this.ip(
      { destination, protocol: PROTOCOL_TCP },
      tcp({ source: guestFor(destination), ...fields }, payload),
    );
  }

  arp(fields: Partial<ArpFields> & { readonly targetAddress: string }): Uint8Array {
    const link = { destination: MAC_BROADCAST, source: GUEST_MAC, type: ETHERTYPE_ARP };
    return ethernet(link, arp({ senderMac: GUEST_MAC, senderAddress: GUEST, ...fields }));
  }

  dhcp(fields: Omit<DhcpFields, "mac"> & { readonly mac?: string }): Uint8Array {
    const addresses = { source: "0.0.0.0", destination: "255.255.255.255" };
    const message = dhcp({ mac: GUEST_MAC, ...fields });
    const datagram = udp({ ...addresses, sourcePort: 68, destinationPort: 67 }, message);
    const link = { destination: MAC_BROADCAST };
    return this.ip({ ...addresses, protocol: PROTOCOL_UDP }, datagram, link);
  }

  // -------------------------------------------------------------- sockets the host opens

  #number(address: string): number {
    if (address === "") return 0;
    return address.includes(":") ? this.engine.addressSix(ip6(address)) : ip(address);
  }

  /** The host has accepted a connection for a guest port. Undefined when the engine refuses it. */
  inboundTcp(guestPort: number, peer = PEER, peerPort = 50000, guest = ""): MaybeSocket {
    this.run();
    const [number, fixed] = [this.#number(peer), this.#number(guest)];
    const handle = this.engine.inboundTcp(guestPort, number, peerPort, this.now, fixed);
    if (handle === 0) return undefined;
    const target = { address: peer, port: peerPort, preferred: 0 };
    const socket = this.host.add(new FakeSocket(handle, "tcp", target));
    socket.connected();
    return socket;
  }

  /** The host has bound a UDP port that belongs to a guest port. */
  inboundUdp(guestPort: number, hostPort: number, family: 4 | 6 = 4, guest = ""): MaybeSocket {
    this.run();
    const { engine, now } = this;
    const handle = engine.inboundUdp(guestPort, hostPort, now, family, 0, this.#number(guest));
    if (handle === 0) return undefined;
    const target = { address: "0.0.0.0", port: 0, preferred: hostPort };
    return this.host.add(new FakeSocket(handle, "udp", target));
  }

  // -------------------------------------------------------------- expectations

  /** Every frame for the guest so far that was not taken yet. */
  take(): Frame[] {
    this.run();
    return this.frames.splice(0);
  }

  /** Takes the next frame, which must be of this kind and have these fields. */
  expect<Kind extends Frame["kind"]>(
    kind: Kind,
    fields: Partial<FrameOf<Kind>> = {},
  ): FrameOf<Kind> {
    this.run();
    const frame = this.frames.shift();
    if (frame === undefined) this.#fail(`wanted a frame "${kind}", but there is none`);
    if (!isKind(frame, kind)) this.#fail(`wanted "${kind}", not "${describeFrame(frame)}"`);
    const found = Object.fromEntries(
      Object.keys(fields).map((name) => [name, Reflect.get(frame, name) as unknown]),
    );
    this.equal(found, { ...fields }, describeFrame(frame));
    return frame;
  }

  /** No frame is waiting. */
  expectNothing(): void {
    this.run();
    const [frame] = this.frames;
    if (frame !== undefined) this.#fail(`wanted no frame, not "${describeFrame(frame)}"`);
  }

  /** Deep equality; a difference comes with what happened lately. */
  equal(found: unknown, wanted: unknown, what: string): void {
    try {
      assert.deepEqual(found, wanted);
    } catch (cause) {
      this.#fail(`${what}: ${messageOf(cause)}`);
    }
  }

  get stats(): EngineStats {
    return readStats(this.engine);
  }

  /** Checks that just these counters changed since `before`, and by how much. */
  expectCounted(before: EngineStats, wanted: Partial<EngineStats>): void {
    const after = this.stats;
    const changed = Object.entries(after)
      .map(([name, value]) => [name, value - (Reflect.get(before, name) as number)] as const)
      .filter(([name, value]) => value !== 0 && !TRAFFIC_COUNTERS.has(name));
    this.equal(Object.fromEntries(changed), { ...wanted }, "counters");
  }

  /** The flow of these ports, if there is one. */
  flow(guestPort: number, peerPort: number): FlowInfo | undefined {
    return flowsOf(this.engine).find(
      (flow) => flow.guestPort === guestPort && flow.peerPort === peerPort,
    );
  }

  /**
   * How many of the guest's frames are accounted for: dropped with a reason, consumed by the engine
   * itself, or handed to the host. Segments that a TCP connection took are in no counter.
   */
  get accounted(): number {
    const stats = this.stats;
    const dropped = DROP_NAMES.filter((name) => !OTHER_DROPS.has(name));
    return [...dropped, ...HANDED_ON].reduce((sum, name) => sum + stats[name], 0);
  }

  /** Books balance: frames and flows that came are there, gone, or accounted for. */
  checkBalance(): void {
    this.run();
    const stats = this.stats;
    this.equal(stats.guestRxFrames, this.framesIn, "frames in");
    this.equal(stats.guestTxFrames, this.framesOut, "frames out");
    this.equal(stats.guestTxBytes, this.octetsOut, "octets out");
    const flows = flowsOf(this.engine);
    const count = (kind: FlowInfo["kind"]): number =>
      flows.filter((flow) => flow.kind === kind).length;
    this.equal(flows.length, this.engine.flowCount, "flows in the table");
    this.equal(stats.tcpOpened - stats.tcpClosed, count("tcp"), "TCP flows");
    const handles = new Set(flows.map((flow) => flow.handle));
    for (const socket of this.host.live) {
      if (!handles.has(socket.handle)) this.#fail(`socket "${socket.handle}" has lost its flow`);
    }
    if (flows.length === 0) this.equal(this.engine.chunkCount, 0, "chunks without flows");
  }
}

/** Drops of what comes from the host, and of answers. */
const HANDED_ON = ["consumedLocal", "udpToHost", "pingToHost"] as const;

/** Counters that move with every frame. */
const TRAFFIC_COUNTERS: ReadonlySet<string> = new Set([
  "guestRxFrames",
  "guestRxBytes",
  "guestTxFrames",
  "guestTxBytes",
]);

/** The guest's address of the same version. */
function guestFor(peer: string): string {
  return peer.includes(":") ? GUEST6 : GUEST;
}

function isKind<Kind extends Frame["kind"]>(frame: Frame, kind: Kind): frame is FrameOf<Kind> {
  return frame.kind === kind;
}
