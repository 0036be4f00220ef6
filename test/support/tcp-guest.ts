/**
 * A guest's end of one TCP connection for short, table-like tests. Sequence numbers are relative:
 * the guest's count from its own initial sequence number (0 = SYN, 1 = first octet), the engine's
 * from that of the engine's SYN. What is not said about a segment is what a correct guest would
 * send.
 *
 *     const { guest, socket } = established();
 *     guest.send({ payload: "hello" });
 *     guest.expect({ flags: "A", ack: 6 });
 *     socket.push("world");
 *     guest.expect({ flags: "PA", seq: 1, payload: "world" });
 */
import type { FlowInfo, TcpStateName } from "../../src/engine/flows.ts";
import { EngineWorld } from "./engine-harness.ts";
import { PEER, type WorldOptions } from "./engine-settings.ts";
import type { FakeSocket } from "./fake-socket.ts";
import type { DecodedTcpOptions, TcpFrame } from "./frame.ts";
import { concat, type Octets, octetsOf, type TcpFields, type TcpOptions } from "./packet.ts";

export interface TcpGuestOptions {
  /** Guest's port. */
  readonly port?: number;
  /** Its version of IP is the guest's. */
  readonly peer?: string;
  readonly peerPort?: number;
  /** Guest's initial sequence number, absolute. */
  readonly iss?: number;
  /** Window field of the guest's segments. */
  readonly window?: number;
  /** Options of the guest's SYN; timestamps go by `timestamps`. */
  readonly options?: TcpOptions;
  /** Offer timestamps and put them on every segment. */
  readonly timestamps?: boolean;
}

/** A segment of the guest; sequence numbers relative, of SACK edges too. */
export interface SegmentFields {
  readonly flags?: string;
  readonly seq?: number;
  readonly ack?: number;
  readonly window?: number;
  readonly payload?: Octets;
  readonly urgent?: number;
  readonly sack?: readonly (readonly [number, number])[];
  /** In place of the guest's own timestamps. */
  readonly timestamps?: readonly [number, number];
  readonly options?: TcpOptions;
  readonly checksum?: number;
}

/** What a segment of the engine has to have; only what is given is compared. */
export interface ExpectedSegment {
  readonly flags?: string;
  readonly seq?: number;
  readonly ack?: number;
  /** The field, not scaled. */
  readonly window?: number;
  readonly payload?: Octets;
  /** Octets of payload, where the content does not matter. */
  readonly length?: number;
  /** Edges relative to the guest's initial sequence number; empty = none. */
  readonly sack?: readonly (readonly [number, number])[];
  readonly timestamps?: readonly [number, number];
  readonly options?: DecodedTcpOptions;
}

const DEFAULT_OPTIONS: TcpOptions = { mss: 1460, windowScale: 7, sackPermitted: true };

export class TcpGuest {
  readonly world: EngineWorld;
  readonly port: number;
  readonly peer: string;
  readonly peerPort: number;
  readonly iss: number;
  /** Engine's initial sequence number, known from its SYN on. */
  irs = 0;
  /** Relative sequence number of what the guest sends next. */
  next = 0;
  /** Relative sequence number of what the guest wants next. */
  wanted = 0;
  window: number;
  /** The guest's timestamp clock, added to virtual milliseconds. */
  timestampOffset = 1000;
  /** TSval last seen. */
  timestampEcho = 0;
  readonly #options: TcpOptions;
  #timestamps: boolean;

  constructor(world: EngineWorld, options: TcpGuestOptions = {}) {
    this.world = world;
    this.port = options.port ?? 40000;
    this.peer = options.peer ?? PEER;
    this.peerPort = options.peerPort ?? 80;
    this.iss = options.iss ?? 0x10000000;
    this.window = options.window ?? 65535;
    this.#options = options.options ?? DEFAULT_OPTIONS;
    this.#timestamps = options.timestamps ?? false;
  }

  /** The connection in the engine's table. */
  get flow(): FlowInfo | undefined {
    return this.world.flow(this.port, this.peerPort);
  }

  /** Its state; "CLOSED" when the table does not know it. */
  get state(): TcpStateName {
    this.world.run();
    return this.flow?.state ?? "CLOSED";
  }

  /** The host's socket of this connection. */
  get socket(): FakeSocket {
    return this.world.host.socket(this.peer, this.peerPort);
  }

  // -------------------------------------------------------------- sending

  /** The frame of a segment, not sent; for batches and for frames to be spoiled. */
  frame(fields: SegmentFields = {}): Uint8Array {
    const flags = fields.flags ?? (octetsOf(fields.payload ?? "").length > 0 ? "PA" : "A");
    const ack = flags.includes("A") ? (fields.ack ?? this.wanted) + this.irs : 0;
    const { urgent, checksum } = fields;
    const segment: Omit<TcpFields, "source"> = {
      destination: this.peer,
      sourcePort: this.port,
      destinationPort: this.peerPort,
      flags,
      seq: ((fields.seq ?? this.next) + this.iss) >>> 0,
      ack: ack >>> 0,
      window: fields.window ?? this.window,
      options: this.#segmentOptions(flags, fields),
      ...(urgent === undefined ? {} : { urgent }),
      ...(checksum === undefined ? {} : { checksum }),
    };
    return this.world.tcp(segment, fields.payload ?? "");
  }

  #segmentOptions(flags: string, fields: SegmentFields): TcpOptions {
    const own = flags.includes("S") ? this.#options : {};
    const sack = fields.sack?.map(
      ([left, right]) => [(left + this.irs) >>> 0, (right + this.irs) >>> 0] as const,
    );
    const clock = Math.floor(this.world.now / 1000) + this.timestampOffset;
    const timestamps =
      fields.timestamps ??
      (this.#timestamps && !flags.includes("R")
        ? ([clock >>> 0, flags.includes("A") ? this.timestampEcho : 0] as const)
        : undefined);
    return {
      ...own,
      ...(timestamps === undefined ? {} : { timestamps }),
      ...(sack === undefined ? {} : { sack }),
      ...fields.options,
    };
  }

  /** Sends a segment. `next` moves on when the segment begins there. */
  send(fields: SegmentFields = {}): void {
    this.sendBatch([fields]);
  }

  /** Sends segments as one batch. */
  sendBatch(list: readonly SegmentFields[]): void {
    // Events of the host come first, so that what they bring can be waiting.
    this.world.run();
    const frames = list.map((fields) => {
      const frame = this.frame(fields);
      const { flags = "", payload = "", seq = this.next } = fields;
      const span = octetsOf(payload).length + (/[SF]/.test(flags) ? 1 : 0);
      if (seq === this.next) this.next += span;
      return frame;
    });
    this.world.guest(...frames);
  }

  // -------------------------------------------------------------- expecting

  /** Takes the next frame; it must be a segment of this connection with these fields. */
  expect(wanted: ExpectedSegment = {}): TcpFrame {
    const frame = this.world.expect("tcp", {
      source: this.peer,
      sourcePort: this.peerPort,
      destinationPort: this.port,
    });
    this.#track(frame);
    const found: Record<string, unknown> = {
      flags: frame.flags,
      seq: (frame.seq - this.irs) | 0,
      ack: frame.flags.includes("A") ? (frame.ack - this.iss) | 0 : frame.ack,
      window: frame.window,
      payload: frame.payload,
      length: frame.payload.length,
      sack: (frame.options.sack ?? []).map(([left, right]) => [
        (left - this.iss) | 0,
        (right - this.iss) | 0,
      ]),
      timestamps: frame.options.timestamps,
      options: frame.options,
    };
    const { payload } = wanted;
    const fields = { ...wanted, ...(payload === undefined ? {} : { payload: octetsOf(payload) }) };
    const compared = Object.fromEntries(Object.keys(fields).map((name) => [name, found[name]]));
    this.world.equal(
      { ...compared, ...textOf(compared) },
      { ...fields, ...textOf(fields) },
      "segment",
    );
    return frame;
  }

  /** Learns from a segment what the guest's kernel would: sequence numbers and timestamps. */
  #track(frame: TcpFrame): void {
    const { flags, options } = frame;
    if (flags.includes("R")) return;
    if (flags.includes("S")) {
      this.irs = frame.seq;
      this.#timestamps &&= options.timestamps !== undefined;
    }
    const [value] = options.timestamps ?? [];
    if (value !== undefined) this.timestampEcho = value;
    const span = frame.payload.length + (/[SF]/.test(flags) ? 1 : 0);
    const begin = (frame.seq - this.irs) | 0;
    if (begin <= this.wanted && begin + span > this.wanted) this.wanted = begin + span;
  }

  /** No frame is waiting. */
  expectNothing(): void {
    this.world.expectNothing();
  }

  /** Takes every segment that waits, in order, and returns the payload that is new. */
  takePayload(): Uint8Array {
    const parts: Uint8Array[] = [];
    this.world.run();
    while (this.world.frames.length > 0) {
      const before = this.wanted;
      const { payload } = this.expect();
      // At most one FIN or SYN is among the sequence numbers that are new.
      const fresh = Math.min(this.wanted - before, payload.length);
      if (fresh > 0) parts.push(payload.subarray(payload.length - fresh));
    }
    return concat(...parts);
  }

  /** Takes and acknowledges until the engine has nothing more; returns the payload. */
  receiveAll(): Uint8Array {
    const parts: Uint8Array[] = [];
    for (;;) {
      const before = this.wanted;
      parts.push(this.takePayload());
      if (this.wanted === before) return concat(...parts);
      this.send();
    }
  }

  // -------------------------------------------------------------- opening

  /** Three-way handshake from the guest's side. */
  open(): this {
    this.send({ flags: "S" });
    this.expect({ flags: "SA", seq: 0, ack: 1 });
    this.send();
    return this;
  }
}

function textOf(fields: { readonly [name: string]: unknown }): { payload?: string } {
  const { payload } = fields;
  return payload instanceof Uint8Array ? { payload: Buffer.from(payload).toString("latin1") } : {};
}

export interface Conversation {
  readonly world: EngineWorld;
  readonly guest: TcpGuest;
  readonly socket: FakeSocket;
}

export interface ConversationOptions {
  readonly world?: WorldOptions;
  readonly guest?: TcpGuestOptions;
}

/** An open connection, nothing waiting. */
export function established(options: ConversationOptions = {}): Conversation {
  return reach("ESTABLISHED", options);
}

/** A connection in this state; what led there has been taken and acknowledged where due. */
export function reach(state: TcpStateName, options: ConversationOptions = {}): Conversation {
  const world = new EngineWorld(options.world);
  const guest = new TcpGuest(world, options.guest);
  const drive = PATHS[state];
  if (drive === undefined) throw new Error(`no way leads to "${state}"`);
  drive(guest);
  world.equal(guest.state, state, "state");
  world.expectNothing();
  return { world, guest, socket: guest.socket };
}

/** From nothing to each state. */
const PATHS: Readonly<Partial<Record<TcpStateName, (guest: TcpGuest) => void>>> = {
  CONNECTING: (guest) => {
    guest.world.host.connect = () => "pending";
    guest.send({ flags: "S" });
  },
  SYN_SENT: (guest) => {
    guest.world.inboundTcp(guest.port, guest.peer, guest.peerPort);
    guest.world.advance(0);
    guest.expect({ flags: "S", seq: 0 });
  },
  SYN_RECEIVED: (guest) => {
    guest.send({ flags: "S" });
    guest.expect({ flags: "SA", seq: 0, ack: 1 });
  },
  ESTABLISHED: (guest) => {
    guest.open();
  },
  FIN_WAIT_1: finWait1,
  FIN_WAIT_2: (guest) => {
    finWait1(guest);
    guest.send();
  },
  CLOSE_WAIT: closeWait,
  CLOSING: (guest) => {
    finWait1(guest);
    guest.send({ flags: "FA", ack: guest.wanted - 1 });
    guest.expect({ flags: "A", ack: guest.next });
  },
  LAST_ACK: (guest) => {
    closeWait(guest);
    guest.socket.end();
    guest.expect({ flags: "FA" });
  },
  TIME_WAIT: (guest) => {
    finWait1(guest);
    guest.send();
    guest.send({ flags: "FA" });
    guest.expect({ flags: "A", ack: guest.next });
  },
};

function finWait1(guest: TcpGuest): void {
  guest.open();
  guest.socket.end();
  guest.expect({ flags: "FA" });
}

function closeWait(guest: TcpGuest): void {
  guest.open();
  guest.send({ flags: "FA" });
  guest.expect({ flags: "A", ack: guest.next });
}
