/**
 * Sees every frame and every operation of a run: notes them in the trace, enters them in the books
 * and shows TCP segments to what watches those.
 */
import * as abi from "../../../wasm/abi.ts";
import { rxLength, rxPointer } from "../../link/frames.ts";
import type { Link, LinkMemory } from "../../link/link.ts";
import { Books } from "./check/balance.ts";
import { TcpWatch } from "./check/tcp-watch.ts";
import { START, type VirtualClock } from "./clock.ts";
import { describeFrame, describeOperation } from "./describe.ts";
import type { TcpPlan } from "./plan.ts";
import type { Trace } from "./trace.ts";

/** Kinds of notes in the trace. */
const NOTE_TO_ENGINE = 1;
const NOTE_TO_GUEST = 2;
const NOTE_OPERATION = 3;
const NOTE_END = 4;
const NOTE_RESTART = 5;

/** What the link that the loop has does not do itself. */
export interface LinkEvents {
  /** The loop has taken the next frame off the link; true = it is as the guest has sent it. */
  taken(): boolean;
  /** Whether the loop is to be woken up when the link has room. */
  wantRoom(on: boolean): void;
}

export class Observer {
  readonly books = new Books();
  readonly tcp: TcpWatch;
  readonly #clock: VirtualClock;
  readonly #trace: Trace;
  /** Frames the loop has read and written. */
  frames = 0;
  operations = 0;

  constructor(
    clock: VirtualClock,
    trace: Trace,
    plans: readonly TcpPlan[],
    fault: (text: string) => void,
  ) {
    this.#clock = clock;
    this.#trace = trace;
    this.tcp = new TcpWatch(plans, fault);
  }

  /** A line for people. */
  tell(line: () => string): void {
    this.#trace.tell(this.#clock.now - START, line);
  }

  #note(kind: number, value: number): void {
    this.#trace.note(this.#clock.now, kind, value);
  }

  /** A frame has left the link towards the guest, behind `vnetSize` octets of the link's. */
  left(octets: Uint8Array, vnetSize: number): void {
    this.books.sent(octets.length - vnetSize);
    this.#note(NOTE_TO_GUEST, octets.length);
    this.#trace.octets(octets);
  }

  /** It sets out on the wire to the guest. */
  sent(frame: Uint8Array): void {
    this.tell(() => `  < ${describeFrame(frame)}`);
    this.tcp.sent(frame);
  }

  /** Frames are in the first receive slots, and the engine has not seen them yet. */
  #receivedAll(memory: LinkMemory, count: number, vnetSize: number, taken: () => boolean): void {
    for (let i = 0; i < count; i += 1) {
      const pointer = rxPointer(memory, i) + vnetSize;
      const frame = new Uint8Array(memory.buffer, pointer, rxLength(memory, i) - vnetSize);
      this.#received(frame, taken());
    }
  }

  #received(frame: Uint8Array, isIntact: boolean): void {
    this.books.received(frame);
    this.#note(NOTE_TO_ENGINE, frame.length);
    this.#trace.octets(frame);
    this.tell(() => `  > ${describeFrame(frame)}${isIntact ? "" : " (damaged)"}`);
    if (isIntact) this.tcp.arrived(frame);
  }

  /** The host has carried out an operation. */
  operated(kind: number, handle: number, result: number): void {
    this.operations += 1;
    this.books.operated(kind, result);
    this.tell(() => `    ${describeOperation(kind, handle, result)}`);
    this.#note(NOTE_OPERATION, kind);
    this.#trace.note(handle, kind, result);
  }

  /** Another engine takes the place of one that has failed. */
  restarted(life: number): void {
    this.tell(() => "the worker fails, and starts again");
    this.#note(NOTE_RESTART, life);
  }

  /** The run is over; returns its hash. */
  end(violations: number): string {
    this.#note(NOTE_END, violations);
    return this.#trace.hash;
  }

  /** The link as the loop has it: every frame is counted, and shown before the engine has it. */
  countFrames(link: Link, events: LinkEvents): Link {
    const { vnetSize, flags, queueFrames, mtuMax } = link;
    return {
      ...{ vnetSize, flags, queueFrames, mtuMax, refused: 0 },
      watch: () => 0,
      event: (_token, bits) => (bits & abi.EVENT_READABLE) !== 0,
      wantRoom: (on) => events.wantRoom(on),
      receive: (where, max) => {
        const count = link.receive(where, max);
        if (count > 0) this.#receivedAll(where, count, vnetSize, () => events.taken());
        this.frames += Math.max(count, 0);
        return count;
      },
      handled: (where, count) => link.handled?.(where, count),
      transmit: (where, first, count) => {
        const taken = link.transmit(where, first, count);
        this.frames += Math.max(taken, 0);
        return taken;
      },
      close: () => link.close(),
    };
  }
}
