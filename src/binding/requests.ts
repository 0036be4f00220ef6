/**
 * What the main thread asks a worker for, beyond the commands of the mailbox.
 *
 * Theory of operation
 *   A worker that carries packets waits in the kernel and hears no messages. A request is a batch
 *   of JSON in a ring of shared memory, announced by the eventfd that the worker's epoll watches;
 *   it is carried out between two turns of the loop (`desk.ts`), and its answer comes as a message,
 *   which a worker can send at any time.
 *
 *     limits    ASKED_MOST requests are with the worker at a time, so that packets wait for so many
 *               at most; WAITING_MOST wait for their turn here, and what is beyond is refused
 *     time      a request without an answer for PATIENCE_ms fails, as does all that waits when the
 *               network ends; an answer that comes after that is thrown away
 *     failures  a refusal is a `RequestError`, whose code says whose fault it is, and has changed
 *               nothing; an engine that fails answers what it had been asked with "internal"
 */

import type { PublishRule } from "../config/publish-rule.ts";
import type { PublishedPorts } from "../config/published-ports.ts";
import type { FlowPage } from "../engine/flow-page.ts";
import type { ByteRing } from "../lib/byte-ring.ts";
import type { DropSample } from "../link/drop-samples.ts";
import type { WantedAddress } from "../sys/port-owner.ts";

const ASKED_MOST = 4;
const WAITING_MOST = 64;
const PATIENCE_ms = 5000;
/** Octets of the ring. */
export const REQUESTS_SIZE = 64 * 1024;

/** Whose fault it is that a request was refused; named as in gRPC. */
export type RequestErrorCode =
  | "invalid-argument"
  | "not-found"
  | "already-exists"
  | "failed-precondition"
  | "resource-exhausted"
  | "unavailable"
  | "internal";

export class RequestError extends Error {
  readonly code: RequestErrorCode;

  constructor(code: RequestErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Requests by their names: what is given with one, which JSON can carry, and what is answered. */
export interface Requests {
  /** A page of flows from a slot on, and for each the host's end of its socket. */
  readonly flows: { readonly asks: { readonly from: number }; readonly gives: FlowAnswer };
  /** The latest frames that were dropped. */
  readonly drops: { readonly asks: object; readonly gives: readonly DropSample[] };
  /** Begins to fill a ring of captures; 0 = without limit. */
  readonly captureStart: { readonly asks: CaptureStart; readonly gives: object };
  readonly captureFigures: { readonly asks: CaptureSlot; readonly gives: CaptureFigures };
  /** Ends it; its last figures. */
  readonly captureStop: { readonly asks: CaptureSlot; readonly gives: CaptureFigures };
  /** Published ports, as they are. */
  readonly published: { readonly asks: null; readonly gives: readonly PublishedRow[] };
  /** To publish a rule whole; it may be that somebody has one of its ports. */
  readonly publish: { readonly asks: PublishRule; readonly gives: PublishedRow | TakenPort };
  /** To publish ports no longer: those that were, and whether there are no more of them. */
  readonly unpublish: { readonly asks: PublishedPorts; readonly gives: UnpublishAnswer };
}

/** Which ring of captures. */
interface CaptureSlot {
  readonly slot: number;
}

interface CaptureStart extends CaptureSlot {
  readonly filter: string;
  readonly snapLength: number;
  readonly framesMax: number;
  readonly octetsMax: number;
  readonly secondsMax: number;
  /** Octets that the file begins with. */
  readonly headerSize: number;
}

/** What a capture has come to. */
export interface CaptureFigures {
  readonly frames: number;
  /** Of the file, its header included. */
  readonly octets: number;
  /** Frames that came faster than they were taken. */
  readonly lost: number;
}

/** Ports in a row that were published by one rule. */
export interface PublishedRow {
  readonly rule: PublishRule;
  /** While the network ran. */
  readonly isAdded: boolean;
  /** Of TCP: a guest is there, so that all of them answer. Of UDP: always. */
  readonly isListening: boolean;
  readonly flows: number;
}

/** A port of the host that cannot be had, as another socket is in the way. */
export interface TakenPort {
  readonly taken: number;
  /** Where it was to be. */
  readonly at: readonly WantedAddress[];
}

export interface UnpublishAnswer {
  readonly rows: readonly PublishedRow[];
  /** False: ask again for the rest. */
  readonly isWhole: boolean;
}

export interface FlowAnswer {
  readonly page: FlowPage;
  /** In the order of the flows: where their sockets are bound; undefined: they have none. */
  readonly locals: readonly (LocalName | undefined)[];
}

/** A name of a socket. */
export interface LocalName {
  readonly address: string;
  readonly port: number;
}

export type RequestKind = keyof Requests;

/** As it goes through the ring. */
export interface Request<K extends RequestKind = RequestKind> {
  readonly id: number;
  readonly kind: K;
  readonly asks: Requests[K]["asks"];
}

/** As it comes back. */
export type Reply =
  | { readonly id: number; readonly gives: unknown }
  | { readonly id: number; readonly code: RequestErrorCode; readonly problem: string };

interface Waiting {
  readonly request: Request;
  readonly resolve: (gives: unknown) => void;
  readonly reject: (error: RequestError) => void;
}

interface Asked extends Waiting {
  readonly timer: ReturnType<typeof setTimeout>;
}

/** The main thread's side. */
export class Asking {
  readonly #ring: ByteRing;
  readonly #signal: () => void;
  readonly #asked = new Map<number, Asked>();
  #waiting: Waiting[] = [];
  #latest = 0;
  #hasEnded = false;

  /** @param signal tells the worker to look */
  constructor(ring: ByteRing, signal: () => void) {
    this.#ring = ring;
    this.#signal = signal;
  }

  /** @throws RequestError (rejects) as refused, or where no answer comes */
  ask<K extends RequestKind>(kind: K, asks: Requests[K]["asks"]): Promise<Requests[K]["gives"]> {
    return new Promise((resolve, reject) => {
      if (this.#hasEnded) return reject(ended());
      if (this.#waiting.length >= WAITING_MOST) {
        return reject(new RequestError("resource-exhausted", "too many requests at once"));
      }
      this.#latest += 1;
      const request = { id: this.#latest, kind, asks };
      // What comes back for a request of this kind is what it gives: `Clerks` of the desk.
      const settle = (gives: unknown): void => resolve(gives as Requests[K]["gives"]);
      this.#waiting.push({ request, resolve: settle, reject });
      this.#next();
    });
  }

  /** An answer has come. */
  take(reply: Reply): void {
    const asked = this.#forget(reply.id);
    if (asked === undefined) return;
    if ("gives" in reply) asked.resolve(reply.gives);
    else asked.reject(new RequestError(reply.code, reply.problem));
    this.#next();
  }

  /** No answer will come any more. */
  end(): void {
    this.#hasEnded = true;
    const all = [...this.#asked.values(), ...this.#waiting];
    for (const { timer } of this.#asked.values()) clearTimeout(timer);
    this.#asked.clear();
    this.#waiting = [];
    for (const { reject } of all) reject(ended());
  }

  #forget(id: number): Asked | undefined {
    const asked = this.#asked.get(id);
    if (asked === undefined) return undefined;
    clearTimeout(asked.timer);
    this.#asked.delete(id);
    return asked;
  }

  #next(): void {
    while (this.#asked.size < ASKED_MOST) {
      const waiting = this.#waiting.shift();
      if (waiting === undefined) return;
      const { request, reject } = waiting;
      if (!this.#ring.put(new TextEncoder().encode(JSON.stringify(request)))) {
        reject(new RequestError("resource-exhausted", "the request is too long"));
        continue;
      }
      const timer = setTimeout(() => this.#giveUp(request.id), PATIENCE_ms);
      this.#asked.set(request.id, { ...waiting, timer });
      this.#signal();
    }
  }

  #giveUp(id: number): void {
    this.#forget(id)?.reject(new RequestError("unavailable", "the guest network does not answer"));
    this.#next();
  }
}

function ended(): RequestError {
  return new RequestError("unavailable", "the guest network has ended");
}
