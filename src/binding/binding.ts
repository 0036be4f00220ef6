/**
 * One guest network: start, ask, stop.
 *
 * `startBinding` opens the tap (in the guest's namespace) on the main thread and starts a worker
 * that owns everything else. The promise `ended` settles once: resolved after `stop`, rejected when
 * the worker fails or the link goes away.
 */
import { workerUrl } from "../assets.ts";
import type { AttachOptions } from "../config/config.ts";
import type { Subnet6 } from "../config/subnet6.ts";
import { octetsOfIpv6 } from "../lib/addr6.ts";
import { EventFd } from "../sys/fd.ts";
import { type Libc, loadLibc } from "../sys/libc.ts";
import type { InterfaceSetup } from "../sys/netconfig.ts";
import { openTapInNamespace } from "../sys/netns.ts";
import { releaseProgramPages } from "../sys/resident.ts";
import { OFFLOADS_ALL } from "../sys/tun.ts";
import { COMMAND_STATS, COMMAND_STOP, MAILBOX_SIZE, Mailbox } from "./mailbox.ts";
import type { WorkerMessage, WorkerStart } from "./worker.ts";

export interface Binding {
  /** Settles when frames flow. */
  readonly ready: Promise<void>;
  /** Settles when it is all over. */
  readonly ended: Promise<void>;
  /** Counters, as the worker last published them; `refresh` asks for newer ones. */
  readonly counters: Mailbox;
  refresh(): void;
  /** Ends it: sockets closed, tap gone. Idempotent. */
  stop(): void;
}

function setupOf(options: AttachOptions): InterfaceSetup {
  if (!options.configure) return {};
  const { subnet, subnet6 } = options;
  const ipv4 = {
    address: subnet.guest,
    prefixLength: subnet.prefixLength,
    gateway: subnet.gateway,
  };
  return {
    mtu: options.mtu,
    up: true,
    loopback: true,
    ...(options.ipv4 ? ipv4 : {}),
    ...(subnet6 === undefined ? {} : { ipv6: ipv6Setup(subnet6) }),
  };
}

/** Set by hand as well as advertised, so that all works as soon as the tap is there. */
function ipv6Setup(subnet: Subnet6): NonNullable<InterfaceSetup["ipv6"]> {
  return {
    address: octetsOfIpv6(subnet.guest),
    prefixLength: subnet.prefixLength,
    gateway: octetsOfIpv6(subnet.gateway),
  };
}

/**
 * @param seed 32 octets nobody can guess: sequence numbers, hash keys and identifiers come from it
 * @param program path of the running executable
 * @param helper command that runs the tap helper in another user namespace
 * @throws SystemError when the tap cannot be had
 */
export async function startBinding(
  options: AttachOptions,
  seed: readonly number[],
  program: string,
  helper: readonly string[],
): Promise<Binding> {
  const worker = new Worker(workerUrl(), { type: "module" });
  let control: EventFd | undefined;
  try {
    const sys = await loadLibc();
    control = new EventFd(sys);
    const tap = await openTapInNamespace(sys, {
      ...(options.netns === undefined ? {} : { namespace: options.netns }),
      tap: {
        name: options.tap,
        vnetHeader: options.vnet,
        offloads: options.vnet ? OFFLOADS_ALL : 0,
      },
      setup: setupOf(options),
      helper,
    });
    return bind(sys, worker, control, program, {
      options,
      tap,
      seed,
      mailbox: new SharedArrayBuffer(MAILBOX_SIZE),
      controlFd: control.number,
    });
  } catch (error) {
    worker.terminate();
    control?.close();
    throw error;
  }
}

function bind(
  sys: Libc,
  worker: Worker,
  control: EventFd,
  program: string,
  start: WorkerStart,
): Binding {
  const counters = new Mailbox(start.mailbox);
  const command = (number: number): void => {
    if (!control.isOpen) return; // its number may be somebody else's by now
    counters.put(number);
    control.signal();
  };
  const ready = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  /** The worker has said its last word, so it no longer looks at the control descriptor. */
  const over = (): void => {
    worker.terminate();
    control.close();
  };
  const fail = (message: string): void => {
    over();
    const error = new Error(message);
    ready.reject(error);
    ended.reject(error);
  };
  ready.promise.catch(() => {}); // whoever waits for `ended` hears of it there
  worker.onmessage = (event: MessageEvent<WorkerMessage>) => {
    const message = event.data;
    if (message.kind === "ready") {
      ready.resolve();
      releaseProgramPages(sys, program);
      return;
    }
    if (message.kind === "failed") return fail(message.message);
    over();
    ended.resolve();
  };
  worker.onerror = (event: ErrorEvent) => fail(`The worker failed: ${event.message}`);
  worker.postMessage(start);
  return {
    ready: ready.promise,
    ended: ended.promise,
    counters,
    refresh: () => command(COMMAND_STATS),
    stop: () => command(COMMAND_STOP),
  };
}
