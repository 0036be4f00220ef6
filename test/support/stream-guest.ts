/**
 * A guest made of packets: it plays QEMU and the machine in it at once, on the stream socket that a
 * sidecar listens on. It does what a test tells it to and nothing by itself but answering ARP, so
 * what is seen is the sidecar's doing.
 */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { until } from "./e2e/shell.ts";
import type { Frame } from "./frame.ts";
import { onFrames, sendFrame } from "./framed.ts";
import {
  arp,
  concat,
  dhcp,
  ETHERTYPE_ARP,
  ethernet,
  ip,
  ipv4,
  MAC_BROADCAST,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  tcp,
  u32,
  udp,
} from "./packet.ts";
import { type DhcpReply, decodeDhcp, decodeFrame } from "./packet-decode.ts";

const MTU_MAX = 65520;
const ANSWER_LIMIT_ms = 20_000;
/** Time after which a datagram is sent once more: the first ones may come before a way is known. */
const REPEAT_ms = 1000;
const REPEATS = 10;
/** What is dropped in silence stays so. */
const KNOCKS = 2;
const ECHO_PORT = 40_000;
const NOBODY = "0.0.0.0";
const EVERYBODY = "255.255.255.255";

/** Where datagrams go, or a connection. */
export interface Target {
  readonly address: string;
  readonly port: number;
}

/** Connects to the socket at `path`; rejects when nobody listens. */
export function connectGuest(path: string, mac = "02:00:00:00:00:0f"): Promise<StreamGuest> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(new StreamGuest(socket, mac));
    });
  });
}

export class StreamGuest {
  readonly mac: string;
  #address = NOBODY;
  #gatewayMac = MAC_BROADCAST;
  #port = ECHO_PORT;
  #hasEnded = false;
  readonly #frames: Frame[] = [];
  readonly #services = new Set<number>();
  readonly #socket: Socket;

  constructor(socket: Socket, mac: string) {
    this.#socket = socket;
    this.mac = mac;
    onFrames(socket, (octets) => this.#answer(decodeFrame(octets, { vnetSize: 0, mtu: MTU_MAX })));
    socket.on("error", () => {}); // a cut connection is an end like any other
    socket.on("close", () => {
      this.#hasEnded = true;
    });
  }

  /** Whether the sidecar has closed the connection. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get address(): string {
    return this.#address;
  }

  /** DISCOVER, REQUEST; what the server acknowledged. */
  async lease(): Promise<DhcpReply> {
    const offer = await this.#ask(1, []);
    const server = offer.options.get(54);
    assert.ok(server !== undefined, "an offer names its server");
    const reply = await this.#ask(3, [
      [50, u32(ip(offer.yourAddress))],
      [54, server],
    ]);
    this.#address = reply.yourAddress;
    return reply;
  }

  /** Sends a datagram until its echo is here. */
  async echo(to: Target, text: string): Promise<void> {
    const sourcePort = ECHO_PORT; // always the same, so that it takes one socket of the sidecar's
    const asked = new TextEncoder().encode(text);
    await this.#repeat(
      () => this.#sendUdp({ sourcePort, ...to }, asked),
      (frame) =>
        frame.kind === "udp" &&
        frame.destinationPort === sourcePort &&
        Buffer.compare(frame.payload, asked) === 0,
      `the echo of "${text}"`,
    );
  }

  /** Sends datagrams to this port back. */
  serveEcho(port: number): void {
    this.#services.add(port);
  }

  /** Knocks by TCP; how it is answered: flags of the segment, "icmp", or "" for not at all. */
  async knock(to: Target): Promise<string> {
    const sourcePort = this.#nextPort();
    const { address: source } = this;
    const fields = { source, destination: to.address, sourcePort, destinationPort: to.port };
    const segment = tcp({ ...fields, seq: 1000, flags: "S", options: { mss: 1460 } });
    const answer = await this.#tries(
      KNOCKS,
      () => this.#sendPacket(to.address, PROTOCOL_TCP, segment),
      (frame) => (frame.kind === "tcp" && frame.destinationPort === sourcePort) || isError(frame),
      `an answer of ${to.address}:${to.port}`,
    );
    return answer?.kind === "tcp" ? answer.flags : (answer?.kind ?? "");
  }

  /** Octets that are no whole frame: the length announced, and less than that. */
  sendHalf(): void {
    this.#socket.write(concat(u32(1000), new Uint8Array(10)));
  }

  /** Sends a packet of IPv4 to the gateway, as it is. */
  sendRaw(destination: string, protocol: number, payload: Uint8Array): void {
    this.#sendPacket(destination, protocol, payload);
  }

  /** Pulls the plug. */
  close(): void {
    this.#socket.destroy();
  }

  async #ask(
    type: number,
    options: readonly (readonly [number, Uint8Array])[],
  ): Promise<DhcpReply> {
    const message = dhcp({ type, mac: this.mac, options });
    const ports = { sourcePort: 68, destinationPort: 67 };
    const addresses = { source: NOBODY, destination: EVERYBODY };
    const packet = ipv4(
      { ...addresses, protocol: PROTOCOL_UDP },
      udp({ ...addresses, ...ports }, message),
    );
    const destination = MAC_BROADCAST;
    const answered = type === 1 ? 2 : 5;
    const frame = await this.#repeat(
      () => this.#send(ethernet({ source: this.mac, destination }, packet)),
      (each) =>
        each.kind === "udp" &&
        each.destinationPort === 68 &&
        decodeDhcp(each.payload).options.get(53)?.[0] === answered,
      "an answer of the DHCP server",
    );
    this.#gatewayMac = frame.sourceMac;
    return decodeDhcp(frame.kind === "udp" ? frame.payload : new Uint8Array(0));
  }

  /** Sends, and again each time nothing has come; the first frame that matches. */
  async #repeat(
    send: () => void,
    matches: (frame: Frame) => boolean,
    what: string,
  ): Promise<Frame> {
    const frame = await this.#tries(REPEATS, send, matches, what);
    if (frame === undefined) throw new Error(`sent ${REPEATS} times in vain for ${what}`);
    return frame;
  }

  async #tries(
    times: number,
    send: () => void,
    matches: (frame: Frame) => boolean,
    what: string,
  ): Promise<Frame | undefined> {
    const from = this.#frames.length;
    const found = (): Frame | undefined => this.#frames.slice(from).find(matches);
    for (let at = 0; at < times; at += 1) {
      send();
      const limit_ms = performance.now() + REPEAT_ms;
      await until(
        () => found() !== undefined || this.#hasEnded || performance.now() > limit_ms,
        what,
        ANSWER_LIMIT_ms,
      );
      const frame = found();
      if (frame !== undefined) return frame;
      assert.ok(!this.#hasEnded, `the connection has ended before ${what}`);
    }
    return undefined;
  }

  #nextPort(): number {
    this.#port += 1;
    return this.#port;
  }

  #sendUdp(to: Target & { readonly sourcePort: number }, payload: Uint8Array): void {
    const { address: destination, port: destinationPort, sourcePort } = to;
    const fields = { source: this.#address, destination, sourcePort, destinationPort };
    this.#sendPacket(destination, PROTOCOL_UDP, udp(fields, payload));
  }

  #sendPacket(destination: string, protocol: number, payload: Uint8Array): void {
    const packet = ipv4({ source: this.#address, destination, protocol }, payload);
    this.#send(ethernet({ source: this.mac, destination: this.#gatewayMac }, packet));
  }

  #send(frame: Uint8Array): void {
    sendFrame(this.#socket, frame);
  }

  #answer(frame: Frame): void {
    if (frame.kind === "arp") {
      if (frame.operation !== 1 || frame.targetAddress !== this.#address) return;
      const [senderMac, senderAddress] = [this.mac, this.#address];
      const { senderMac: targetMac, senderAddress: targetAddress } = frame;
      const reply = arp({ operation: 2, senderMac, senderAddress, targetMac, targetAddress });
      const addresses = { source: senderMac, destination: targetMac };
      this.#send(ethernet({ ...addresses, type: ETHERTYPE_ARP }, reply));
      return;
    }
    this.#frames.push(frame);
    if (frame.kind !== "udp" || !this.#services.has(frame.destinationPort)) return;
    const { source: address, sourcePort: port, destinationPort: sourcePort } = frame;
    this.#sendUdp({ address, port, sourcePort }, frame.payload);
  }
}

/** Destination unreachable. */
function isError(frame: Frame): boolean {
  return frame.kind === "icmp" && frame.type === 3;
}
