/**
 * The guest networks of one sidecar, by the names of their interfaces.
 *
 * Theory of operation
 *   `prepare` says what is wanted, whole, and returns when every link that is to listen does so. It
 *   is called several times for one start of a machine, as a rule with equal options: a network
 *   that is as it should be is left alone, connections and all. One whose options have changed is
 *   ended and started anew, one that is no longer wanted is ended.
 *
 *   While a guest is attached to any of them, nobody takes its network away and nobody opens
 *   ports: what is wanted must be what runs. A call that wants another link, subnet, MTU or other
 *   ports, or one network more or less, is refused whole, and nothing changes. What a guest is
 *   merely told (names, DHCP options, versions of IP) may differ, as the pod it comes from may have
 *   changed: then all stays as it is, and the log says so.
 *
 *   An engine that fails is the worker's to replace (`worker.ts`), and nobody hears of it here. A
 *   network that ends by a failure, because the next engines failed as well or the thread did, is
 *   started again as a whole, after a pause that doubles from RESTARTS.first_ms to RESTARTS.max_ms
 *   and is short again once one has run for as long. QEMU comes back where its link reconnects.
 *   The others do not notice: each has a worker, memory and sockets of its own.
 *
 *   Ports that were published or removed while a network ran (`PortChanges`) are so again when it
 *   is started again after a failure, as far as they can be had. They are no part of the options
 *   that `prepare` compares: equal options leave them, other ones are a new network, without them.
 *
 *   A guest is attached while a peer holds its link; `idle` waits until no link has one.
 */

import type { BindingOptions } from "../config/attach.ts";
import { formatEndpoint } from "../config/endpoint.ts";
import { type Deferred, deferred } from "../lib/deferred.ts";
import type { Logger } from "../lib/log.ts";
import { messageOf } from "../lib/message.ts";
import type { PeerCounters } from "../link/stream-peer.ts";
import type { Binding } from "./binding.ts";
import { PortChanges } from "./port-changes.ts";
import { Restarts } from "./restarts.ts";

const RESTARTS = { first_ms: 100, min_ms: 200, max_ms: 10_000 };

/** One network that is wanted. */
export interface Network {
  /** Name of the interface; unique. */
  readonly name: string;
  readonly options: BindingOptions;
}

/** One that runs. */
export interface RunningNetwork extends Network {
  readonly binding: Binding;
  /** Keeps what becomes of its ports; absent: it never begins again. */
  readonly ports?: PortChanges;
}

/** Starts a network; `onPeers` hears how its link's peers are after a change. */
export type StartNetwork = (
  network: Network,
  onPeers: (peers: Pick<PeerCounters, "hasPeer">) => void,
) => Promise<Binding>;

/** What the networks are made with. */
export interface NetworksParts {
  readonly start: StartNetwork;
  readonly log: Logger;
  /** Milliseconds from any point in time. */
  readonly clock: () => number;
  /** Calls `run` once after so many milliseconds, until the answer is called. */
  readonly after: (pause_ms: number, run: () => void) => () => void;
}

/** One network, from the first start to the end of the last. */
interface Running {
  /** Options as text, to be compared. */
  readonly key: string;
  readonly network: Network;
  readonly ports: PortChanges;
  binding: Binding;
  hasPeer: boolean;
  isStopping: boolean;
  readonly restarts: Restarts;
  began_ms: number;
  /** Gives up a restart that is to come; undefined while there is none. */
  cancel: (() => void) | undefined;
  /** Settles when it has ended for good. */
  readonly over: Deferred<void>;
}

/** Why a call is refused that would change or take away what a guest is attached to. */
function attachedRefusal(iface: string, what: string, attached: readonly string[]): string {
  const guests = attached.map((name) => `"${name}"`).join(", ");
  return `iface "${iface}" cannot be ${what} while a guest is attached to ${guests}`;
}

export class Networks {
  readonly #parts: NetworksParts;
  readonly #running = new Map<string, Running>();
  #waiting: (() => void)[] = [];

  constructor(parts: NetworksParts) {
    this.#parts = parts;
  }

  /** Interfaces that have a guest at the other end of their link. */
  get attached(): readonly string[] {
    return [...this.#running.values()]
      .filter((each) => each.hasPeer)
      .map((each) => each.network.name);
  }

  /**
   * Has exactly these networks. Must not be called again before it has settled.
   * @throws whatever the start of one throws; the others are as they should be then
   */
  async prepare(wanted: readonly Network[]): Promise<void> {
    if (this.attached.length > 0) return this.#keepAll(wanted);
    const names = new Set(wanted.map(({ name }) => name));
    const unwanted = [...this.#running.keys()].filter((name) => !names.has(name));
    await Promise.all(unwanted.map(this.#end));
    for (const iface of unwanted) {
      this.#parts.log.info({ event: "network_ended", iface }, "guest network ended");
    }
    for (const network of wanted) {
      const key = JSON.stringify(network.options);
      const present = this.#running.get(network.name);
      if (present?.key === key) continue;
      if (present !== undefined) {
        this.#parts.log.warn({ iface: network.name }, "settings have changed, restarting");
        await this.#end(network.name);
      }
      await this.#begin(network, key);
    }
  }

  /** For the time that a guest is attached. */
  #keepAll(wanted: readonly Network[]): void {
    const names = new Set(wanted.map(({ name }) => name));
    const gone = [...this.#running.keys()].find((name) => !names.has(name));
    const changed = wanted.find(({ name, options }) => {
      const running = this.#running.get(name)?.network.options;
      return running === undefined || firmPart(running) !== firmPart(options);
    });
    const iface = gone ?? changed?.name;
    if (iface !== undefined) {
      const what = gone === undefined ? "changed" : "taken away";
      throw new Error(attachedRefusal(iface, what, this.attached));
    }
    for (const { name, options } of wanted) {
      if (this.#running.get(name)?.key === JSON.stringify(options)) continue;
      this.#parts.log.warn(
        { iface: name },
        "settings have changed, kept while a guest is attached",
      );
    }
  }

  /** Resolves as soon as no link has a peer, which may be at once. */
  async idle(): Promise<void> {
    while (this.attached.length > 0) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Those that run. */
  get all(): readonly RunningNetwork[] {
    return [...this.#running.values()].map(({ network, binding, ports }) => {
      return { ...network, binding, ports };
    });
  }

  /** Ends all of them. May be called again. */
  async close(): Promise<void> {
    await Promise.all([...this.#running.keys()].map(this.#end));
  }

  async #begin(network: Network, key: string): Promise<void> {
    const running: Partial<Running> & Pick<Running, "hasPeer"> = { hasPeer: false };
    const binding = await this.#start(network, running).catch((error: unknown) => {
      throw named(network.name, error);
    });
    const whole: Running = Object.assign(running, {
      key,
      network,
      ports: new PortChanges(network.options.publish.rules),
      binding,
      isStopping: false,
      restarts: new Restarts(RESTARTS),
      began_ms: this.#parts.clock(),
      cancel: undefined,
      over: deferred(),
    });
    this.#running.set(network.name, whole);
    this.#follow(whole);
    try {
      await binding.ready;
    } catch (error) {
      await this.#end(network.name); // it would fail again
      throw named(network.name, error);
    }
    const { endpoint } = binding;
    const link = endpoint === undefined ? {} : { link: formatEndpoint(endpoint) };
    const fields = { event: "network_started", iface: network.name, ...link };
    this.#parts.log.info(fields, "guest network ready");
  }

  async #start(network: Network, running: Pick<Running, "hasPeer">): Promise<Binding> {
    return this.#parts.start(network, ({ hasPeer }) => {
      const hadPeer = running.hasPeer;
      running.hasPeer = hasPeer;
      if (hadPeer && !hasPeer) this.#wake();
    });
  }

  #follow(running: Running): void {
    const { log } = this.#parts;
    const iface = running.network.name;
    running.binding.ended.then(
      () => running.over.resolve(),
      (error: unknown) => {
        running.hasPeer = false;
        this.#wake();
        if (running.isStopping) return running.over.resolve();
        const ran_ms = this.#parts.clock() - running.began_ms;
        const restart_ms = this.#restartLater(running, ran_ms > RESTARTS.max_ms);
        const problem = messageOf(error);
        const fields = { event: "network_failed", iface, problem, restart_ms };
        log.error(fields, "guest network failed");
      },
    );
  }

  /** Returns after how many milliseconds. */
  #restartLater(running: Running, wasOfUse: boolean): number {
    const pause_ms = running.restarts.failed(wasOfUse) ?? RESTARTS.max_ms;
    running.cancel = this.#parts.after(pause_ms, () => this.#restart(running));
    return pause_ms;
  }

  async #restart(running: Running): Promise<void> {
    const { log } = this.#parts;
    const iface = running.network.name;
    running.cancel = undefined;
    try {
      running.began_ms = this.#parts.clock();
      const options = running.ports.applyTo(running.network.options);
      running.binding = await this.#start({ ...running.network, options }, running);
    } catch (error) {
      if (running.isStopping) return running.over.resolve();
      const restart_ms = this.#restartLater(running, false);
      const problem = messageOf(error);
      const fields = { event: "network_failed", iface, problem, restart_ms };
      log.error(fields, "guest network cannot start");
      return;
    }
    this.#follow(running);
    if (running.isStopping) running.binding.stop();
    else log.info({ event: "network_restarted", iface }, "guest network restarted");
  }

  readonly #end = async (name: string): Promise<void> => {
    const running = this.#running.get(name);
    if (running === undefined) return;
    running.isStopping = true;
    if (running.cancel === undefined) running.binding.stop();
    else {
      running.cancel();
      running.over.resolve();
    }
    await running.over.promise;
    this.#running.delete(name);
    running.hasPeer = false;
    this.#wake();
  };

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** What of the options decides who is reached where: all but what the guest is merely told. */
function firmPart(options: BindingOptions): string {
  const { dhcp, boot, dns, network, ...firm } = options;
  const { search, ...resolvers } = dns;
  const { ipv4, subnet6, ...addresses } = network;
  return JSON.stringify({ ...firm, resolvers, addresses });
}

function named(name: string, error: unknown): Error {
  return new Error(`iface "${name}": ${messageOf(error)}`, { cause: error });
}
