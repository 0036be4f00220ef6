/**
 * What the main thread and a worker share: a few words of memory and an eventfd that the worker's
 * epoll watches. A worker that waits in the kernel gets no messages, so commands go this way.
 *
 *     0 command | 1 answered command number | 2 flows | 3 chunks | 4 failures of engines
 *     5 notice | 6..14 the link's peers | 15.. counters, two words each
 *
 * The way back is a level and not a queue: the worker writes how things are, and sends one message
 * that says no more than "look". Until the main thread has looked, no other is sent, so however
 * quickly peers come and go, one message waits at most, and what it finds is the newest state.
 */
import { DROP_COUNT, DROP_LINK, STAT_COUNT } from "../../wasm/abi.ts";
import type { HostEngine } from "../engine/host-engine.ts";
import type { Link } from "../link/link.ts";
import type { PeerCounters } from "../link/stream-peer.ts";

const COMMAND_NONE = 0;
export const COMMAND_STOP = 1;
export const COMMAND_STATS = 2;

const COMMAND = 0;
const ANSWERED = 1;
const FLOWS = 2;
const CHUNKS = 3;
const FAILURES = 4;
/** 1 = the main thread was told to look and has not yet. */
const NOTICE = 5;
const HAS_PEER = 6;
/** What is counted of peers, in the order of the words. */
const PEERS = 7;
const PEER_COUNTERS = [
  "connections",
  "peersRefused",
  "peersForeign",
  "peersFleeting",
  "peerCrowds",
  "silentPeers",
  "badPeers",
  "brokenQueues",
] as const;
const COUNTERS = PEERS + PEER_COUNTERS.length;
const DROPPED_BY_LINK = COUNTERS + (STAT_COUNT + DROP_LINK) * 2;
const COUNTER_WORDS = (STAT_COUNT + DROP_COUNT) * 2;

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

  /** Worker: whether it is told to stop; the command stays. */
  get mustStop(): boolean {
    return Atomics.load(this.#words, COMMAND) === COMMAND_STOP;
  }

  /** Worker: an engine has failed. */
  noteFailure(): void {
    Atomics.add(this.#words, FAILURES, 1);
  }

  /** Engines that have failed. Counters begin anew with each, but for those of the link. */
  get failures(): number {
    return Atomics.load(this.#words, FAILURES);
  }

  /** Worker: how the peers are now. True = the main thread is to be told to look. */
  announce(peers: PeerCounters): boolean {
    this.#writePeers(peers);
    return Atomics.exchange(this.#words, NOTICE, 1) === 0;
  }

  /** Main thread: how the peers are; what changes from now on is announced again. */
  heed(): PeerCounters {
    Atomics.store(this.#words, NOTICE, 0); // first, so that nothing is missed
    return this.peers;
  }

  /** Worker: copies counters for whoever asked. A tap has no peers. */
  publish(engine: HostEngine, link: Pick<Link, "refused">, peers?: PeerCounters): void {
    const from = engine.bases.stats >> 2;
    this.#words.set(engine.integers.subarray(from, from + COUNTER_WORDS), COUNTERS);
    this.#words[DROPPED_BY_LINK] = link.refused; // frames that the engine saw go
    this.#words[DROPPED_BY_LINK + 1] = Math.floor(link.refused / 2 ** 32);
    if (peers !== undefined) this.#writePeers(peers);
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

  /** The link's peers, as last announced or published. */
  get peers(): PeerCounters {
    const count = (name: (typeof PEER_COUNTERS)[number]): number =>
      Atomics.load(this.#words, PEERS + PEER_COUNTERS.indexOf(name)) >>> 0;
    return {
      hasPeer: Atomics.load(this.#words, HAS_PEER) === 1,
      connections: count("connections"),
      peersRefused: count("peersRefused"),
      peersForeign: count("peersForeign"),
      peersFleeting: count("peersFleeting"),
      peerCrowds: count("peerCrowds"),
      silentPeers: count("silentPeers"),
      badPeers: count("badPeers"),
      brokenQueues: count("brokenQueues"),
    };
  }

  #writePeers(peers: PeerCounters): void {
    PEER_COUNTERS.forEach((name, i) => {
      Atomics.store(this.#words, PEERS + i, peers[name]);
    });
    Atomics.store(this.#words, HAS_PEER, peers.hasPeer ? 1 : 0);
  }

  get flows(): number {
    return this.#words[FLOWS] ?? 0;
  }

  get chunks(): number {
    return this.#words[CHUNKS] ?? 0;
  }
}
