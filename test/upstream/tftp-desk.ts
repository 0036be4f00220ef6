/** One TFTP transfer with files that are made up, and all that it sends written down. */

import { EACCES, ENOENT } from "../../src/sys/errno.ts";
import {
  DATAGRAM_SIZE_MAX,
  Transfer,
  type TransferFile,
} from "../../src/upstream/tftp-transfer.ts";
import { concat, u16 } from "../support/packet.ts";

export const SECOND = 1_000_000;
export const SEED = 20261129;

export class Desk {
  readonly sent: Uint8Array[] = [];
  readonly told: string[] = [];
  readonly transfer: Transfer;
  readonly #files: Readonly<Record<string, Uint8Array>>;
  open = 0;
  now = 0;
  isGone = false;
  readErrno = 0;

  constructor(files: Readonly<Record<string, Uint8Array>>) {
    this.#files = files;
    const datagram = new Uint8Array(DATAGRAM_SIZE_MAX);
    this.transfer = new Transfer(
      {
        datagram,
        open: (name) => this.#open(name),
        send: (length) => {
          this.sent.push(datagram.slice(0, length));
          return !this.isGone;
        },
        told: (name, problem) => this.told.push(`${name}: ${problem}`),
      },
      0,
    );
  }

  #open(name: string): TransferFile | number {
    const content = this.#files[name];
    if (content === undefined) return name === "secret" ? -EACCES : -(Number(name) || ENOENT);
    this.open += 1;
    return {
      size: content.length,
      read: (into, offset) => {
        if (this.readErrno > 0) return -this.readErrno;
        const part = content.subarray(offset, offset + into.length);
        into.set(part);
        return part.length;
      },
      close: () => {
        this.open -= 1;
      },
    };
  }

  /** Hands over a datagram; what was sent in return. */
  say(octets: Uint8Array): string[] {
    this.sent.length = 0;
    this.transfer.input(octets, this.now);
    return this.sent.map(show);
  }

  ask(name: string, mode = "octet", ...options: string[]): string[] {
    return this.say(request(1, name, mode, ...options));
  }

  ack(block: number): string[] {
    return this.say(concat(u16(4), u16(block & 0xffff)));
  }

  wait(microseconds: number): string[] {
    this.sent.length = 0;
    this.now += microseconds;
    this.transfer.timeout(this.now);
    return this.sent.map(show);
  }
}

export function request(opcode: number, ...texts: string[]): Uint8Array {
  return concat(u16(opcode), ...texts.map((text) => `${text}\0`));
}

/** "DATA 1 512", "OACK blksize=1400", "ERROR 1 file not found". */
export function show(octets: Uint8Array): string {
  const view = new DataView(octets.buffer);
  const text = (from: number): string => new TextDecoder().decode(octets.subarray(from, -1));
  const opcode = view.getUint16(0);
  if (opcode === 3) return `DATA ${view.getUint16(2)} ${octets.length - 4}`;
  if (opcode === 5) return `ERROR ${view.getUint16(2)} ${text(4)}`;
  return opcode === 6 ? `OACK ${text(2).replaceAll("\0", " ")}` : `opcode ${opcode}`;
}
