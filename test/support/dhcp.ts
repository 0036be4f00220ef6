/** A DHCP client for the tests of the server: messages in, decoded replies out. */
import assert from "node:assert/strict";
import type { Frame, UdpFrame } from "./frame.ts";
import { patched } from "./hex.ts";
import { GATEWAY, GUEST_MAC, type Local, NOW } from "./local.ts";
import {
  concat,
  type DhcpFields,
  dhcp,
  ethernet,
  ip,
  ipv4,
  MAC_BROADCAST,
  u16,
  u32,
  udp,
} from "./packet.ts";
import { type DhcpReply, decodeDhcp } from "./packet-decode.ts";

export type Option = readonly [number, Uint8Array];

export interface Message extends Omit<DhcpFields, "mac"> {
  readonly mac?: string;
  readonly secs?: number;
  readonly giaddr?: string;
  readonly source?: string;
  readonly destination?: string;
  /** Source of the frame, if it is not the client itself. */
  readonly frameMac?: string;
}

export interface Lies {
  /** What the UDP header says. */
  readonly length?: number;
  readonly checksum?: number;
  /** Octets of IP payload the server is told of. */
  readonly available?: number;
  /** virtio_net_hdr in front of the frame. */
  readonly vnet?: Uint8Array;
}

export interface Answer {
  readonly reply: DhcpReply;
  readonly frame: UdpFrame;
}

/** Option 54 with our address. */
export const SERVER: Option = [54, address(GATEWAY)];
export const REQUEST = { type: 3 };

export function address(text: string): Uint8Array {
  return u32(ip(text));
}

export function request(...options: Option[]): Message {
  return { ...REQUEST, options };
}

/** The only octet of an option. */
export function octet(reply: DhcpReply, code: number): number | undefined {
  const value = reply.options.get(code);
  assert.equal(value?.length, 1, `option ${code} has one octet`);
  return value?.[0];
}

export class DhcpClient {
  readonly #local: Local;

  constructor(local: Local) {
    this.#local = local;
  }

  /** Sends a message and decodes the one reply. */
  ask(message: Message, now = NOW): Answer {
    this.send(message, now);
    const frame = this.#local.frame();
    return { reply: this.decode(frame), frame: frame.kind === "udp" ? frame : assert.fail() };
  }

  send(message: Message, now = NOW): void {
    const base = dhcp({ mac: GUEST_MAC, ...message });
    const timed = patched(base, 8, u16(message.secs ?? 0));
    const octets = patched(timed, 24, address(message.giaddr ?? "0.0.0.0"));
    this.sendOctets(octets, {}, message, now);
  }

  /** Sends these octets as the payload of a datagram that ends where memory ends. */
  sendOctets(octets: Uint8Array, lies: Lies = {}, message: Partial<Message> = {}, now = NOW): void {
    const { source = "0.0.0.0", destination = "255.255.255.255" } = message;
    const { wasm } = this.#local;
    const { vnet = new Uint8Array(0), available, ...udpLies } = lies;
    const ports = { source, destination, sourcePort: 68, destinationPort: 67, ...udpLies };
    const datagram = udp(ports, octets);
    const packet = ipv4({ source, destination, protocol: 17 }, datagram);
    const from = message.frameMac ?? message.mac ?? GUEST_MAC;
    const frame = ethernet({ source: from, destination: MAC_BROADCAST }, packet);
    const p = wasm.writeAtEnd(concat(vnet, frame)) + vnet.length;
    wasm.run("dhcpInput", p, p + 14, p + 34, available ?? datagram.length, now);
  }

  decode(frame: Frame): DhcpReply {
    assert.ok(frame.kind === "udp");
    return decodeDhcp(frame.payload);
  }
}
