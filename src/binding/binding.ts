/**
 * One guest network: start, ask, stop.
 *
 * `startBinding` opens the link's outer end on the main thread (the tap, in the guest's namespace,
 * or the socket that QEMU is to connect to) and starts a worker that owns everything else. The
 * promise `ended` settles once: resolved after `stop` and when what is served has ended (see
 * `sys/lifeline.ts`), rejected when the worker fails or the link goes away (`LinkGoneError`). A
 * link with a socket does not go away: `onPeers` tells that QEMU has come or gone. An engine that
 * fails is replaced by the worker, and only counted here (`Mailbox.failures`).
 */

import { workerUrl } from "../assets.ts";
import type { BindingOptions } from "../config/attach.ts";
import type { StreamEndpoint } from "../config/endpoint.ts";
import { ByteRing } from "../lib/byte-ring.ts";
import { deferred } from "../lib/deferred.ts";
import type { LevelledLogger } from "../lib/log.ts";
import type { PeerCounters } from "../link/stream-peer.ts";
import { EventFd } from "../sys/fd.ts";
import { type Libc, loadLibc } from "../sys/libc.ts";
import { closeLifelines, type Lifeline, watchNamespace, watchOtherEnd } from "../sys/lifeline.ts";
import type { MemoryGroup } from "../sys/memory-group.ts";
import {
  collectGarbage,
  forgetOctets,
  releaseProgramPages,
  releaseProgramPagesLater,
} from "../sys/resident.ts";
import { Answers } from "./answers.ts";
import { Captures } from "./captures.ts";
import type { NetworkEvent } from "./events.ts";
import { COMMAND_STATS, COMMAND_STOP, MAILBOX_SIZE, Mailbox } from "./mailbox.ts";
import { METERS_SIZE, Meters } from "./meters.ts";
import { hiddenPorts, type OuterEnd, openOuterEnd } from "./outer-end.ts";
import { Outputs } from "./outputs.ts";
import { Asking, REQUESTS_SIZE, type RequestKind, type Requests } from "./requests.ts";
import type { ResolvReader } from "./resolv-reader.ts";
import type { WorkerMessage, WorkerStart } from "./worker-messages.ts";

/** The link has been taken away, as a tap that somebody deletes. */
export class LinkGoneError extends Error {}

export interface Binding {
  /** Where a link with a socket is, with the port that port 0 became; undefined for a tap. */
  readonly endpoint: StreamEndpoint | undefined;
  /** Settles when frames flow, or will as soon as there is a peer. */
  readonly ready: Promise<void>;
  /** Settles when it is all over. */
  readonly ended: Promise<void>;
  /** Counters, as the worker last published them; `refresh` asks for newer ones. */
  readonly counters: Mailbox;
  /** What the worker measures; undefined where nobody was to watch. */
  readonly meters: Meters | undefined;
  /** Resolves to whether there are new counters: false where the worker does not answer. */
  refresh(): Promise<boolean>;
  /** Captures besides that of `--pcap`. */
  readonly captures: Captures;
  /** Asks the worker for something. Rejects with a `RequestError`. */
  ask<K extends RequestKind>(kind: K, asks: Requests[K]["asks"]): Promise<Requests[K]["gives"]>;
  /**
   * Ends it: sockets closed, tap or socket file gone. Idempotent. A worker that does not end within
   * END_LIMIT_ms is left behind, and `ended` rejects.
   */
  stop(): void;
}

/** What a binding needs of the program it is in. */
export interface BindingDependencies {
  /** 32 octets nobody can guess: sequence numbers, hash keys and identifiers come from it. */
  readonly seed: readonly number[];
  /** Path of the running executable. */
  readonly program: string;
  /** Command that runs the tap helper in another user namespace. */
  readonly helper: readonly string[];
  /** Guest networks that share memory and descriptors of this process; absent = this one alone. */
  readonly networks?: number;
  /** Of `holdMemoryGroup`, from before rights were given up; undefined = memory has no limit. */
  readonly memoryGroup: MemoryGroup | undefined;
  /** Reads resolv.conf once we may not. */
  readonly resolvReader?: ResolvReader;
  /** User whose program this is, so whose QEMU may be a stream link's peer. */
  readonly uid: number;
  /**
   * Hears how the peers of a stream link are, after a change: the newest state, not every one there
   * was. The worker logs them itself.
   */
  readonly onPeers?: (peers: PeerCounters) => void;
  /** Hears what becomes of capture and recording; its level holds for the worker's lines. */
  readonly log?: LevelledLogger;
  /** Hears what happens to the network. */
  readonly onEvent?: (event: NetworkEvent) => void;
  /** Somebody watches: the worker measures times and counts flows. */
  readonly isWatched?: boolean;
}

/**
 * How long a worker may take to end. It could be stuck for good: a front end of vhost-user can make
 * the write to its own event descriptor wait, and a disk that a recording goes to can stall.
 */
const END_LIMIT_ms = 10_000;

/** What tells that whom it serves, or who wants it, is there no longer. */
function openLifelines(sys: Libc, { link, exitFd }: BindingOptions): Lifeline[] {
  const asked = exitFd === undefined ? [] : [watchOtherEnd(exitFd)];
  if (link.kind !== "tap" || link.netns === undefined) return asked;
  return [...asked, ...watchNamespace(sys, link.netns)];
}

/**
 * Starts a guest network. A stream link that listens can be connected to once this resolves; what
 * comes before `ready` waits.
 * @throws SystemError when the tap or the socket cannot be had
 */
export async function startBinding(
  options: BindingOptions,
  dependencies: BindingDependencies,
): Promise<Binding> {
  const worker = new Worker(workerUrl(), { type: "module" });
  let control: EventFd | undefined;
  let outputs: Outputs | undefined;
  let lifelines: readonly Lifeline[] = [];
  const sys = await loadLibc();
  try {
    control = new EventFd(sys);
    outputs = new Outputs(options, dependencies.log);
    lifelines = openLifelines(sys, options);
    const outer = await openOuterEnd(sys, options, dependencies);
    const parts = { sys, worker, control, outputs, outer, lifelines, options, dependencies };
    return new WorkerBinding(parts);
  } catch (error) {
    worker.terminate();
    control?.close();
    outputs?.abandon();
    closeLifelines(sys, lifelines);
    throw error;
  }
}

interface Parts {
  readonly sys: Libc;
  readonly worker: Worker;
  readonly control: EventFd;
  readonly outputs: Outputs;
  readonly outer: OuterEnd;
  readonly lifelines: readonly Lifeline[];
  readonly options: BindingOptions;
  readonly dependencies: BindingDependencies;
}

/** What is done when the peers of a stream link have changed. */
function peerLook(
  sys: Libc,
  counters: Mailbox,
  { onPeers, program }: BindingDependencies,
): () => void {
  let crowds = 0;
  return () => {
    const peers = counters.heed();
    onPeers?.(peers);
    // Whatever was to be prepared for the guest, the hooks' work too, is over soon. It will not be
    // quiet while a crowd is at the door; but that begins once in ten seconds at most.
    if (peers.peerCrowds !== crowds) releaseProgramPages(sys, program);
    else releaseProgramPagesLater(sys, program);
    crowds = peers.peerCrowds;
  };
}

/** What the worker is told to start with. */
function startOf(
  parts: Parts,
  shared: Pick<WorkerStart, "mailbox" | "meters" | "requests" | "captures">,
): WorkerStart {
  const { control, outputs, outer, lifelines, options, dependencies } = parts;
  const { seed, uid, networks = 1, memoryGroup, resolvReader } = dependencies;
  return {
    options,
    link: outer.link,
    endpoint: outer.endpoint,
    seed,
    uid,
    ...shared,
    hiddenPorts: hiddenPorts.memory,
    controlFd: control.number,
    outputs: outputs.shared,
    room: { networks, memoryGroup },
    resolv: resolvReader?.memory,
    lifelines,
  };
}

/** A guest network and its worker, until that has said its last word. */
class WorkerBinding implements Binding {
  readonly endpoint: StreamEndpoint | undefined;
  readonly counters: Mailbox;
  readonly meters: Meters | undefined;
  readonly captures: Captures;
  readonly #parts: Parts;
  readonly #answers = new Answers();
  readonly #asking: Asking;
  readonly #ready = deferred();
  readonly #ended = deferred();
  readonly #lookAtPeers: () => void;
  /** Forgets what the reader of resolv.conf tells. */
  readonly #unsubscribe: (() => void) | undefined;
  #endLimit: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  constructor(parts: Parts) {
    const { sys, worker, control, outer, options, dependencies } = parts;
    this.#parts = parts;
    this.endpoint = outer.endpoint;
    const mailbox = new SharedArrayBuffer(MAILBOX_SIZE);
    this.counters = new Mailbox(mailbox);
    const meters = dependencies.isWatched ? new SharedArrayBuffer(METERS_SIZE) : undefined;
    this.meters = meters && new Meters(meters);
    this.#lookAtPeers = peerLook(sys, this.counters, dependencies);
    this.#unsubscribe = dependencies.resolvReader?.subscribe(() => {
      if (control.isOpen) control.signal();
    });
    this.#ready.promise.catch(() => {}); // whoever waits for `ended` hears of it there
    worker.onmessage = (event: MessageEvent<WorkerMessage>) => {
      if (!this.#isOver) this.#take(event.data);
    };
    worker.onerror = (event: ErrorEvent) =>
      this.#fail(new Error(`The worker failed: ${event.message}`));
    const requests = ByteRing.create(REQUESTS_SIZE);
    this.#asking = new Asking(requests, () => control.signal());
    this.captures = new Captures({
      interfaceName: options.link.kind === "tap" ? options.link.name : "guest",
      ask: (kind, asks) => this.ask(kind, asks),
      forget: (octets) => forgetOctets(sys, octets),
      log: dependencies.log,
      onEvent: dependencies.onEvent,
    });
    const captures = this.captures.shared;
    worker.postMessage(startOf(parts, { mailbox, meters, requests: requests.buffer, captures }));
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  refresh(): Promise<boolean> {
    if (!this.#parts.control.isOpen) return Promise.resolve(false);
    const answer = this.#answers.wait();
    this.#command(COMMAND_STATS);
    return answer;
  }

  ask<K extends RequestKind>(kind: K, asks: Requests[K]["asks"]): Promise<Requests[K]["gives"]> {
    return this.#asking.ask(kind, asks);
  }

  stop(): void {
    this.#command(COMMAND_STOP);
    if (this.#isOver) return;
    const error = new Error("The packet thread does not end");
    this.#endLimit ??= setTimeout(() => this.#fail(error), END_LIMIT_ms);
  }

  #command(number: number): void {
    const { control } = this.#parts;
    if (!control.isOpen) return; // its number may be somebody else's by now
    this.counters.put(number);
    control.signal();
  }

  #take(message: WorkerMessage): void {
    const { sys, outputs, dependencies } = this.#parts;
    const { program, resolvReader } = dependencies;
    switch (message.kind) {
      case "ready":
        this.#ready.resolve();
        break;
      case "peers":
        this.#lookAtPeers();
        return;
      case "rest":
        collectGarbage();
        break;
      case "counters":
        this.#answers.came();
        return;
      case "reply":
        this.#asking.take(message.reply);
        return;
      case "event":
        dependencies.onEvent?.(message.event);
        return;
      case "output":
        outputs.kick();
        this.captures.kick();
        return;
      case "capture-ended":
        this.captures.hasEnded(message.slot);
        return;
      case "resolv":
        resolvReader?.ask();
        return;
      case "stopped":
        this.#close().then(() => this.#ended.resolve());
        return;
      case "failed":
        this.#fail(new (message.isLinkGone ? LinkGoneError : Error)(message.message));
        return;
    }
    releaseProgramPages(sys, program);
    releaseProgramPagesLater(sys, program); // what follows, too: rights are still to be given up
  }

  async #fail(error: Error): Promise<void> {
    if (this.#isOver) return;
    await this.#close();
    this.#ready.reject(error);
    this.#ended.reject(error);
  }

  /** The worker has said its last word, so it no longer looks at the control descriptor. */
  async #close(): Promise<void> {
    this.#isOver = true;
    clearTimeout(this.#endLimit);
    const { sys, worker, control, outer, lifelines, outputs } = this.#parts;
    worker.terminate();
    this.#answers.end();
    this.#asking.end();
    this.#unsubscribe?.();
    control.close();
    outer.close();
    closeLifelines(sys, lifelines);
    await Promise.all([outputs.close(), this.captures.close()]);
  }
}
