/**
 * Who may hold how much of the hook server: the shares of its calls.
 *
 * Theory of operation
 *   Goal: whatever others do with the sockets, virt-launcher is answered. Its calls are small (a
 *   domain and a VMI have some 20 KiB together), come over a connection each, and are complete at
 *   once. So whoever is complete goes before whoever is not, and whoever goes on before who stands.
 *
 *   A call is of a class, by its method:
 *     control  Info, Shutdown, health checks, methods that do not exist; messages of 4 KiB
 *     watch    health watches, which last; messages of 4 KiB
 *     domain   the hooks that bring a domain; messages of 8 MiB
 *   Each class has places of its own (64, 16, 64), so that no flood of one takes those of another.
 *   When there is no place for a new call, the oldest whose request is not complete gives way with
 *   RESOURCE_EXHAUSTED; when all are complete, and among watches, the new one is refused.
 *
 *   Octets: a call holds what has come of its request from its arrival until the answer has gone
 *   and nobody works on it any more. 64 KiB are each call's own, so no small call ever waits for
 *   memory; what is beyond that comes out of one pool of 12 MiB for all calls of all sockets. When
 *   the pool is short, a call that has stood still for `STALL_ms` gives way; if there is none, the
 *   call that asks is refused. So the calls hold 12 MiB + 64 * 64 KiB + 80 * 4 KiB = 16.3 MiB.
 *
 *   Time: a request has to be complete `REQUEST_ms` after it began, else it is ended with
 *   DEADLINE_EXCEEDED. An answer has to be taken `ANSWER_ms` after it was given, else its whole
 *   connection is cut, as the answer's octets are queued there. Work in between has no limit but
 *   the caller's: when the caller goes, a call that waits is dropped (`define.ts`).
 *
 *   States: reading (the request comes) → working (it is complete) → answering (it has its answer,
 *   or was refused) → closed. A call in any state may be closed by its peer.
 */
import { Code, ConnectError, createContextKey } from "@connectrpc/connect";
import type { Logger } from "../lib/log.ts";
import { Pressure, type Shortage } from "./pressure.ts";

export type CallClass = "control" | "watch" | "domain";

/**
 * Longest message taken. virt-launcher takes answers of 4 MiB at most, so no domain that is longer
 * can be served, and the API server bounds a VMI to less.
 */
export const MESSAGE_BYTES_MAX = 8 * 1024 * 1024;
/** Longest message of methods that need none. */
export const CONTROL_BYTES_MAX = 4096;

const PLACES: Readonly<Record<CallClass, number>> = { control: 64, watch: 16, domain: 64 };
const OWN_BYTES = 64 * 1024;
const POOL_BYTES = 12 * 1024 * 1024;
const STALL_ms = 2000;
export const REQUEST_ms = 20_000;
export const ANSWER_ms = 20_000;

type State = "reading" | "working" | "answering" | "closed";

export class Call {
  readonly kind: CallClass;
  readonly method: string;
  /** The connection it came over. */
  readonly connection: object;
  state: State = "reading";
  /** When the state began, or when octets came last while reading. */
  moved_ms: number;
  readonly began_ms: number;
  isWorkedOn = false;
  octets = 0;
  readonly #calls: Calls;
  #onEnd: (error: ConnectError) => void = () => {};
  #ended: ConnectError | undefined;

  constructor(calls: Calls, asked: CallRequest, now_ms: number) {
    this.kind = asked.kind;
    this.method = asked.method;
    this.connection = asked.connection;
    this.began_ms = now_ms;
    this.moved_ms = now_ms;
    this.#calls = calls;
  }

  get sizeMax(): number {
    return this.kind === "domain" ? MESSAGE_BYTES_MAX : CONTROL_BYTES_MAX;
  }

  /** Octets of the request have come. Throws the refusal when there is no room for them. */
  take(octets: number): void {
    this.#calls.take(this, octets);
  }

  /** Throws the refusal of a message that says it has this many octets, if that is too many. */
  checkSize(octets: number): void {
    if (octets <= this.sizeMax) return;
    this.#calls.pressure.note("messages_refused", { method: this.method, octets });
    const problem = `message of ${octets} octets: wanted at most ${this.sizeMax}`;
    throw new ConnectError(problem, Code.ResourceExhausted);
  }

  /** The request is here, whole. */
  complete(): void {
    if (this.state === "reading") this.#move("working");
  }

  /** There is an answer, good or bad, for the peer to take. */
  answered(): void {
    if (this.state !== "closed") this.#move("answering");
  }

  /** The peer has the answer, or has gone. */
  close(): void {
    this.#move("closed");
    this.#calls.release(this);
  }

  /** Whether there may be one more line about this call in the log. */
  mayLog(): boolean {
    return this.#calls.pressure.mayLog();
  }

  /** Runs the work behind the call; until it ends, what the call holds is held. */
  async work<T>(work: () => Promise<T>): Promise<T> {
    this.isWorkedOn = true;
    try {
      return await work();
    } finally {
      this.isWorkedOn = false;
      this.#calls.release(this);
    }
  }

  /** Ends a call that is being read: whoever waits for its request gets this error. */
  end(error: ConnectError): void {
    if (this.state !== "reading") return;
    this.#move("answering");
    this.#ended = error;
    this.#onEnd(error);
  }

  /** Calls back when the call is ended, which may have happened already. */
  whenEnded(onEnd: (error: ConnectError) => void): void {
    this.#onEnd = onEnd;
    if (this.#ended !== undefined) onEnd(this.#ended);
  }

  #move(state: State): void {
    this.state = state;
    this.moved_ms = this.#calls.now();
  }
}

/** The call that a handler answers. */
export const CALL = createContextKey<Call | undefined>(undefined);

export interface CallRequest {
  readonly kind: CallClass;
  readonly method: string;
  readonly connection: object;
}

/** What all sockets of a server share. */
export interface Shares {
  readonly calls: Calls;
  readonly pressure: Pressure;
  /** Milliseconds from any point in time. */
  readonly now: () => number;
}

export function createShares(log: Logger, now: () => number): Shares {
  const pressure = new Pressure({ log, now });
  return { calls: new Calls(pressure, now), pressure, now };
}

export class Calls {
  readonly pressure: Pressure;
  readonly now: () => number;
  /** In the order of their arrival; those that are closed but worked on are among them. */
  readonly #open = new Set<Call>();
  /** Octets of the pool in use. */
  #pooled = 0;
  /** What ends a connection, by the connection. */
  readonly #cuts = new WeakMap<object, () => void>();

  constructor(pressure: Pressure, now: () => number) {
    this.pressure = pressure;
    this.now = now;
  }

  /** Tells how a connection is ended when an answer is not taken. */
  addConnection(connection: object, cut: () => void): void {
    this.#cuts.set(connection, cut);
  }

  /** Octets that all calls hold. */
  get octets(): number {
    let sum = 0;
    for (const { octets } of this.#open) sum += octets;
    return sum;
  }

  /** A new call; one without a place is ended already. */
  open(asked: CallRequest): Call {
    const call = new Call(this, asked, this.now());
    const others = [...this.#open].filter(({ kind }) => kind === call.kind);
    this.#open.add(call);
    // Refused ones wait for their peer to take the refusal; they hold nothing.
    const placed = others.filter(({ state, isWorkedOn }) => state !== "answering" || isWorkedOn);
    if (placed.length < PLACES[call.kind]) return call;
    const oldest =
      call.kind === "watch" ? undefined : placed.find(({ state }) => state === "reading");
    this.#end(
      oldest ?? call,
      oldest === undefined ? "calls_refused" : "calls_given_way",
      "too many calls at once",
    );
    return call;
  }

  /** Whether a connection has a call that is worked on, or has just got its answer. */
  isServing(connection: object): boolean {
    for (const call of this.#open) {
      if (call.connection !== connection) continue;
      const isNew = this.now() - call.moved_ms < STALL_ms;
      if (call.state === "working" || (call.state === "answering" && isNew)) return true;
    }
    return false;
  }

  take(call: Call, octets: number): void {
    if (call.state !== "reading") throw new ConnectError("call is over", Code.Aborted);
    const shared = (total: number): number => Math.max(total - OWN_BYTES, 0);
    const more = shared(call.octets + octets) - shared(call.octets);
    while (this.#pooled + more > POOL_BYTES) {
      const standing = this.#standing(call);
      if (standing === undefined) {
        this.pressure.note("octets_refused", { method: call.method });
        const problem = `no room for more than ${call.octets} octets: too many calls at once`;
        throw new ConnectError(problem, Code.ResourceExhausted);
      }
      this.#end(standing, "calls_given_way", "stands still while others need the room");
    }
    this.#pooled += more;
    call.octets += octets;
    call.moved_ms = this.now();
  }

  /** Gives back what a call holds, once nobody needs it any more. */
  release(call: Call): void {
    if (call.state !== "closed" || call.isWorkedOn) return;
    if (this.#open.delete(call)) this.#giveBack(call);
  }

  /** Ends what takes too long. To be called every second or so. */
  sweep(): void {
    const now_ms = this.now();
    for (const call of [...this.#open]) {
      const { method, state } = call;
      if (state === "reading" && now_ms - call.began_ms >= REQUEST_ms) {
        this.#end(call, "requests_late", `request is not complete after ${REQUEST_ms / 1000} s`);
      } else if (state === "answering" && now_ms - call.moved_ms >= ANSWER_ms) {
        this.pressure.note("answers_late", { method });
        this.#cuts.get(call.connection)?.();
      }
    }
  }

  /** A call that holds some of the pool and has not moved for a while. */
  #standing(asking: Call): Call | undefined {
    const now_ms = this.now();
    return [...this.#open].find(
      (each) =>
        each !== asking &&
        each.state === "reading" &&
        each.octets > OWN_BYTES &&
        now_ms - each.moved_ms >= STALL_ms,
    );
  }

  #end(call: Call, shortage: Shortage, problem: string): void {
    const { method, octets } = call;
    this.pressure.note(shortage, { method, octets });
    const code = shortage === "requests_late" ? Code.DeadlineExceeded : Code.ResourceExhausted;
    call.end(new ConnectError(problem, code));
    this.#giveBack(call);
  }

  #giveBack(call: Call): void {
    this.#pooled -= Math.max(call.octets - OWN_BYTES, 0);
    call.octets = 0;
  }
}
