/**
 * DHCP client of the modelled guest (RFC 2131 §4.4, RFC 2132): DISCOVER, OFFER, REQUEST, ACK, then
 * renewal at half of the lease. NAK and an expired lease start over.
 */
import { formatIpv4 } from "../../../lib/addr.ts";
import { get16, get32, set16, set32 } from "./octets.ts";

export const DHCP_CLIENT_PORT = 68;
export const DHCP_SERVER_PORT = 67;

const FIXED = 236;
const OPTIONS = 240;
const COOKIE = 0x63825363;
const DISCOVER = 1;
const OFFER = 2;
const REQUEST = 3;
const ACK = 5;
const NAK = 6;
const RETRY_FIRST = 2_000_000;
const RETRY_MAX = 64_000_000;
const SECOND = 1_000_000;

/** What a server gave. Addresses as text. */
export interface DhcpLease {
  readonly address: string;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly dns: readonly string[];
  readonly mtu: number | undefined;
  readonly server: string;
  readonly seconds: number;
  /** Every option as it came, by code. */
  readonly options: ReadonlyMap<number, Uint8Array>;
}

/** What the client needs of the stack around it. */
export interface DhcpHandlers {
  readonly mac: Uint8Array;
  /** To everybody, or to the server once there is an address. */
  send(message: Uint8Array, server: string | undefined): void;
  /** Undefined: the lease is lost. */
  leased(lease: DhcpLease | undefined): void;
  fault(text: string): void;
}

type Phase = "idle" | "selecting" | "requesting" | "bound" | "renewing";

export class DhcpClient {
  readonly #handlers: DhcpHandlers;
  #phase: Phase = "idle";
  #lease: DhcpLease | undefined;
  #offer: DhcpLease | undefined;
  #transaction = 0;
  #startedAt = 0;
  #retryAt = 0;
  #retry = RETRY_FIRST;
  #expiresAt = 0;
  requests = 0;

  constructor(handlers: DhcpHandlers) {
    this.#handlers = handlers;
  }

  get phase(): Phase {
    return this.#phase;
  }

  get lease(): DhcpLease | undefined {
    return this.#lease;
  }

  /** @param transaction any number; it follows what is asked and is told apart by it */
  start(transaction: number, now: number): void {
    this.#transaction = transaction >>> 0;
    this.#startedAt = now;
    this.#enter("selecting", now);
  }

  #enter(phase: Phase, now: number): void {
    this.#phase = phase;
    this.#retry = RETRY_FIRST;
    this.#retryAt = now;
  }

  /** Sends what is due. */
  poll(now: number): void {
    if (this.#phase === "idle") return;
    if (this.#lease !== undefined && now >= this.#expiresAt) {
      this.#lease = undefined;
      this.#handlers.leased(undefined);
      this.#enter("selecting", now);
    }
    if (now < this.#retryAt) return;
    if (this.#phase === "bound") this.#enter("renewing", now);
    this.#retryAt = now + this.#retry;
    this.#retry = Math.min(this.#retry * 2, RETRY_MAX);
    this.requests += 1;
    const renewing = this.#phase === "renewing";
    const { server } = this.#lease ?? {};
    this.#handlers.send(this.#message(now), renewing ? server : undefined);
  }

  /** Microseconds; Infinity = never. */
  nextDeadline(): number {
    return this.#phase === "idle" ? Number.POSITIVE_INFINITY : this.#retryAt;
  }

  #message(now: number): Uint8Array {
    const message = new Uint8Array(300);
    set32(message, 0, 0x01010600);
    set32(message, 4, this.#transaction);
    set16(message, 8, Math.min(Math.floor((now - this.#startedAt) / SECOND), 0xffff));
    const renewing = this.#phase === "renewing";
    if (renewing) set32(message, 12, this.#addressOf(this.#lease));
    message.set(this.#handlers.mac, 28);
    set32(message, FIXED, COOKIE);
    let at = OPTIONS;
    const option = (code: number, octets: readonly number[]): void => {
      message.set([code, octets.length, ...octets], at);
      at += 2 + octets.length;
    };
    const selecting = this.#phase === "selecting";
    option(53, [selecting ? DISCOVER : REQUEST]);
    option(61, [1, ...this.#handlers.mac]);
    if (!selecting && !renewing) {
      option(50, octetsOf(this.#addressOf(this.#offer)));
      option(54, [...(this.#offer?.options.get(54) ?? [])]);
    }
    option(55, [1, 3, 6, 12, 15, 26, 42, 51, 54, 119, 121]);
    message[at] = 255;
    return message;
  }

  #addressOf(lease: DhcpLease | undefined): number {
    const octets = lease?.address.split(".").map(Number) ?? [];
    return octets.reduce((sum, octet) => sum * 256 + octet, 0) >>> 0;
  }

  /** Takes what came to the client's port. */
  input(message: Uint8Array, now: number): void {
    if (message.length < OPTIONS || message[0] !== 2 || get32(message, FIXED) !== COOKIE) {
      return void this.#handlers.fault(`DHCP answer of ${message.length} octets makes no sense`);
    }
    const { mac } = this.#handlers;
    if (
      get32(message, 4) !== this.#transaction ||
      mac.some((each, i) => each !== message[28 + i])
    ) {
      return; // somebody else's, or late
    }
    const options = readOptions(message);
    if (options === undefined)
      return void this.#handlers.fault("DHCP options run out of the message");
    const type = options.get(53)?.[0];
    if (type === OFFER && this.#phase === "selecting") {
      this.#offer = leaseOf(message, options);
      this.#enter("requesting", now);
    } else if (type === NAK && (this.#phase === "requesting" || this.#phase === "renewing")) {
      this.#expiresAt = now;
      this.#enter("selecting", now);
    } else if (type === ACK && (this.#phase === "requesting" || this.#phase === "renewing")) {
      this.#bind(leaseOf(message, options), now);
    }
  }

  #bind(lease: DhcpLease, now: number): void {
    if (lease.prefixLength === 0 || lease.seconds === 0) {
      return void this.#handlers.fault("DHCP ACK without mask or lease time");
    }
    this.#lease = lease;
    this.#phase = "bound";
    this.#expiresAt = now + lease.seconds * SECOND;
    this.#retryAt = now + (lease.seconds * SECOND) / 2;
    this.#handlers.leased(lease);
  }
}

function octetsOf(address: number): number[] {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255);
}

function readOptions(message: Uint8Array): Map<number, Uint8Array> | undefined {
  const options = new Map<number, Uint8Array>();
  for (let at = OPTIONS; at < message.length; ) {
    const code = message[at] ?? 0;
    if (code === 255) return options;
    if (code === 0) {
      at += 1;
      continue;
    }
    const length = message[at + 1] ?? 0;
    if (at + 2 + length > message.length) return undefined;
    const octets = message.slice(at + 2, at + 2 + length);
    const before = options.get(code);
    // RFC 3396: an option that comes in parts is one.
    options.set(code, before === undefined ? octets : Uint8Array.of(...before, ...octets));
    at += 2 + length;
  }
  return undefined;
}

function leaseOf(message: Uint8Array, options: ReadonlyMap<number, Uint8Array>): DhcpLease {
  const word = (code: number, at = 0): number => {
    const octets = options.get(code);
    return octets === undefined || octets.length < at + 4 ? 0 : get32(octets, at);
  };
  const mtu = options.get(26);
  return {
    address: formatIpv4(get32(message, 16)),
    prefixLength: 32 - zeroBits(word(1)),
    gateway: formatIpv4(word(3)),
    dns: Array.from({ length: (options.get(6)?.length ?? 0) >> 2 }, (_, i) =>
      formatIpv4(word(6, i * 4)),
    ),
    mtu: mtu?.length === 2 ? get16(mtu, 0) : undefined,
    server: formatIpv4(word(54)),
    seconds: word(51),
    options,
  };
}

/** Zeros at the end of a mask. */
function zeroBits(mask: number): number {
  let bits = 0;
  while (bits < 32 && ((mask >>> bits) & 1) === 0) bits += 1;
  return bits;
}
