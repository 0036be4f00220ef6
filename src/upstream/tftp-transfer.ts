/**
 * One transfer of a TFTP server that only gives: from a guest's request to the last block.
 *
 * Theory of operation
 *   Datagrams and time go in; datagrams come out by `TransferHost.send`; nothing else is known.
 *
 *     waiting ──request──▶ asked ──ACK 0──▶ sending ──ACK of the last──▶ over
 *        any: a request that is refused, an error of the guest's, silence ──▶ over
 *
 *   `asked` is passed over where no option was agreed on. A window of blocks is under way at a time
 *   (RFC 7440), one unless the guest asks for more. Blocks are read from the file when they are
 *   sent, and again when they are lost: nothing is kept but where the window begins. An
 *   acknowledgment in the middle of it has the rest sent anew; one of what was acknowledged before
 *   is ignored in a window of one (RFC 1123 §4.2.3.1: no second flood), else it says that the first
 *   block was lost, and counts once.
 *
 *   Limits: a request has 512 octets at most (RFC 2347); blksize 8 to 65464; windowsize to 64 and
 *   64 KiB of payload; timeout 1 to 255 s, 1 s unless said; after 5 times of silence the guest is
 *   given up. The number of a block has 16 bits and begins anew with 0, so files may have any size.
 *
 *   Options are agreed on as RFC 2347 has it: those that are unknown, malformed or out of range are
 *   left out of the answer, and so do not count. tsize is answered in octet mode, as nobody knows
 *   the size of text before it is converted.
 *
 * Source: RFC 1350, RFC 2347, RFC 2348, RFC 2349, RFC 7440, RFC 764 (netascii).
 */
import { EACCES, EISDIR, ELOOP, ENOENT, ENOTDIR, EPERM, EXDEV } from "../sys/errno.ts";

const READ_REQUEST = 1;
const WRITE_REQUEST = 2;
const DATA = 3;
const ACKNOWLEDGMENT = 4;
const ERROR = 5;
const OPTIONS = 6;

const ERROR_UNDEFINED = 0;
const ERROR_NOT_FOUND = 1;
const ERROR_ACCESS = 2;
const ERROR_ILLEGAL = 4;

const BLOCK_SIZE_MAX = 65464;
const BLOCK_SIZE_DEFAULT = 512;
const BLOCK_SIZE_MIN = 8;
const WINDOW_MAX = 64;
const WINDOW_OCTETS_MAX = 65536;
const REQUEST_SIZE_MAX = 512;
const TIMEOUT_DEFAULT_US = 1_000_000;
const TIMEOUT_SECONDS_MAX = 255;
const TRIES_MAX = 5;
const HEADER_SIZE = 4;
const LF = 10;
const CR = 13;

/** What is sent: an opcode, a block's number, payload. */
export const DATAGRAM_SIZE_MAX = HEADER_SIZE + BLOCK_SIZE_MAX;

export interface TransferFile {
  readonly size: number;
  /** Fills `into` from `offset` on; how many octets it were, or the negative errno. */
  read(into: Uint8Array, offset: number): number;
  close(): void;
}

export interface TransferHost {
  /** A file by its name; or the negative errno. */
  open(name: string): TransferFile | number;
  /** Where datagrams are made, DATAGRAM_SIZE_MAX octets; free again after `send`. */
  readonly datagram: Uint8Array;
  /** Sends the first `length` octets of `datagram`; false = the guest's end is gone. */
  send(length: number): boolean;
  /** A request was answered; `problem` is empty where the file is there. */
  told(name: string, problem: string): void;
}

/** Where a block begins: in the file, and what is left of a pair of octets (netascii). */
interface Position {
  readonly offset: number;
  /** Second octet of a pair whose first one ended the block before; -1 = none. */
  readonly carry: number;
}

interface Agreed {
  blockSize: number;
  window: number;
  timeout_us: number;
  /** Names and values of the answer. */
  readonly answer: string[];
}

export class Transfer {
  readonly #host: TransferHost;
  #request = "";
  #file: TransferFile | undefined;
  #isText = false;
  #agreed: Agreed = agreeOn([], 0, false);
  /** The answer to the request waits for its ACK 0. */
  #isAsked = false;
  /** Last block that was acknowledged; blocks count from 1 and do not begin anew. */
  #base = 0;
  /** Next block to send. */
  #next = 1;
  /** The block that is not full, once it is known. */
  #last = Number.POSITIVE_INFINITY;
  /** Where blocks begin from the one behind `#base` on, in text. */
  #starts: Position[] = [];
  /** `#base` for which an ACK that came again has been heeded. */
  #repeated = -1;
  #tries = 0;
  #deadline = 0;
  #isOver = false;

  constructor(host: TransferHost, now: number) {
    this.#host = host;
    this.#rest(now);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** When `timeout` wants to be called, microseconds. */
  get deadline(): number {
    return this.#deadline;
  }

  /** Takes a datagram of the guest's. */
  input(octets: Uint8Array, now: number): void {
    if (this.#isOver) return;
    const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
    const opcode = octets.length < 2 ? 0 : view.getUint16(0);
    if (opcode === READ_REQUEST) this.#requested(octets, now);
    else if (opcode === WRITE_REQUEST) this.#refuse(ERROR_ACCESS, "this server is read-only");
    else if (opcode === ACKNOWLEDGMENT && octets.length >= HEADER_SIZE && this.#file) {
      this.#acknowledged(view.getUint16(2), now);
    } else if (opcode === ERROR) this.end();
    else this.#refuse(ERROR_ILLEGAL, "illegal TFTP operation");
  }

  /** Nothing was heard until the deadline. */
  timeout(now: number): void {
    if (this.#isOver || now < this.#deadline) return;
    this.#tries += 1;
    if (this.#file === undefined || this.#tries > TRIES_MAX) {
      this.end();
      return;
    }
    this.#sendAgain(now);
  }

  /** Idempotent. */
  end(): void {
    this.#isOver = true;
    this.#file?.close();
    this.#file = undefined;
  }

  #rest(now: number): void {
    this.#deadline = now + this.#agreed.timeout_us;
  }

  // -------------------------------------------------------------- requests

  #requested(octets: Uint8Array, now: number): void {
    if (octets.length > REQUEST_SIZE_MAX || octets.at(-1) !== 0) {
      this.#refuse(ERROR_ILLEGAL, "malformed request");
      return;
    }
    const request = new TextDecoder().decode(octets.subarray(2, -1));
    // One that comes again has not seen our answer yet.
    if (this.#file !== undefined && request === this.#request && this.#base === 0) {
      this.#sendAgain(now);
      return;
    }
    this.#file?.close();
    this.#file = undefined;
    this.#request = request;
    const [name = "", mode = "", ...options] = request.split("\0");
    const form = mode.toLowerCase();
    if (name === "" || (form !== "octet" && form !== "netascii")) {
      this.#refuse(ERROR_ILLEGAL, "wanted a name and mode octet or netascii");
      return;
    }
    const file = this.#host.open(name);
    if (typeof file === "number") {
      const [code, text] = reasonOf(file);
      this.#host.told(name, text);
      this.#refuse(code, text);
      return;
    }
    this.#host.told(name, "");
    this.#begin(file, options, form === "netascii", now);
  }

  #begin(file: TransferFile, options: string[], isText: boolean, now: number): void {
    this.#file = file;
    this.#isText = isText;
    this.#agreed = agreeOn(options, file.size, isText);
    this.#isAsked = this.#agreed.answer.length > 0;
    this.#base = 0;
    this.#last = Number.POSITIVE_INFINITY;
    this.#starts = [{ offset: 0, carry: -1 }];
    this.#repeated = -1;
    this.#tries = 0;
    this.#sendAgain(now);
  }

  #refuse(code: number, text: string): void {
    const octets = new TextEncoder().encode(text);
    const { datagram } = this.#host;
    this.#header(ERROR, code);
    datagram.set(octets, HEADER_SIZE);
    datagram[HEADER_SIZE + octets.length] = 0;
    this.#host.send(HEADER_SIZE + octets.length + 1);
    this.end();
  }

  #header(opcode: number, number: number): void {
    const { datagram } = this.#host;
    datagram[0] = 0;
    datagram[1] = opcode;
    datagram[2] = (number >> 8) & 0xff;
    datagram[3] = number & 0xff;
  }

  // -------------------------------------------------------------- blocks

  #acknowledged(number: number, now: number): void {
    if (this.#isAsked) {
      if (number !== 0) return;
      this.#isAsked = false;
      this.#progress(now);
      return;
    }
    const blocks = (number - (this.#base & 0xffff)) & 0xffff;
    if (blocks >= this.#next - this.#base) return; // of a block that was never sent
    if (blocks === 0) {
      if (this.#agreed.window === 1 || this.#repeated === this.#base) return;
      this.#repeated = this.#base;
      this.#sendAgain(now);
      return;
    }
    this.#base += blocks;
    this.#starts.splice(0, blocks);
    if (this.#base >= this.#last) {
      this.end();
      return;
    }
    this.#next = this.#base + 1;
    this.#progress(now);
  }

  #progress(now: number): void {
    this.#tries = 0;
    this.#sendAgain(now);
  }

  /** Sends what the guest waits for, from the first block that it has not acknowledged on. */
  #sendAgain(now: number): void {
    this.#rest(now);
    if (this.#isAsked) this.#sendOptions();
    else {
      this.#next = this.#base + 1;
      const end = this.#base + this.#agreed.window;
      while (!this.#isOver && this.#next <= Math.min(end, this.#last)) this.#sendBlock();
    }
  }

  #sendOptions(): void {
    const octets = new TextEncoder().encode(`${this.#agreed.answer.join("\0")}\0`);
    const { datagram } = this.#host;
    datagram.set([0, OPTIONS]);
    datagram.set(octets, 2);
    if (!this.#host.send(2 + octets.length)) this.end();
  }

  #sendBlock(): void {
    const block = this.#next;
    const { blockSize } = this.#agreed;
    this.#header(DATA, block);
    const into = this.#host.datagram.subarray(HEADER_SIZE, HEADER_SIZE + blockSize);
    const size = this.#isText ? this.#readText(into, block) : this.#read(into, block);
    if (size < 0) {
      this.#refuse(ERROR_UNDEFINED, "the file cannot be read");
      return;
    }
    if (size < blockSize) this.#last = block;
    this.#next = block + 1;
    if (!this.#host.send(HEADER_SIZE + size)) this.end();
  }

  #read(into: Uint8Array, block: number): number {
    return this.#file?.read(into, (block - 1) * into.length) ?? -1;
  }

  /** The same with line feeds as CR LF and carriage returns as CR NUL. */
  #readText(into: Uint8Array, block: number): number {
    const index = block - this.#base - 1;
    const { offset, carry } = this.#starts[index] ?? { offset: 0, carry: -1 };
    const raw = new Uint8Array(new ArrayBuffer(into.length));
    const read = this.#file?.read(raw, offset) ?? -1;
    if (read < 0) return read;
    let size = 0;
    let taken = 0;
    let left = carry;
    if (left >= 0) {
      into[size++] = left;
      left = -1;
    }
    while (taken < read && size < into.length) {
      const octet = raw[taken++] ?? 0;
      const isPair = octet === LF || octet === CR;
      into[size++] = isPair ? CR : octet;
      if (!isPair) continue;
      const second = octet === LF ? LF : 0;
      if (size < into.length) into[size++] = second;
      else left = second;
    }
    this.#starts[index + 1] = { offset: offset + taken, carry: left };
    return size;
  }
}

/** Code and text for what opening a file has come to. */
function reasonOf(errno: number): readonly [number, string] {
  if (errno === -ENOENT || errno === -ENOTDIR) return [ERROR_NOT_FOUND, "file not found"];
  const isForbidden = [EACCES, EPERM, EXDEV, ELOOP, EISDIR].includes(-errno);
  return isForbidden
    ? [ERROR_ACCESS, "access violation"]
    : [ERROR_UNDEFINED, "the file cannot be opened"];
}

/** An option's value as a number; -1 = it is none. */
function numberOf(text: string | undefined): number {
  return text !== undefined && /^[0-9]{1,10}$/.test(text) ? Number(text) : -1;
}

/** Agrees on the options of a request: names and values in turns. */
function agreeOn(options: readonly string[], size: number, isText: boolean): Agreed {
  const agreed: Agreed = {
    blockSize: BLOCK_SIZE_DEFAULT,
    window: 1,
    timeout_us: TIMEOUT_DEFAULT_US,
    answer: [],
  };
  const values = new Map<string, number>();
  for (let i = 0; i + 1 < options.length; i += 2) {
    const name = (options[i] ?? "").toLowerCase();
    if (!values.has(name)) values.set(name, numberOf(options[i + 1]));
  }
  const accept = (name: string, value: number): void => {
    agreed.answer.push(name, String(value));
  };
  const blockSize = values.get("blksize") ?? -1;
  if (blockSize >= BLOCK_SIZE_MIN) {
    agreed.blockSize = Math.min(blockSize, BLOCK_SIZE_MAX);
    accept("blksize", agreed.blockSize);
  }
  const timeout = values.get("timeout") ?? -1;
  if (timeout >= 1 && timeout <= TIMEOUT_SECONDS_MAX) {
    agreed.timeout_us = timeout * 1_000_000;
    accept("timeout", timeout);
  }
  // Of an empty file it says nothing: curl takes a size of 0 for an error.
  if ((values.get("tsize") ?? -1) >= 0 && !isText && size > 0) accept("tsize", size);
  const window = values.get("windowsize") ?? -1;
  if (window >= 1) {
    const most = Math.max(1, Math.floor(WINDOW_OCTETS_MAX / agreed.blockSize));
    agreed.window = Math.min(window, WINDOW_MAX, most);
    accept("windowsize", agreed.window);
  }
  return agreed;
}
