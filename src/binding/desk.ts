/**
 * The worker's side of `requests.ts`: takes requests between two turns of the loop and has them
 * carried out by whoever knows the matter, a clerk for each kind.
 *
 * What a clerk throws as a `RequestError` or a system's error is an answer. Anything else is a
 * failure of the engine: it is told, and then thrown on, as it would be from a turn.
 */
import type { ByteRing } from "../lib/byte-ring.ts";
import { messageOf } from "../lib/message.ts";
import { SystemError } from "../sys/errno.ts";
import {
  type Reply,
  type Request,
  RequestError,
  type RequestKind,
  type Requests,
} from "./requests.ts";

/**
 * A loop that never returns to its runtime gives it no time to collect what answers have left, some
 * 20 KiB each: so that is asked for, once in so many.
 */
const REQUESTS_PER_CLEANING = 512;

/** Carry out requests, by their kinds. */
export type Clerks = {
  readonly [K in RequestKind]: (asks: Requests[K]["asks"]) => Requests[K]["gives"];
};

export class Desk {
  readonly #ring: ByteRing;
  readonly #reply: (reply: Reply) => void;
  readonly #onMany: () => void;
  readonly #decoder = new TextDecoder();
  #count = 0;

  /** @param onMany called after each REQUESTS_PER_CLEANING answers */
  constructor(ring: ByteRing, reply: (reply: Reply) => void, onMany: () => void = () => {}) {
    this.#ring = ring;
    this.#reply = reply;
    this.#onMany = onMany;
  }

  /** Carries out what has come, which `ASKED_MOST` and the ring's size bound. */
  serve(clerks: Clerks): void {
    for (let text = this.#next(); text !== undefined; text = this.#next()) {
      // The main thread's own text: it has the form.
      const request = JSON.parse(text) as Request;
      this.#carryOut(request, clerks);
      this.answered();
    }
  }

  /** Something has been answered, here or by the mailbox. */
  answered(): void {
    this.#count += 1;
    if (this.#count % REQUESTS_PER_CLEANING === 0) this.#onMany();
  }

  #carryOut<K extends RequestKind>({ id, kind, asks }: Request<K>, clerks: Clerks): void {
    try {
      this.#reply({ id, gives: clerks[kind](asks) });
    } catch (error) {
      const problem = messageOf(error);
      if (error instanceof RequestError) {
        this.#reply({ id, code: error.code, problem });
      } else if (error instanceof SystemError) {
        this.#reply({ id, code: "failed-precondition", problem });
      } else {
        this.#reply({ id, code: "internal", problem });
        throw error;
      }
    }
  }

  /** The next batch, whole; it may lie in two pieces. */
  #next(): string | undefined {
    const ring = this.#ring;
    const first = ring.next();
    if (first.length === 0) return undefined;
    let text = this.#decoder.decode(first.slice(), { stream: true });
    ring.take(first.length);
    if (!ring.isBetween) {
      const rest = ring.next();
      text += this.#decoder.decode(rest.slice(), { stream: true });
      ring.take(rest.length);
    }
    return text + this.#decoder.decode();
  }
}
