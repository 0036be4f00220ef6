/**
 * What the main thread and a worker share: a few words of memory and an eventfd that the worker's
 * epoll watches. A worker that waits in the kernel gets no messages, so commands go this way.
 *
 *     0 command | 1 answered command number | 2 flows | 3 chunks | 4..7 the link's peers
 *     8.. counters, two words each
 */
import { DROP_COUNT, DROP_LINK, STAT_COUNT } from "../../wasm/abi.ts";
import type { Engine } from "../engine/engine.ts";
import type { Link } from "../link/link.ts";
import type { StreamLink } from "../link/stream.ts";

const COMMAND_NONE = 0;
export const COMMAND_STOP = 1;
export const COMMAND_STATS = 2;

const COMMAND = 0;
const ANSWERED = 1;
const FLOWS = 2;
const CHUNKS = 3;
const CONNECTIONS = 4;
const PEERS_REFUSED = 5;
const BAD_PEERS = 6;
const HAS_PEER = 7;
const COUNTERS = 8;
const DROPPED_BY_LINK = COUNTERS + (STAT_COUNT + DROP_LINK) * 2;
const COUNTER_WORDS = (STAT_COUNT + DROP_COUNT) * 2;

/** What a stream link counts; a link of another kind has no peers. */
export type PeerCounters = Pick<
  StreamLink,
  "hasPeer" | "connections" | "peersRefused" | "badPeers"
>;

/** Octets of the shared buffer. */
export const MAILBOX_SIZE = (COUNTERS + COUNTER_WORDS) * 4;

export class Mailbox {
  readonly #words: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer);
  }

  /**
   * Main thread: leaves a command; the caller then signals the eventfd. To stop takes the place of
   * what was asked before and answers it too; nothing takes the place of that.
   */
  put(command: number): void {
    if (command === COMMAND_STOP) Atomics.store(this.#words, COMMAND, command);
    else Atomics.compareExchange(this.#words, COMMAND, COMMAND_NONE, command);
  }

  /** Worker: takes the command. */
  take(): number {
    return Atomics.exchange(this.#words, COMMAND, COMMAND_NONE);
  }

  /** Worker: copies counters for whoever asked. */
  publish(engine: Engine, link: Pick<Link, "refused">, peers?: PeerCounters): void {
    const from = engine.bases.stats >> 2;
    this.#words.set(engine.integers.subarray(from, from + COUNTER_WORDS), COUNTERS);
    this.#words[DROPPED_BY_LINK] = link.refused; // frames that the engine saw go
    this.#words[DROPPED_BY_LINK + 1] = Math.floor(link.refused / 2 ** 32);
    this.#words[CONNECTIONS] = peers?.connections ?? 0;
    this.#words[PEERS_REFUSED] = peers?.peersRefused ?? 0;
    this.#words[BAD_PEERS] = peers?.badPeers ?? 0;
    this.#words[HAS_PEER] = peers?.hasPeer === true ? 1 : 0;
    this.#words[FLOWS] = engine.flowCount;
    this.#words[CHUNKS] = engine.chunkCount;
    Atomics.add(this.#words, ANSWERED, 1);
  }

  /** How often counters were published. */
  get answered(): number {
    return Atomics.load(this.#words, ANSWERED);
  }

  /** Main thread: counter `index` (STAT_*, or STAT_COUNT + DROP_*) as last published. */
  counter(index: number): number {
    const at = COUNTERS + index * 2;
    return ((this.#words[at] ?? 0) >>> 0) + ((this.#words[at + 1] ?? 0) >>> 0) * 2 ** 32;
  }

  /** A stream link's peers, as last published. */
  get peers(): PeerCounters {
    return {
      hasPeer: this.#words[HAS_PEER] === 1,
      connections: this.#words[CONNECTIONS] ?? 0,
      peersRefused: this.#words[PEERS_REFUSED] ?? 0,
      badPeers: this.#words[BAD_PEERS] ?? 0,
    };
  }

  get flows(): number {
    return this.#words[FLOWS] ?? 0;
  }

  get chunks(): number {
    return this.#words[CHUNKS] ?? 0;
  }
}
