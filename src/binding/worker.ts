/**
 * The worker thread of one guest network: builds engine, link and sockets, then stays in the loop
 * until it is told to stop. Everything it needs comes in one message; what it has to say goes back
 * as messages, and while it loops, through the mailbox.
 */
import { engineBytes } from "../assets.ts";
import type { AttachOptions } from "../config/config.ts";
import { formatEndpoint, type StreamEndpoint } from "../config/endpoint.ts";
import { engineConfigValues } from "../engine/config.ts";
import { Engine } from "../engine/engine.ts";
import { detectSimd, loadEngine } from "../engine/module.ts";
import { type Logger, openLogger } from "../lib/log.ts";
import { messageOf } from "../lib/message.ts";
import { openOutputFile } from "../lib/output-file.ts";
import type { Link, LinkMemory, LinkWatcher } from "../link/link.ts";
import { createPcapLink } from "../link/pcap.ts";
import {
  openStreamLink,
  type PeerEvent,
  type StreamLink,
  type StreamLinkOptions,
} from "../link/stream.ts";
import { openTapLink, type TapLinkOptions } from "../link/tap.ts";
import { AlarmedEvents } from "../loop/alarm.ts";
import { monotonic, wallClock } from "../loop/clock.ts";
import { Loop, linkMemoryOf } from "../loop/loop.ts";
import type { RestReport } from "../loop/rest.ts";
import { Sources } from "../loop/sources.ts";
import { Epoll } from "../sys/epoll.ts";
import { check, EACCES, errnoName, type SystemError } from "../sys/errno.ts";
import { TimerFd } from "../sys/fd.ts";
import { type Libc, loadLibc } from "../sys/libc.ts";
import { EPOLLET, EPOLLIN } from "../sys/linux.ts";
import type { Ipv4Endpoint } from "../sys/sockaddr.ts";
import { Listeners } from "../upstream/listener.ts";
import { ResolverWatch } from "../upstream/resolver.ts";
import { HostSockets } from "../upstream/sockets.ts";
import {
  EVENT_OF_ALARM,
  EVENT_OF_CONTROL,
  EVENT_OF_LINK,
  EVENT_OF_LISTENER,
} from "../upstream/upstream.ts";
import { COMMAND_STATS, COMMAND_STOP, Mailbox } from "./mailbox.ts";
import { recordEngine } from "./recording.ts";

const OCTETS_PER_MIB = 1 << 20;
/** At most one line about sources that rest in this time, microseconds. */
const REST_REPORT_US = 60_000_000;

/** The link's outer end, as the main thread has opened it. */
export type WorkerLink =
  | { readonly kind: "tap"; readonly device: TapLinkOptions }
  | { readonly kind: "stream"; readonly at: StreamLinkOptions["at"] };

/** What the main thread sends to start. */
export interface WorkerStart {
  readonly options: AttachOptions;
  readonly link: WorkerLink;
  /** Of a stream link. */
  readonly endpoint: StreamEndpoint | undefined;
  readonly seed: readonly number[];
  readonly mailbox: SharedArrayBuffer;
  /** Descriptor of the eventfd that announces commands. */
  readonly controlFd: number;
}

/** What the worker says. */
export type WorkerMessage =
  | { readonly kind: "ready" }
  | { readonly kind: "peer"; readonly event: PeerEvent }
  | { readonly kind: "stopped" }
  | { readonly kind: "failed"; readonly message: string };

function say(message: WorkerMessage): void {
  postMessage(message);
}

/** The link as the loop has it, and what is beneath a capture. */
interface OpenLink {
  readonly link: Link;
  readonly stream: StreamLink | undefined;
  /** For messages. */
  readonly name: string;
}

function openLink(sys: Libc, start: WorkerStart, log: Logger): OpenLink {
  const { pcap, pcapSnap: snapLength, pcapLimitMib = Number.POSITIVE_INFINITY } = start.options;
  const captured = (link: Link): Link => {
    if (pcap === undefined) return link;
    const maxBytes = pcapLimitMib * OCTETS_PER_MIB;
    return createPcapLink(link, {
      sink: openOutputFile(pcap),
      now: wallClock,
      snapLength,
      maxBytes,
    });
  };
  if (start.link.kind === "stream") {
    const name = start.endpoint === undefined ? "" : formatEndpoint(start.endpoint);
    const onPeer = (event: PeerEvent): void => {
      logPeer(log, name, event);
      say({ kind: "peer", event });
    };
    const stream = openStreamLink(sys, { at: start.link.at, onPeer });
    return { link: captured(stream), stream, name: `link "${name}"` };
  }
  const link = captured(openTapLink(sys, start.link.device));
  const { link: settings } = start.options;
  return { link, stream: undefined, name: settings.kind === "tap" ? `tap "${settings.name}"` : "" };
}

function logPeer(log: Logger, link: string, event: PeerEvent): void {
  switch (event.kind) {
    case "connected":
      log.info({ link }, "guest connected");
      return;
    case "disconnected": {
      const refused = event.refused > 0 ? { refused: event.refused } : {};
      const fields = { link, reason: event.reason, ...refused };
      if (event.fault) log.warn(fields, "guest disconnected for a broken stream");
      else log.info(fields, "guest disconnected");
      return;
    }
    case "refused":
      log.warn({ link }, "refused a second connection while the first one lives");
      return;
    case "unreachable":
      log.warn({ link, reason: event.problem }, "cannot connect yet, trying on");
  }
}

/** Where the guest must not get to: it would be its own neighbour. */
function hiddenFrom(start: WorkerStart): Ipv4Endpoint | undefined {
  const { endpoint } = start;
  if (endpoint?.kind !== "tcp") return undefined;
  return { address: endpoint.address, port: endpoint.port };
}

/** Takes commands; false = stop. */
function controller(
  sys: Libc,
  start: WorkerStart,
  engine: Engine,
  { link, stream }: OpenLink,
): () => boolean {
  const mailbox = new Mailbox(start.mailbox);
  return () => {
    sys.read(start.controlFd, sys.scratch.address, 8);
    const command = mailbox.take();
    if (command === COMMAND_STATS || command === COMMAND_STOP) {
      mailbox.publish(engine, link, stream);
    }
    return command !== COMMAND_STOP;
  };
}

/** A published port is left out. */
function tell(log: Logger, error: SystemError): void {
  const isLow = error.errno === EACCES;
  const remedy = isLow ? { remedy: "lower net.ipv4.ip_unprivileged_port_start in the pod" } : {};
  log.warn({ problem: error.message, ...remedy }, "port left out");
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

/** Where the link registers its descriptors. */
function watcherOf(sources: Sources): LinkWatcher {
  return {
    add: (fd, bits, token) => sources.add(fd, bits, token, EVENT_OF_LINK),
    modify: (fd, bits, token) => sources.modify(fd, bits, token, EVENT_OF_LINK),
    forget: (token) => sources.forget(token, EVENT_OF_LINK),
  };
}

/** Tells of sources that rest: the first in a minute, as many ports fall short at the same time. */
function restReporter(log: Logger): RestReport {
  let told = Number.NEGATIVE_INFINITY;
  return (token, kind, errno) => {
    const now = monotonic();
    if (now - told < REST_REPORT_US) return;
    told = now;
    const source = kind === EVENT_OF_LISTENER ? `published port, number ${token + 1}` : "link";
    if (errno === 0)
      log.warn({ source, kind, token }, "left a source alone that has nothing to give");
    else log.warn({ source, reason: errnoName(errno) }, "cannot accept connections, trying again");
  };
}

async function run(start: WorkerStart): Promise<void> {
  const { options } = start;
  const log: Logger = await openLogger({ level: options.logLevel, format: options.logFormat });
  const sys = await loadLibc();
  const octets = engineBytes(detectSimd());
  const recorded = recordEngine(loadEngine(octets), octets, options, log);
  const engine = new Engine(recorded.module);
  const base = sys.address(engine.octets.buffer);
  const opened = openLink(sys, start, log);
  const { link } = opened;
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
  const sources = new Sources(epoll);
  const timer = new TimerFd(sys);
  const upstream = new HostSockets(sys, epoll, engine, base, hiddenFrom(start));
  const listeners = new Listeners(sys, engine, upstream);
  try {
    const onFault = options.needsEveryPort ? undefined : (error: SystemError) => tell(log, error);
    listeners.open(options.publish, sources, monotonic(), versionsOf(options), onFault);
    const watch = (fd: number, events: number, kind: number, what: string): void => {
      check(epoll.add(fd, events, 0, kind), `Watch ${what}`);
    };
    watch(start.controlFd, EPOLLIN, EVENT_OF_CONTROL, "the control channel");
    check(link.watch(watcherOf(sources)), `Watch the ${opened.name}`);
    watch(timer.number, EPOLLIN | EPOLLET, EVENT_OF_ALARM, "the timer");
    const loop = new Loop({
      engine,
      link,
      memory: linkMemoryOf(engine, base),
      events: new AlarmedEvents(epoll, timer, monotonic),
      upstream,
      listeners,
      sources,
      onRest: restReporter(log),
      control: controller(sys, start, engine, opened),
      housekeeping: resolver,
      clock: monotonic,
    });
    if (options.readyFd !== undefined) announce(sys, options.readyFd);
    say({ kind: "ready" });
    const errno = loop.run();
    if (errno === 0) sayFarewell(engine, link, linkMemoryOf(engine, base));
    if (errno < 0) throw new Error(`The ${opened.name} is gone (${errnoName(errno)})`);
  } finally {
    recorded.close();
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
    (error: unknown) => say({ kind: "failed", message: messageOf(error) }),
  );
});
