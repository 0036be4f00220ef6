/**
 * The worker thread of one guest network: builds engine, link and sockets, then stays in the loop
 * until it is told to stop. Everything it needs comes in one message; what it has to say goes back
 * as messages, and while it loops, through the mailbox.
 */
import { engineBytes } from "../assets.ts";
import type { AttachOptions } from "../config/config.ts";
import { engineConfigValues } from "../engine/config.ts";
import { Engine } from "../engine/engine.ts";
import { detectSimd, loadEngine } from "../engine/module.ts";
import { type Logger, openLogger } from "../lib/log.ts";
import type { Link, LinkMemory } from "../link/link.ts";
import { createPcapLink, openPcapFile } from "../link/pcap.ts";
import { openTapLink, type TapLinkOptions } from "../link/tap.ts";
import { AlarmedEvents } from "../loop/alarm.ts";
import { monotonic, wallClock } from "../loop/clock.ts";
import { Loop } from "../loop/loop.ts";
import { Epoll } from "../sys/epoll.ts";
import { check, errnoName } from "../sys/errno.ts";
import { TimerFd } from "../sys/fd.ts";
import { type Libc, loadLibc } from "../sys/libc.ts";
import { EPOLLET, EPOLLIN } from "../sys/linux.ts";
import { Listeners } from "../upstream/listener.ts";
import { ResolverWatch } from "../upstream/resolver.ts";
import { HostSockets } from "../upstream/sockets.ts";
import { EVENT_OF_ALARM, EVENT_OF_CONTROL, EVENT_OF_LINK } from "../upstream/upstream.ts";
import { COMMAND_STATS, COMMAND_STOP, Mailbox } from "./mailbox.ts";

/** What the main thread sends to start. */
export interface WorkerStart {
  readonly options: AttachOptions;
  readonly tap: TapLinkOptions;
  readonly seed: readonly number[];
  readonly mailbox: SharedArrayBuffer;
  /** Descriptor of the eventfd that announces commands. */
  readonly controlFd: number;
}

/** What the worker says. */
export type WorkerMessage =
  | { readonly kind: "ready" }
  | { readonly kind: "stopped" }
  | { readonly kind: "failed"; readonly message: string };

function say(message: WorkerMessage): void {
  postMessage(message);
}

function linkOf(sys: Libc, start: WorkerStart): Link {
  const link = openTapLink(sys, start.tap);
  const { pcap } = start.options;
  return pcap === undefined
    ? link
    : createPcapLink(link, { sink: openPcapFile(pcap), now: wallClock });
}

function memoryOf(engine: Engine, base: number): LinkMemory {
  return {
    buffer: engine.octets.buffer,
    base,
    u32: engine.words,
    rxDescriptors: engine.bases.rxDescriptors,
    rxBuffers: engine.bases.rxBuffers,
    txRecords: engine.bases.txRecords,
  };
}

/** Takes commands; false = stop. */
function controller(sys: Libc, start: WorkerStart, engine: Engine): () => boolean {
  const mailbox = new Mailbox(start.mailbox);
  return () => {
    sys.read(start.controlFd, sys.scratch.address, 8);
    const command = mailbox.take();
    if (command === COMMAND_STATS || command === COMMAND_STOP) mailbox.publish(engine);
    return command !== COMMAND_STOP;
  };
}

/** Tells whoever waits on the descriptor. By system call: Deno's files know no inherited ones. */
function announce(sys: Libc, fd: number): void {
  sys.scratch.bytes[0] = "1".charCodeAt(0);
  check(sys.write(fd, sys.scratch.address, 1), `Write to descriptor "${fd}" that is to hear of it`);
}

function versionsOf(options: AttachOptions): { ipv4: boolean; ipv6: boolean } {
  return { ipv4: options.ipv4, ipv6: options.subnet6 !== undefined };
}

/** Tells the guest that its router goes away, if the link is not full of other things. */
function sayFarewell(engine: Engine, link: Link, memory: LinkMemory): void {
  if (engine.txCount > 0) return;
  engine.farewell();
  if (engine.txCount > 0) link.transmit(memory, 0, engine.txCount);
}

async function run(start: WorkerStart): Promise<void> {
  const { options } = start;
  const log: Logger = await openLogger({ level: options.logLevel, format: options.logFormat });
  const sys = await loadLibc();
  const engine = new Engine(loadEngine(engineBytes(detectSimd())));
  const base = sys.address(engine.octets.buffer);
  const link = linkOf(sys, start);
  const resolver = new ResolverWatch(options, log);
  engine.setHostBase(BigInt(base));
  engine.start(
    engineConfigValues(options, {
      seed: start.seed,
      resolvConf: resolver.conf,
      vnetSize: link.vnetSize,
      linkFlags: link.flags,
      linkQueue: link.queueFrames,
    }),
  );
  const epoll = new Epoll(sys);
  const timer = new TimerFd(sys);
  const upstream = new HostSockets(sys, epoll, engine, base);
  const listeners = new Listeners(sys, engine, upstream);
  try {
    listeners.open(options.publish, epoll, monotonic(), versionsOf(options));
    const watch = (fd: number, events: number, kind: number, what: string): void => {
      check(epoll.add(fd, events, 0, kind), `Watch ${what}`);
    };
    watch(start.controlFd, EPOLLIN, EVENT_OF_CONTROL, "the control channel");
    watch(link.fd, EPOLLIN, EVENT_OF_LINK, `the tap "${options.tap}"`);
    watch(timer.number, EPOLLIN | EPOLLET, EVENT_OF_ALARM, "the timer");
    const loop = new Loop({
      engine,
      link,
      memory: memoryOf(engine, base),
      events: new AlarmedEvents(epoll, timer, monotonic),
      upstream,
      listeners,
      control: controller(sys, start, engine),
      housekeeping: resolver,
      clock: monotonic,
    });
    if (options.readyFd !== undefined) announce(sys, options.readyFd);
    say({ kind: "ready" });
    const errno = loop.run();
    if (errno === 0) sayFarewell(engine, link, memoryOf(engine, base));
    if (errno < 0) throw new Error(`The tap "${options.tap}" is gone (${errnoName(errno)})`);
  } finally {
    listeners.close();
    upstream.close();
    link.close();
    timer.close();
    epoll.close();
  }
}

addEventListener("message", (event: MessageEvent<WorkerStart>) => {
  run(event.data).then(
    () => say({ kind: "stopped" }),
    (error: unknown) =>
      say({ kind: "failed", message: error instanceof Error ? error.message : String(error) }),
  );
});
