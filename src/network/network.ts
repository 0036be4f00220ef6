/**
 * A guest network inside any JavaScript runtime: the engine with a clock, a link made of calls and
 * an upstream.
 *
 *     card ──receive──▶ link ─▶ ENGINE ─▶ upstream: Node's sockets, a relay, services of this page
 *          ◀──onFrame──      one turn of the program's own loop at a time
 *
 * Theory of operation
 *   The loop is the program's (`src/loop/loop.ts`): the same turns, bounds and rules, fed by an
 *   `EventQueue` in place of epoll. It never waits here. A turn is due when frames came in, when a
 *   socket has news, or when the engine's clock says so; `Host.soon` has it run after whatever else
 *   is waiting, `Host.after` at the engine's next deadline. TURNS of them follow each other at once
 *   at most, so that a page stays alive beside a busy guest.
 *
 *   Whatever is thrown in a turn, by the engine or by code that was called from it, ends the
 *   network: `closed` rejects with it. An engine that has failed is never called again.
 *
 *   Back-pressure: towards the guest `onFrame` says false and `resume` when there is room; from the
 *   guest `receive` says false and `onRoom` tells. A socket that has no room for payload has the
 *   engine close the guest's window; a guest that does not read has the engine ask its sockets
 *   for nothing more. Payload on its way takes `bufferMib` at most.
 */
import { EVENT_READABLE, EVENT_WRITABLE } from "../../wasm/abi.ts";
import { Engine } from "../engine/engine.ts";
import { EngineError } from "../engine/errors.ts";
import { instantiateShipped } from "../engine/module.ts";
import { deferred } from "../lib/deferred.ts";
import { messageOf } from "../lib/message.ts";
import type { LinkMemory } from "../link/link.ts";
import { Loop, linkMemoryOf } from "../loop/loop.ts";
import { EVENT_OF_LINK, EVENT_OF_LISTENER } from "../upstream/upstream.ts";
import { type Errand, Errands } from "./errands.ts";
import { EventQueue } from "./event-queue.ts";
import { FrameLink } from "./frame-link.ts";
import type { Host } from "./host.ts";
import { NetworkLink } from "./network-link.ts";
import { engineConfigOf, type NetworkSettings } from "./settings.ts";
import { SocketOperations } from "./socket-operations.ts";
import type { Upstream } from "./upstream.ts";

/** Turns that follow each other without a break at most. */
const TURNS = 8;
const SEED_SIZE = 32;
/** A sleep of this length means that nothing is due, microseconds (`loop/deadline.ts`). */
const NOTHING_DUE = 60_000_000;

/** What a network is made of. */
export interface NetworkParts {
  readonly module: WebAssembly.Module;
  readonly upstream: Upstream;
  readonly host: Host;
  readonly settings: NetworkSettings;
  /** 32 octets that nobody else knows; absent: of the host's randomness. */
  readonly seed?: Uint8Array | undefined;
}

export class Network {
  /** Where the guest's card is plugged in. */
  readonly link: NetworkLink;
  /** Fulfilled once the network was disposed of, rejected when it has failed. */
  readonly closed: Promise<void>;
  readonly #engine: Engine;
  readonly #memory: LinkMemory;
  readonly #loop: Loop;
  readonly #queue: EventQueue;
  readonly #frames: FrameLink;
  readonly #operations: SocketOperations;
  readonly #errands: Errands;
  readonly #host: Host;
  readonly #end = deferred();
  #isTurning = false;
  #isDue = false;
  #isOver = false;
  /** When the timer rings, and how to have it not do so. */
  #rings = Number.POSITIVE_INFINITY;
  #cancel: (() => void) | undefined;

  /** Throws `EngineError`: MODULE, EXPORTS, ABI, CONFIG, … */
  constructor({ module, upstream, host, settings, seed }: NetworkParts) {
    this.closed = this.#end.promise;
    this.closed.catch(() => {}); // whoever does not ask is not told by a crash
    this.#host = host;
    this.#queue = new EventQueue(() => this.#due());
    this.#frames = new FrameLink(settings.offloads ?? false, {
      onFrames: () => this.#queue.add(0, EVENT_OF_LINK, EVENT_READABLE),
      onRoom: () => this.link.onRoom?.(),
    });
    const { vnetSize, flags: linkFlags, queueFrames: linkQueue } = this.#frames;
    const around = { vnetSize, linkFlags, linkQueue, upstream, seed: seedOf(seed, host) };
    const config = engineConfigOf(settings, around);
    this.#engine = new Engine(instantiateShipped(module));
    this.#engine.start(config);
    this.#memory = linkMemoryOf(this.#engine);
    this.#operations = new SocketOperations(this.#engine, upstream, this.#queue);
    this.#errands = new Errands(this.#engine, this.#operations);
    this.#loop = this.#makeLoop();
    this.link = new NetworkLink(this.#frames, {
      check: () => this.#check(),
      openBatch: () => this.#openBatch(),
      isFree: () => this.#isFree && !this.#frames.hasWaiting,
      onRoom: () => this.#queue.add(0, EVENT_OF_LINK, EVENT_WRITABLE),
    });
  }

  #makeLoop(): Loop {
    const queue = this.#queue;
    return new Loop({
      engine: this.#engine,
      link: this.#frames,
      memory: this.#memory,
      events: queue,
      sources: queue,
      upstream: this.#operations,
      listeners: { accept: (_index, now) => this.#errands.run(now) },
      control: () => true,
      housekeeping: { wait: () => undefined, poll: () => {} },
      clock: () => this.#host.now(),
    });
  }

  /** Octets of struct virtio_net_hdr in front of each frame. */
  get vnetSize(): number {
    return this.#frames.vnetSize;
  }

  /**
   * What a reader finds in the engine: `network.inspect(readStats)`, `network.inspect(readFlows)`.
   * @throws EngineError DISPOSED
   */
  inspect<Found>(read: (engine: Engine) => Found): Found {
    this.#check();
    return read(this.#engine);
  }

  /**
   * Has something done in the next turn, when no operation is under way; for `dial` and its like.
   * @throws EngineError DISPOSED
   */
  send(errand: Errand): void {
    this.#check();
    if (this.#errands.add(errand)) this.#queue.add(0, EVENT_OF_LISTENER, EVENT_READABLE);
  }

  /** Closes everything. Idempotent; every other call throws from then on. */
  dispose(): void {
    this.#finish();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  // -------------------------------------------------------------- turns

  #check(): void {
    if (this.#isOver) throw new EngineError("DISPOSED", "the network was disposed of");
  }

  get #isFree(): boolean {
    return !this.#isOver && !this.#isTurning && !this.#frames.isBusy;
  }

  #openBatch(): ReturnType<FrameLink["openBatch"]> {
    if (!this.#isFree) {
      throw new EngineError("BUSY", "another batch is in work: end it, or wait for a turn");
    }
    for (let turn = 0; turn < TURNS && this.#frames.hasWaiting; turn += 1) this.#turns();
    this.#check();
    if (this.#frames.hasWaiting) {
      throw new EngineError("BUSY", "frames that came before have not been taken yet");
    }
    return this.#frames.openBatch(this.#memory, () => this.#turns());
  }

  /** A turn is due. */
  #due(): void {
    if (this.#isDue || this.#isOver || this.#isTurning) return;
    this.#isDue = true;
    this.#host.soon(() => {
      this.#isDue = false;
      this.#turns();
    });
  }

  #turns(): void {
    if (this.#isOver || this.#isTurning) return;
    this.#isTurning = true;
    let sleep = 0;
    try {
      for (let turn = 0; turn < TURNS && sleep === 0; turn += 1) {
        this.#loop.turn(0);
        sleep = this.#queue.isEmpty ? this.#loop.sleep : 0;
        if (this.#isOver) return; // disposed of by what was called
      }
    } catch (error) {
      this.#finish({ cause: error });
      return;
    } finally {
      this.#isTurning = false;
    }
    if (sleep === 0) this.#due();
    else this.#alarm(sleep);
  }

  /** Has the next turn come in time; one that comes early does no harm, so a timer is kept. */
  #alarm(sleep: number): void {
    if (sleep >= NOTHING_DUE && this.#engine.nextDeadline() === 0) return;
    const at = this.#host.now() + sleep;
    if (this.#rings <= at) return;
    this.#cancel?.();
    this.#rings = at;
    this.#cancel = this.#host.after(sleep, () => {
      this.#rings = Number.POSITIVE_INFINITY;
      this.#cancel = undefined;
      this.#turns();
    });
  }

  /** @param failure what was thrown, where something was; the first counts */
  #finish(failure?: { readonly cause: unknown }): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancel?.();
    this.#frames.close();
    this.#errands.close();
    let thrown = failure;
    try {
      this.#operations.close();
    } catch (cause) {
      thrown ??= { cause };
    }
    if (thrown === undefined) {
      this.#end.resolve();
      return;
    }
    const text = `the network has failed: ${messageOf(thrown.cause)}`;
    this.#end.reject(new EngineError("FAILED", text, thrown));
  }
}

function seedOf(seed: Uint8Array | undefined, host: Host): Uint8Array {
  if (seed === undefined) {
    const fresh = new Uint8Array(SEED_SIZE);
    host.random(fresh);
    return fresh;
  }
  if (seed.length === SEED_SIZE) return seed;
  throw new EngineError("CONFIG", `give a seed of ${SEED_SIZE} octets, not ${seed.length}`);
}
