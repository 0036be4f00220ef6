/**
 * A world for the datagram flows of one engine: a guest that is a list of frames, host sockets
 * whose every answer a test can script, virtual time. The engine is told that its memory lies
 * elsewhere, so an address it forgot to translate is found out.
 *
 *     const world = new DatagramWorld();
 *     world.guest(world.udp(PEER, 53, "query"));
 *     world.socket().receive("answer", PEER, 53);
 *     world.run();
 *     world.take()  // frames, decoded strictly
 */
import assert from "node:assert/strict";
import { HostEngine } from "../../src/engine/host-engine.ts";
import { instantiateEngine } from "../../src/engine/instance.ts";
import { type EngineStats, readStats } from "../../src/engine/stats.ts";
import * as abi from "../../wasm/abi.ts";
import { DatagramHost, HOST_BASE, HostSocket } from "./datagram-host.ts";
import { engineModule } from "./engine-binary.ts";
import {
  GATEWAY_MAC,
  GUEST,
  GUEST_MAC,
  type WorldOptions,
  worldConfig,
} from "./engine-settings.ts";
import type { Frame, IcmpFrame, UdpFrame } from "./frame.ts";
import {
  concat,
  ethernet,
  type Ipv4Fields,
  icmpEcho,
  ipv4,
  type Octets,
  PROTOCOL_ICMP,
  PROTOCOL_UDP,
  type UdpFields,
  udp,
} from "./packet.ts";
import { decodeFrame } from "./packet-decode.ts";

const ROUNDS_MAX = 1000;
const SECOND = 1_000_000;

export class DatagramWorld {
  readonly engine: HostEngine;
  now = 1000 * SECOND;
  readonly host: DatagramHost;
  readonly frames: Frame[] = [];
  readonly #vnetSize: number;
  readonly #mtu: number;

  constructor(options: WorldOptions = {}) {
    const config = worldConfig(options);
    this.#vnetSize = config.vnetSize;
    this.#mtu = config.mtu;
    this.engine = new HostEngine(instantiateEngine(engineModule(options.variant ?? "simd")));
    this.engine.setHostBase(HOST_BASE);
    this.engine.start(config);
    this.host = new DatagramHost(this.engine);
  }

  // -------------------------------------------------------------- turns

  /** Hands frames of the guest over, as one batch, each with a virtio_net_hdr of zeroes. */
  guest(...frames: readonly Uint8Array[]): void {
    const header = new Uint8Array(this.#vnetSize);
    this.guestRaw(...frames.map((frame) => concat(header, frame)));
  }

  guestRaw(...frames: readonly Uint8Array[]): void {
    const { octets, view, bases } = this.engine;
    frames.forEach((frame, slot) => {
      const pointer = bases.rxBuffers + slot * abi.RX_SLOT_SIZE;
      octets.set(frame, pointer);
      view.setUint32(bases.rxDescriptors + 8 * slot, pointer, true);
      view.setUint32(bases.rxDescriptors + 8 * slot + 4, frame.length, true);
    });
    this.engine.guestRx(frames.length, this.now);
    this.#turn();
    this.run();
  }

  /** Delivers events until nothing is left to do. */
  run(): void {
    for (let rounds = 0; ; rounds += 1) {
      assert.ok(rounds < ROUNDS_MAX, "the engine does not come to rest");
      const loud = this.host.live.filter((socket) => socket.events !== 0);
      if (loud.length === 0 && !this.engine.ready) return;
      for (const socket of loud) {
        this.engine.upstreamEvent(socket.handle, socket.events, this.now);
        socket.events = 0;
      }
      this.#turn();
    }
  }

  #turn(): void {
    this.engine.step(this.now);
    for (let rounds = 0; ; rounds += 1) {
      assert.ok(rounds < ROUNDS_MAX, "the engine never stops asking for operations");
      this.#transmit();
      if (this.engine.opCount === 0) return;
      this.host.execute();
      this.engine.complete(this.now);
    }
  }

  /** Moves the clock, stopping at every deadline on the way. */
  advance(seconds: number): void {
    const end = this.now + seconds * SECOND;
    for (let rounds = 0; ; rounds += 1) {
      assert.ok(rounds < ROUNDS_MAX, "a deadline does not go away");
      const deadline = this.engine.nextDeadline();
      if (deadline === 0 || deadline > end) break;
      this.now = Math.max(this.now, deadline);
      this.#turn();
      this.run();
    }
    this.now = end;
  }

  #transmit(): void {
    const { engine } = this;
    const { octets, view, bases } = engine;
    if (engine.txCount === 0) return; // as the loop does: nothing was sent, so nothing is done
    for (let i = 0; i < engine.txCount; i += 1) {
      const record = bases.txRecords + i * abi.TX_RECORD_SIZE;
      const iov = view.getUint32(record + abi.TX_IOV_OFFSET, true);
      const count = view.getUint32(record + abi.TX_IOV_COUNT_OFFSET, true);
      const pieces = Array.from({ length: count }, (_, j) => this.host.piece(iov + 16 * j));
      const frame = concat(...pieces.map(([at, size]) => octets.slice(at, at + size)));
      assert.equal(frame.length, view.getUint32(record + abi.TX_LENGTH_OFFSET, true));
      this.frames.push(decodeFrame(frame, { vnetSize: this.#vnetSize, mtu: this.#mtu }));
    }
    if (engine.txCount > 0) engine.txDone(); // as the loop does
  }

  // -------------------------------------------------------------- what tests look at

  /** The latest socket. */
  socket(): HostSocket {
    const socket = this.host.sockets.at(-1);
    assert.ok(socket !== undefined, "a socket");
    return socket;
  }

  /** A socket the host has bound for a published port; something has come in there. */
  publish(guestPort: number, hostPort: number, spot = 0): HostSocket {
    const handle = this.engine.inboundUdp(guestPort, hostPort, this.now, 4, spot);
    assert.notEqual(handle, 0);
    const socket = new HostSocket(handle, "udp", hostPort, "0.0.0.0", 0);
    this.host.add(socket);
    return socket;
  }

  /** All frames for the guest since the last time. */
  take(): Frame[] {
    this.run();
    return this.frames.splice(0);
  }

  /** All datagrams for the guest since the last time; other frames are an error. */
  datagrams(): UdpFrame[] {
    return this.take().map((frame) => {
      assert.ok(frame.kind === "udp", `a datagram, not "${frame.kind}"`);
      return frame;
    });
  }

  /** The only frame since the last time, an ICMP message. */
  icmp(): IcmpFrame {
    const [frame, ...others] = this.take();
    assert.ok(frame?.kind === "icmp" && others.length === 0, "one ICMP message");
    return frame;
  }

  get stats(): EngineStats {
    return readStats(this.engine);
  }

  // -------------------------------------------------------------- what the guest sends

  ip(fields: Omit<Ipv4Fields, "source"> & { readonly source?: string }, payload: Octets) {
    const packet = ipv4({ source: GUEST, ...fields }, payload);
    return ethernet({ destination: GATEWAY_MAC, source: GUEST_MAC }, packet);
  }

  /** A datagram from port 40000 unless `fields` says otherwise. */
  udp(
    destination: string,
    destinationPort: number,
    payload: Octets,
    fields: Partial<UdpFields> & Partial<Ipv4Fields> = {},
  ): Uint8Array {
    const { checksum, length, sourcePort = 40000, ...network } = fields;
    const source = fields.source ?? GUEST;
    const datagram = udp(
      {
        source,
        destination,
        sourcePort,
        destinationPort,
        ...(length === undefined ? {} : { length }),
        ...(checksum === undefined ? {} : { checksum }),
      },
      payload,
    );
    return this.ip({ destination, protocol: PROTOCOL_UDP, ...network }, datagram);
  }

  ping(
    destination: string,
    id: number,
    sequence: number,
    payload: Octets,
    fields: Partial<Ipv4Fields> = {},
  ): Uint8Array {
    return this.ip(
      { destination, protocol: PROTOCOL_ICMP, ...fields },
      icmpEcho(id, sequence, payload),
    );
  }
}
