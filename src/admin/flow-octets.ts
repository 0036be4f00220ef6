/**
 * Flows out of their octets, fast: ten thousand of them in some ten milliseconds.
 *
 * A flow is the message `Flow` of admin.proto. Fields that are not known are skipped, as protobuf
 * wants it, and absent ones have the value they have when nothing is said (0, "", false). Numbers
 * of 64 bits become numbers: octets and microseconds stay far below 2 ** 53.
 */
import { WireType } from "@bufbuild/protobuf/wire";
import type { Flow } from "./gen/slirp_binding/admin/v1/admin_pb.js";

type Wide = "bytesToHost" | "bytesToGuest" | "ageUs" | "idleUs";
/** A flow as plain values. */
export type FlowValues = Omit<Flow, Wide | "$typeName" | "$unknown"> & Record<Wide, number>;
type Writable = { -readonly [K in keyof FlowValues]: FlowValues[K] };

/** Above any number of 64 bits. */
const NUMBER_END = 2 ** 64;

/** A text, and its octets, by which it is known again. */
interface Known {
  readonly octets: Uint8Array;
  readonly text: string;
}

/** Reads the flows of one answer after the other: most of their texts are those of the last one. */
export class FlowReader {
  readonly #known = new Map<number, Known>();
  readonly #decoder = new TextDecoder();
  #octets: Uint8Array = new Uint8Array(0);
  #at = 0;

  /** @throws Error where the octets are no message */
  read(octets: Uint8Array): FlowValues {
    this.#octets = octets;
    this.#at = 0;
    const flow = emptyFlow();
    while (this.#at < octets.length) {
      const tag = this.#number();
      const [field, type] = [Math.floor(tag / 8), tag % 8];
      if (type === WireType.Varint) readNumber(flow, field, this.#number());
      else if (type === WireType.LengthDelimited) {
        const octets = this.#take(this.#number());
        const key = textKey(field);
        if (key !== undefined) flow[key] = this.#text(field, octets);
      } else if (type === WireType.Bit64) this.#take(8);
      else if (type === WireType.Bit32) this.#take(4);
      else throw new Error("these octets are no message");
    }
    return flow;
  }

  #take(size: number): Uint8Array {
    const start = this.#at;
    this.#at += size;
    if (this.#at > this.#octets.length) throw new Error("a message ends too early");
    return this.#octets.subarray(start, this.#at);
  }

  /** Not by way of a bigint, of which four for each flow would take most of the time. */
  #number(): number {
    const octets = this.#octets;
    let value = 0;
    for (let scale = 1; this.#at < octets.length && scale < NUMBER_END; scale *= 128) {
      const octet = octets[this.#at] ?? 0;
      this.#at += 1;
      value += (octet & 127) * scale;
      if (octet < 128) return value;
    }
    throw new Error("a number has no end");
  }

  #text(field: number, octets: Uint8Array): string {
    const last = this.#known.get(field);
    if (last !== undefined && isEqual(last.octets, octets)) return last.text;
    const text = this.#decoder.decode(octets);
    this.#known.set(field, { octets, text });
    return text;
  }
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i += 1) {
    if (one[i] !== other[i]) return false;
  }
  return true;
}

type TextKey =
  | "network"
  | "state"
  | "guestAddress"
  | "peerAddress"
  | "localAddress"
  | "hostAddress";

function textKey(field: number): TextKey | undefined {
  switch (field) {
    case 1:
      return "network";
    case 4:
      return "state";
    case 5:
      return "guestAddress";
    case 7:
      return "peerAddress";
    case 9:
      return "localAddress";
    case 11:
      return "hostAddress";
    default:
      return undefined;
  }
}

/** The keys of numbers by the numbers of their fields; others are none that is known. */
function readNumber(flow: Writable, field: number, value: number): void {
  switch (field) {
    case 2:
      flow.id = value;
      break;
    case 3:
      flow.kind = value;
      break;
    case 6:
      flow.guestPort = value;
      break;
    case 8:
      flow.peerPort = value;
      break;
    case 10:
      flow.localPort = value;
      break;
    case 12:
      flow.hostPort = value;
      break;
    case 13:
      flow.isInbound = value !== 0;
      break;
    default:
      readMeasure(flow, field, value);
  }
}

function readMeasure(flow: Writable, field: number, value: number): void {
  switch (field) {
    case 14:
      flow.bytesToHost = value;
      break;
    case 15:
      flow.bytesToGuest = value;
      break;
    case 16:
      flow.ageUs = value;
      break;
    case 17:
      flow.idleUs = value;
      break;
    case 18:
      flow.rttUs = value;
      break;
    case 19:
      flow.windowForGuest = value;
      break;
    case 20:
      flow.windowOfGuest = value;
      break;
    case 21:
      flow.congestionWindow = value;
      break;
    case 22:
      flow.inFlight = value;
      break;
    case 23:
      flow.retransmits = value;
      break;
    case 24:
      flow.waiting = value;
      break;
  }
}

function emptyFlow(): Writable {
  return {
    network: "",
    id: 0,
    kind: 0,
    state: "",
    guestAddress: "",
    guestPort: 0,
    peerAddress: "",
    peerPort: 0,
    localAddress: "",
    localPort: 0,
    hostAddress: "",
    hostPort: 0,
    isInbound: false,
    bytesToHost: 0,
    bytesToGuest: 0,
    ageUs: 0,
    idleUs: 0,
    rttUs: 0,
    windowForGuest: 0,
    windowOfGuest: 0,
    congestionWindow: 0,
    inFlight: 0,
    retransmits: 0,
    waiting: 0,
  };
}
