/**
 * A guest that floods: raw frames on the stream link, answers only what keeps connections alive.
 */
import { connect, type Socket } from "node:net";
import { until } from "../test/support/e2e/shell.ts";
import type { Frame } from "../test/support/frame.ts";
import { onFrames, sendFrame } from "../test/support/framed.ts";
import {
  arp,
  ETHERTYPE_ARP,
  ethernet,
  ipv4,
  MAC_BROADCAST,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  tcp,
  udp,
} from "../test/support/packet.ts";
import { decodeFrame } from "../test/support/packet-decode.ts";

const MAC = "02:00:00:00:00:0f";
const ADDRESS = "10.0.2.15";
const GATEWAY = "10.0.2.2";
const MTU_MAX = 65520;
const FIRST_PORT = 1024;
/** Frames written at a time. */
const BATCH = 128;
/** Connections the flood waits for before it goes on, and how long at most. */
const PACE_ms = 20;

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

type TcpFrame = Extract<Frame, { kind: "tcp" }>;

/** Connects to the socket at `path` and makes itself known by ARP. */
export async function connectFloodGuest(path: string): Promise<FloodGuest> {
  const socket = connect(path);
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.once("connect", () => resolve());
  });
  const guest = new FloodGuest(socket);
  await guest.greet();
  return guest;
}

export class FloodGuest {
  readonly #socket: Socket;
  #gatewayMac: string | undefined;
  #established = 0;
  #ended = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    onFrames(socket, (octets) => this.#answer(decodeFrame(octets, { vnetSize: 0, mtu: MTU_MAX })));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#ended = true;
    });
  }

  /** Connections that came about, in either direction. */
  get established(): number {
    return this.#established;
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  async greet(): Promise<void> {
    const ask = arp({
      operation: 1,
      senderMac: MAC,
      senderAddress: ADDRESS,
      targetMac: "00:00:00:00:00:00",
      targetAddress: GATEWAY,
    });
    const frame = ethernet({ source: MAC, destination: MAC_BROADCAST, type: ETHERTYPE_ARP }, ask);
    this.#send(frame);
    await until(() => this.#gatewayMac !== undefined, "the gateway's address");
  }

  /** One datagram from each of so many ports. */
  async datagrams(to: Endpoint, count: number): Promise<void> {
    await this.#batches(count, (port) => {
      const fields = { source: ADDRESS, destination: to.address };
      const ports = { sourcePort: port, destinationPort: to.port };
      this.#packet(to.address, PROTOCOL_UDP, udp({ ...fields, ...ports }, Uint8Array.of(1)));
    });
  }

  /** A connection from each of so many ports, kept and not used. */
  async connections(to: Endpoint, count: number): Promise<void> {
    await this.#batches(count, (port) => {
      this.#segment({ ...to, from: port, seq: 1000, ack: 0, flags: "S" });
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  async #batches(count: number, send: (port: number) => void): Promise<void> {
    for (let at = 0; at < count && !this.#ended; at += BATCH) {
      for (let i = at; i < Math.min(at + BATCH, count); i += 1) send(FIRST_PORT + i);
      await new Promise((resolve) => setTimeout(resolve, PACE_ms));
    }
  }

  #segment(fields: {
    readonly address: string;
    readonly port: number;
    readonly from: number;
    readonly seq: number;
    readonly ack: number;
    readonly flags: string;
  }): void {
    const { address: destination, port: destinationPort, from: sourcePort, ...rest } = fields;
    const segment = tcp({ source: ADDRESS, destination, sourcePort, destinationPort, ...rest });
    this.#packet(destination, PROTOCOL_TCP, segment);
  }

  #packet(destination: string, protocol: number, payload: Uint8Array): void {
    const packet = ipv4({ source: ADDRESS, destination, protocol }, payload);
    this.#send(ethernet({ source: MAC, destination: this.#gatewayMac ?? "" }, packet));
  }

  #send(frame: Uint8Array): void {
    sendFrame(this.#socket, frame);
  }

  #answer(frame: Frame): void {
    if (frame.kind === "arp") {
      this.#gatewayMac ??= frame.senderMac;
      if (frame.operation !== 1 || frame.targetAddress !== ADDRESS) return;
      const { senderMac: targetMac, senderAddress: targetAddress } = frame;
      const reply = arp({
        operation: 2,
        senderMac: MAC,
        senderAddress: ADDRESS,
        targetMac,
        targetAddress,
      });
      this.#send(ethernet({ source: MAC, destination: targetMac, type: ETHERTYPE_ARP }, reply));
    } else if (frame.kind === "tcp") this.#tcp(frame);
  }

  /** Takes every connection, answers the rest with nothing. */
  #tcp(frame: TcpFrame): void {
    const { source: address, sourcePort: port, destinationPort: from, flags } = frame;
    const way = { address, port, from };
    const ack = (frame.seq + 1) >>> 0;
    if (flags === "SA") {
      this.#established += 1;
      this.#segment({ ...way, seq: 1001, ack, flags: "A" });
    } else if (flags === "S") {
      this.#established += 1;
      this.#segment({ ...way, seq: 5000, ack, flags: "SA" });
    }
  }
}
