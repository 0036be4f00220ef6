/**
 * Messages of the modelled host: IPv4 alone, addresses as numbers. What breaks the contract of
 * `wasm/abi.ts` throws.
 */
import * as abi from "../../../../wasm/abi.ts";
import { Messages } from "../../../upstream/messages.ts";

const AF_INET = 2;
const NAME_SIZE = 16;
const SOL_IP = 0;
const IP_RECVERR = 11;
const ORIGIN_ICMP = 2;
/** Control message of an error: header, struct sock_extended_err, the offender's name. */
const ERROR_SIZE = 16 + 16 + NAME_SIZE;

export interface Endpoint {
  readonly address: number;
  readonly port: number;
}

/** An ICMP error as the error queue tells it. */
export interface SocketError {
  readonly errno: number;
  readonly type: number;
  readonly code: number;
  readonly offender: number;
  readonly target: Endpoint;
  readonly payload: Uint8Array;
  /** Octets of the largest packet, where that is what the error is about; else 0. */
  readonly mtu: number;
}

export class SimMessages extends Messages {
  /** Where the message goes; undefined where it has no name. */
  name(message: number): Endpoint | undefined {
    const { view } = this.engine;
    const place = this.namePlace(message);
    if (place === undefined) return undefined;
    const { at, size } = place;
    if (size !== NAME_SIZE || view.getUint16(at, true) !== AF_INET) {
      throw new Error(`name of ${size} octets`);
    }
    return { address: view.getUint32(at + 4), port: view.getUint16(at + 2) };
  }

  /** Fills in what recvmmsg would: payload, name, and the size of the datagrams of a run. */
  deliver(message: number, payload: Uint8Array, from: Endpoint, segment: number): void {
    this.fill(message, payload, segment);
    this.#setName(message, from);
  }

  /** Fills in what recvmsg(MSG_ERRQUEUE) would; returns the octets of payload. */
  deliverError(message: number, error: SocketError): number {
    const fields = { ...error, origin: ORIGIN_ICMP };
    const kind = [SOL_IP, IP_RECVERR, ERROR_SIZE] as const;
    const { length, offender } = this.fillError(message, error.payload, fields, kind);
    this.#setName(message, error.target);
    this.#setAddress(offender, { address: error.offender, port: 0 });
    return length;
  }

  #setName(message: number, name: Endpoint): void {
    const { words } = this.engine;
    const at = words[(message + abi.MSG_NAME_OFFSET) >> 2] ?? 0;
    if (at === 0) return;
    this.#setAddress(at, name);
    words[(message + abi.MSG_NAME_LENGTH_OFFSET) >> 2] = NAME_SIZE;
  }

  #setAddress(at: number, { address, port }: Endpoint): void {
    const { view } = this.engine;
    view.setUint16(at, AF_INET, true);
    view.setUint16(at + 2, port);
    view.setUint32(at + 4, address);
    view.setBigUint64(at + 8, 0n);
  }
}
