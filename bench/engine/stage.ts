/**
 * One engine with a pretend guest and a pretend host, and turns as the loop makes them. The clock
 * is virtual. Nothing is allocated while it turns, but for the lists of handles.
 */

import { readFileSync } from "node:fs";
import type { EngineConfigValues } from "../../src/engine/config.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { HostEngine } from "../../src/engine/host-engine.ts";
import { instantiateEngine } from "../../src/engine/instance.ts";
import { compileEngine } from "../../src/engine/module.ts";
import * as abi from "../../wasm/abi.ts";
import {
  ACK,
  ETHERNET_SIZE,
  FIN,
  FrameWriter,
  GATEWAY_MAC,
  GUEST_ADDRESS,
  GUEST_MAC,
  SYN,
} from "./frames.ts";
import { PretendHost } from "./host.ts";

/** Frames the loop hands over at once. */
export const BATCH = 32;
/** Octets of a datagram. */
export const DATAGRAM = 64;
/** Virtual microseconds a turn takes. */
const TURN_US = 100;
const VNET_SIZE = 12;
const PORTS = 65_536;
/** Longer than any run in virtual time: flows stay until they are closed. */
const FOREVER_SECONDS = 10_000_000;
const PROTOCOL_TCP = 6;
/** Where the engine's segments have timestamp and window scale, from the TCP header on. */
const STAMP_OFFSET = 24;
const SYN_STAMP_OFFSET = 28;
const SYN_SHIFT_OFFSET = 39;

const module = compileEngine(readFileSync(new URL("../../dist/engine.wasm", import.meta.url)));

function configOf(offload: boolean): EngineConfigValues {
  const tso = abi.LINK_CSUM | abi.LINK_TSO4 | abi.LINK_USO | abi.LINK_RX_TSO;
  return {
    ...{ guestAddress: GUEST_ADDRESS, gatewayAddress: 0x0a000202, dnsAddress: 0x0a000203 },
    ...{ prefixLength: 24, mtu: 1500, hostLoopback: false, dhcp: true, dns: false },
    ...{ strictFilter: false, flowsMax: 16_384, chunksMax: 1024, linkQueue: 500 },
    ...{ vnetSize: offload ? VNET_SIZE : 0, linkFlags: offload ? tso : 0 },
    ...{ gatewayMac: GATEWAY_MAC, guestMac: GUEST_MAC, seed: new Uint8Array(32).fill(7) },
    ...{ leaseSeconds: 86_400, udpTimeoutSeconds: FOREVER_SECONDS, keepaliveSeconds: 0 },
    ...{ tcpIdleSeconds: FOREVER_SECONDS, resolvers: [], dhcpOptions: new Uint8Array(0) },
    dhcpServerAddress: 0,
  };
}

export class Stage {
  readonly engine: Engine;
  readonly host: PretendHost;
  readonly frames: FrameWriter;
  /** By the guest's port: the next number it sends, is to receive, and may send up to. */
  readonly next = new Uint32Array(PORTS);
  readonly wanted = new Uint32Array(PORTS);
  readonly edge = new Uint32Array(PORTS);
  /** By the guest's port: frames that brought payload, or any datagram. */
  readonly brought = new Float64Array(PORTS);
  readonly #echo = new Uint32Array(PORTS);
  readonly #vnet: number;
  /** The engine's window scale, the same in all connections. */
  #shift = 0;
  #now = 1_000_000_000;

  constructor(offload: boolean) {
    this.engine = new HostEngine(instantiateEngine(module));
    const config = configOf(offload);
    this.#vnet = config.vnetSize;
    this.engine.start(config);
    this.host = new PretendHost(this.engine, DATAGRAM);
    this.frames = new FrameWriter(this.engine, config.vnetSize);
  }

  get now(): number {
    return this.#now;
  }

  /** Puts a segment of the connection of `port` into a receive slot, and counts its octets. */
  segment(slot: number, port: number, flags: number, length = 0): void {
    const seq = this.next[port] ?? 0;
    const ack = (flags & ACK) !== 0 ? (this.wanted[port] ?? 0) : 0;
    const stamp = Math.floor(this.#now / 1000) % 2 ** 32;
    const echo = this.#echo[port] ?? 0;
    this.frames.tcp(slot, { port, flags, seq, ack, length, stamp, echo });
    this.next[port] = seq + length + (flags & (SYN | FIN) ? 1 : 0);
  }

  /** Octets the guest may still send from `port`. */
  room(port: number): number {
    return ((this.edge[port] ?? 0) - (this.next[port] ?? 0)) | 0;
  }

  /** One turn: `count` frames of the guest, then all there is to do. */
  turn(count: number): void {
    const { engine, host } = this;
    this.#now += TURN_US;
    if (count > 0) engine.guestRx(count, this.#now);
    engine.step(this.#now);
    for (;;) {
      this.#take();
      if (engine.opCount === 0) return;
      host.execute();
      engine.complete(this.#now);
    }
  }

  /** Turns until the engine has nothing left to do. */
  rest(): void {
    this.host.still();
    do this.turn(0);
    while (this.engine.ready);
  }

  /** Moves the clock to the engine's next deadline, when nothing else can happen. */
  wait(): void {
    this.#now = Math.max(this.#now, this.engine.nextDeadline());
  }

  /** Takes the frames for the guest. */
  #take(): void {
    const { engine } = this;
    const count = engine.txCount;
    if (count === 0) return;
    for (let i = 0; i < count; i += 1) this.#read(i);
    engine.txDone();
  }

  #read(index: number): void {
    const { view, bases } = this.engine;
    const record = bases.txRecords + index * abi.TX_RECORD_SIZE;
    const iov = view.getUint32(record + abi.TX_IOV_OFFSET, true);
    const frame = view.getUint32(iov + abi.IOV_BASE_OFFSET, true) + this.#vnet;
    if (view.getUint16(frame + 12) !== 0x0800) return; // ARP
    const ip = frame + ETHERNET_SIZE;
    const payload = ip + 4 * (view.getUint8(ip) & 15);
    const port = view.getUint16(payload + 2);
    if (view.getUint8(ip + 9) !== PROTOCOL_TCP) {
      this.brought[port] = (this.brought[port] ?? 0) + 1;
      return;
    }
    const size = 4 * (view.getUint8(payload + 12) >> 4);
    const flags = view.getUint8(payload + 13);
    const length = ip + view.getUint16(ip + 2) - payload - size;
    const seq = view.getUint32(payload + 4);
    const isSyn = (flags & SYN) !== 0;
    if (isSyn) this.#shift = view.getUint8(payload + SYN_SHIFT_OFFSET);
    const shift = isSyn ? 0 : this.#shift;
    this.wanted[port] = seq + length + (flags & (SYN | FIN) ? 1 : 0);
    this.edge[port] = view.getUint32(payload + 8) + view.getUint16(payload + 14) * (1 << shift);
    if (length > 0) this.brought[port] = (this.brought[port] ?? 0) + 1;
    this.#echo[port] = view.getUint32(payload + (isSyn ? SYN_STAMP_OFFSET : STAMP_OFFSET));
  }
}
