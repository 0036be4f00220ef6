/**
 * Admission control of the hook server: how many calls, how much memory and time each may have.
 *
 * Theory of operation
 *   Goal: whatever others do with the sockets, virt-launcher is answered. Its calls are small (a
 *   domain and a VMI have some 20 KiB together), use a connection each, and arrive complete. So
 *   complete requests go before incomplete ones, and requests that make progress before stalled
 *   ones.
 *
 *   A call is of a class, by its method:
 *     control  Info, Shutdown, health checks, methods that do not exist; messages of 4 KiB
 *     watch    health watches, which last; messages of 4 KiB
 *     domain   the hooks that bring a domain; messages of 8 MiB
 *   Each class has a limit of its own (64, 16, 64), so that no flood of one starves another. At the
 *   limit a new call evicts the oldest whose request is incomplete, with RESOURCE_EXHAUSTED; when
 *   all are complete, and among watches, the new call is refused.
 *
 *   Memory: a call holds the octets of its request from their arrival until the answer is sent and
 *   the work has ended. Each call has 64 KiB of its own, so no small call ever waits for memory;
 *   more comes from one pool of 12 MiB that all calls of all sockets share. When the pool is
 *   exhausted, a call that made no progress for `STALL_ms` is evicted; without one, the call that
 *   asks is refused. So calls hold at most 12 MiB + 64 * 64 KiB + 80 * 4 KiB = 16.3 MiB.
 *
 *   Time: a request must be complete within `REQUEST_ms` of its start, else the call ends with
 *   DEADLINE_EXCEEDED. The peer must read an answer within `ANSWER_ms`, else its connection is
 *   closed, as the answer is queued there. Work in between has no limit but the caller's deadline:
 *   when the caller goes, a call in the queue is dropped (`define.ts`).
 *
 *   States: reading (the request arrives) → working (it is complete) → answering (it has its
 *   answer, or was refused) → closed. The peer may close a call in any state.
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
const CONTROL_BYTES_MAX = 4096;

const CALL_COUNT_MAX: Readonly<Record<CallClass, number>> = { control: 64, watch: 16, domain: 64 };
const OWN_BYTES = 64 * 1024;
const POOL_BYTES = 12 * 1024 * 1024;
const STALL_ms = 2000;
const REQUEST_ms = 20_000;
const ANSWER_ms = 20_000;

type State = "reading" | "working" | "answering" | "closed";

export class Call {
  readonly kind: CallClass;
  readonly method: string;
  /** The connection it came over. */
  readonly connection: object;
  state: State = "reading";
  /** Time of the last change of state or, while reading, of the last octets. */
  progress_ms: number;
  readonly began_ms: number;
  isAtWork = false;
  octets = 0;
  readonly #calls: Calls;
  #onEnd: (error: ConnectError) => void = () => {};
  #ended: ConnectError | undefined;

  constructor(calls: Calls, asked: CallRequest, now_ms: number) {
    this.kind = asked.kind;
    this.method = asked.method;
    this.connection = asked.connection;
    this.began_ms = now_ms;
    this.progress_ms = now_ms;
    this.#calls = calls;
  }

  get sizeMax(): number {
    return this.kind === "domain" ? MESSAGE_BYTES_MAX : CONTROL_BYTES_MAX;
  }

  /** Accounts for octets that arrived. Throws the refusal when there is no memory for them. */
  take(octets: number): void {
    this.#calls.take(this, octets);
  }

  /** Throws the refusal when a message announces more octets than its class may have. */
  checkSize(octets: number): void {
    if (octets <= this.sizeMax) return;
    this.#calls.pressure.note("messages_refused", { method: this.method, octets });
    const problem = `message of ${octets} octets: wanted at most ${this.sizeMax}`;
    throw new ConnectError(problem, Code.ResourceExhausted);
  }

  /** The request is complete. */
  complete(): void {
    if (this.state === "reading") this.#move("working");
  }

  /** There is an answer or a refusal for the peer to read. */
  answered(): void {
    if (this.state !== "closed") this.#move("answering");
  }

  /** The peer has read the answer, or has gone. */
  close(): void {
    this.#move("closed");
    this.#calls.release(this);
  }

  /** Whether the log limit admits another line about this call. */
  mayLog(): boolean {
    return this.#calls.pressure.mayLog();
  }

  /** Runs the work of the call, whose memory stays accounted for until the work ends. */
  async work<T>(work: () => Promise<T>): Promise<T> {
    this.isAtWork = true;
    try {
      return await work();
    } finally {
      this.isAtWork = false;
      this.#calls.release(this);
    }
  }

  /** Ends a call while its request is read; the reader gets this error. */
  end(error: ConnectError): void {
    if (this.state !== "reading") return;
    this.#move("answering");
    this.#ended = error;
    this.#onEnd(error);
  }

  /** Calls back when the call is ended; at once when it has been already. */
  whenEnded(onEnd: (error: ConnectError) => void): void {
    this.#onEnd = onEnd;
    if (this.#ended !== undefined) onEnd(this.#ended);
  }

  #move(state: State): void {
    this.state = state;
    this.progress_ms = this.#calls.now();
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
  /** How to close each connection. */
  readonly #closers = new WeakMap<object, () => void>();

  constructor(pressure: Pressure, now: () => number) {
    this.pressure = pressure;
    this.now = now;
  }

  /** Registers how to close a connection whose peer does not read its answer. */
  addConnection(connection: object, close: () => void): void {
    this.#closers.set(connection, close);
  }

  /** Octets that all calls hold. */
  get octets(): number {
    let sum = 0;
    for (const { octets } of this.#open) sum += octets;
    return sum;
  }

  /** Admits a new call; a refused one is returned ended. */
  open(asked: CallRequest): Call {
    const call = new Call(this, asked, this.now());
    const others = [...this.#open].filter(({ kind }) => kind === call.kind);
    this.#open.add(call);
    // Refused calls hold nothing while their peer has yet to read the refusal.
    const placed = others.filter(({ state, isAtWork }) => state !== "answering" || isAtWork);
    if (placed.length < CALL_COUNT_MAX[call.kind]) return call;
    const oldest =
      call.kind === "watch" ? undefined : placed.find(({ state }) => state === "reading");
    this.#end(
      oldest ?? call,
      oldest === undefined ? "calls_refused" : "calls_evicted",
      "too many calls at once",
    );
    return call;
  }

  /** Whether a call of this connection is at work, or was answered within `STALL_ms`. */
  isServing(connection: object): boolean {
    for (const call of this.#open) {
      if (call.connection !== connection) continue;
      const isNew = this.now() - call.progress_ms < STALL_ms;
      if (call.state === "working" || (call.state === "answering" && isNew)) return true;
    }
    return false;
  }

  take(call: Call, octets: number): void {
    if (call.state !== "reading") throw new ConnectError("call has ended", Code.Aborted);
    const shared = (total: number): number => Math.max(total - OWN_BYTES, 0);
    const more = shared(call.octets + octets) - shared(call.octets);
    while (this.#pooled + more > POOL_BYTES) {
      const stalled = this.#findStalled(call);
      if (stalled === undefined) {
        this.pressure.note("memory_refused", { method: call.method });
        const problem = `no memory for more than ${call.octets} octets: too many calls at once`;
        throw new ConnectError(problem, Code.ResourceExhausted);
      }
      this.#end(stalled, "calls_evicted", "call is stalled while others need the memory");
    }
    this.#pooled += more;
    call.octets += octets;
    call.progress_ms = this.now();
  }

  /** Frees the memory of a call that is closed and no longer at work. */
  release(call: Call): void {
    if (call.state !== "closed" || call.isAtWork) return;
    if (this.#open.delete(call)) this.#giveBack(call);
  }

  /** Enforces the time limits. To be called about every second. */
  sweep(): void {
    const now_ms = this.now();
    for (const call of [...this.#open]) {
      const { method, state } = call;
      if (state === "reading" && now_ms - call.began_ms >= REQUEST_ms) {
        this.#end(
          call,
          "requests_timed_out",
          `request is not complete after ${REQUEST_ms / 1000} s`,
        );
      } else if (state === "answering" && now_ms - call.progress_ms >= ANSWER_ms) {
        this.pressure.note("answers_timed_out", { method });
        this.#closers.get(call.connection)?.();
      }
    }
  }

  /** Another call that holds memory of the pool and made no progress for `STALL_ms`. */
  #findStalled(asking: Call): Call | undefined {
    const now_ms = this.now();
    return [...this.#open].find(
      (each) =>
        each !== asking &&
        each.state === "reading" &&
        each.octets > OWN_BYTES &&
        now_ms - each.progress_ms >= STALL_ms,
    );
  }

  #end(call: Call, shortage: Shortage, problem: string): void {
    const { method, octets } = call;
    this.pressure.note(shortage, { method, octets });
    const code = shortage === "requests_timed_out" ? Code.DeadlineExceeded : Code.ResourceExhausted;
    call.end(new ConnectError(problem, code));
    this.#giveBack(call);
  }

  #giveBack(call: Call): void {
    this.#pooled -= Math.max(call.octets - OWN_BYTES, 0);
    call.octets = 0;
  }
}
