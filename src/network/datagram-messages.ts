/**
 * Datagrams between messages in engine memory and an upstream, either version of IP.
 * Source: recvmsg(2), ip(7) IP_RECVERR, ipv6(7) IPV6_RECVERR; RFC 792, RFC 4443 §3.1.
 */
import * as abi from "../../wasm/abi.ts";
import { ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, ENETUNREACH } from "../../wasm/errno.ts";
import { Messages } from "../upstream/messages.ts";
import { readName, writeName } from "./addresses.ts";
import type { Endpoint } from "./upstream.ts";

/** By version: level and type of the control message, its octets, and who tells of the error. */
const QUEUES = { 4: [0, 11, 48, 2], 6: [41, 25, 60, 3] } as const;
/** ICMP's type and code, ICMPv6's type and code, by errno; anything else is an unreachable host. */
const KINDS: Readonly<Record<number, readonly [number, number, number, number]>> = {
  [ECONNREFUSED]: [3, 3, 1, 4],
  [ENETUNREACH]: [3, 0, 1, 0],
  [EHOSTUNREACH]: [3, 1, 1, 3],
  [EMSGSIZE]: [3, 4, 2, 0],
};
const UNREACHABLE = [3, 1, 1, 3] as const;

/** A datagram that was refused. */
export interface Refusal {
  readonly errno: number;
  readonly to: Endpoint;
  readonly payload: Uint8Array;
}

export class DatagramMessages extends Messages {
  /** Where a message goes; undefined: to its socket's peer. */
  name(message: number): Endpoint | undefined {
    const place = this.namePlace(message);
    return place && readName(this.engine.view, place.at);
  }

  /** Fills in what recvmmsg would. */
  deliver(message: number, payload: Uint8Array, from: Endpoint): void {
    this.fill(message, payload);
    this.#setName(message, from);
  }

  /** Fills in what recvmsg(MSG_ERRQUEUE) would; returns the octets of payload. */
  deliverError(message: number, { errno, to, payload }: Refusal): number {
    const isSix = to.address.includes(":");
    const [level, type, size, origin] = QUEUES[isSix ? 6 : 4];
    const kind = KINDS[errno] ?? UNREACHABLE;
    const [icmpType, code] = isSix ? [kind[2], kind[3]] : [kind[0], kind[1]];
    const fields = { errno, origin, type: icmpType, code, mtu: 0 };
    const { length, offender } = this.fillError(message, payload, fields, [level, type, size]);
    // Nobody says which router it was: the far end itself.
    writeName(this.engine.view, offender, { ...to, port: 0 });
    this.#setName(message, to);
    return length;
  }

  #setName(message: number, name: Endpoint): void {
    const { words, view } = this.engine;
    const at = words[(message + abi.MSG_NAME_OFFSET) >> 2] ?? 0;
    if (at === 0) return;
    words[(message + abi.MSG_NAME_LENGTH_OFFSET) >> 2] = writeName(view, at, name);
  }
}
