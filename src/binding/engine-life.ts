/**
 * One engine's life in a guest network: from its instance to the end of the network, or to a
 * failure, over what stays for the next one.
 *
 * Theory of operation
 *   Whatever fails while packets move (the engine traps, an exception of our own) is thrown out of
 *   the loop and ends here, in the thread that had it. What the network is made of then falls into
 *   two parts:
 *
 *     stays       the link with its connection, rings or tap, and what has come in part; sockets of
 *                 published ports with all that waits in them; addresses, resolv.conf, log and
 *                 capture; who was attached                                            (`Ground`)
 *     goes        engine and its memory, epoll set, sockets of flows, a recording
 *
 *   The next engine is told who it works for as the first one was, and all descriptors are
 *   registered anew, which tells of edges that nobody has heard. What the engine before had been
 *   given is not given again: a frame that has ended one does not end the next. Flows are unknown
 *   to it, so the guest's TCP is answered by resets and begins anew; ARP, DHCP and published ports
 *   go on as they were, for they follow from the configuration.
 *
 *   Memory is given back at once (`forgetPages`), its addresses when the runtime's collector comes.
 */
import { createHash } from "node:crypto";
import { engineConfigValues } from "../engine/config-values.ts";
import { HostEngine } from "../engine/host-engine.ts";
import { instantiateEngine } from "../engine/instance.ts";
import type { LimitedLogger } from "../lib/log-limit.ts";
import { messageOf } from "../lib/message.ts";
import type { OutputSink } from "../lib/output-file.ts";
import type { DropSamples } from "../link/drop-samples.ts";
import type { Link, LinkMemory, LinkWatcher } from "../link/link.ts";
import type { PeerCounters } from "../link/stream-peer.ts";
import { AlarmedEvents } from "../loop/alarm.ts";
import { monotonic } from "../loop/clock.ts";
import { Loop, linkMemoryOf } from "../loop/loop.ts";
import { Sources } from "../loop/sources.ts";
import { Epoll } from "../sys/epoll.ts";
import { check } from "../sys/errno.ts";
import type { TimerFd } from "../sys/fd.ts";
import type { Libc } from "../sys/libc.ts";
import { endOf } from "../sys/lifeline.ts";
import { EPOLLET, EPOLLIN } from "../sys/linux.ts";
import { forgetPages } from "../sys/resident.ts";
import { HiddenPorts } from "../upstream/hidden-ports.ts";
import { type Attachment, Presence, type PresenceState } from "../upstream/presence.ts";
import type { ResolverWatch } from "../upstream/resolver.ts";
import { EVENT_OF_ALARM, EVENT_OF_CONTROL, EVENT_OF_LINK } from "../upstream/upstream.ts";
import type { CaptureSlots } from "./capture-slots.ts";
import { createClerks } from "./clerks.ts";
import type { Desk } from "./desk.ts";
import { FlowLines } from "./flow-lines.ts";
import type { GuestWatch } from "./guest-watch.ts";
import { type HostGround, HostSide, versionsOf } from "./host-side.ts";
import { Housekeeping, type Watch } from "./housekeeping.ts";
import { LeaseWatch } from "./lease-watch.ts";
import { COMMAND_STATS, COMMAND_STOP, type Mailbox } from "./mailbox.ts";
import { type Meters, Sampler } from "./meters.ts";
import { PortDesk } from "./port-desk.ts";
import { type RecordedEngine, recordEngine } from "./recording.ts";
import { RestWatch } from "./rest-watch.ts";
import type { FoundRoom } from "./room.ts";
import { ShortageWatch } from "./shortages.ts";
import { logPresence, restReporter } from "./worker-lines.ts";
import type { WorkerStart } from "./worker-messages.ts";
import type { Chore } from "./worker-outputs.ts";

/** The link as the loop has it, and what is beneath a capture. */
export interface OpenLink {
  readonly link: Link;
  /** Of a link that has any. */
  readonly peers: PeerCounters | undefined;
  readonly attachment: Attachment;
  /** For messages. */
  readonly name: string;
}

/** What stays from one engine to the next. */
export interface Ground {
  readonly sys: Libc;
  readonly start: WorkerStart;
  readonly log: LimitedLogger;
  readonly mailbox: Mailbox;
  /** The engine's program, and the octets it was compiled from. */
  readonly program: WebAssembly.Module;
  readonly octets: Uint8Array;
  readonly opened: OpenLink;
  readonly guests: GuestWatch;
  readonly resolver: ResolverWatch;
  readonly room: FoundRoom;
  readonly host: HostGround;
  readonly timer: TimerFd;
  /** Work beside packets that is not the engine's. */
  readonly chores: readonly Chore[];
  readonly captures: CaptureSlots;
  readonly drops: DropSamples;
  /** Where the first engine is recorded; undefined: nowhere. */
  readonly recording: OutputSink | undefined;
  /** Absent: nobody watches. */
  readonly meters: Meters | undefined;
  /** Takes requests of the main thread. */
  readonly desk: Desk;
  /** Counters have been published. */
  readonly onCounters: () => void;
  /** The guest has worked and rests now. */
  readonly onRest: () => void;
  /** The network is as it will be, and ports answer if somebody is there. */
  readonly onSettled: () => void;
  /** Who was attached when the last engine failed. */
  presence: PresenceState | undefined;
  /** The one that runs. */
  engine: HostEngine | undefined;
  /** Engines so far. */
  lives: number;
  /** The loop has been reached: what is to be had at a start has been had. */
  hasBegun: boolean;
  /** The last engine has moved a frame. */
  hasServed: boolean;
  /** Told to stop, or nobody is there to be served. */
  isStopping: boolean;
}

const PAGE_SIZE = 4096;

/**
 * Runs an engine until the network ends.
 * @returns 0, or the negative errno where the link is gone
 * @throws whatever made it fail; what was its own is gone then
 */
export function live(ground: Ground): number {
  const { sys, opened, timer } = ground;
  ground.lives += 1;
  const recorded = recordedEngine(ground);
  const engine = new HostEngine(recorded.module);
  const base = sys.address(engine.octets.buffer);
  let epoll: Epoll | undefined;
  let host: HostSide | undefined;
  let presence: Presence | undefined;
  let loop: Loop | undefined;
  ground.engine = engine;
  ground.hasServed = false;
  try {
    startEngine(ground, engine, base);
    epoll = new Epoll(sys);
    const sources = new Sources(epoll);
    host = hostSideOf(ground, epoll, engine, base);
    host.open(sources);
    watchControl(epoll, ground.start, timer);
    check(opened.link.watch(watcherOf(sources)), `Watch the ${opened.name}`);
    presence = presenceOf(ground, engine, host);
    loop = loopOf(ground, { engine, base, epoll, sources, host, presence });
    ground.hasBegun = true;
    const errno = loop.run();
    if (errno === 0) sayFarewell(ground, engine, linkMemoryOf(engine, base));
    return errno;
  } finally {
    ground.hasServed = loop?.hasServed === true;
    ground.presence = presence?.state ?? ground.presence;
    ground.engine = undefined;
    host?.leave();
    epoll?.close();
    recorded.close();
    opened.link.handOver?.();
    if (base % PAGE_SIZE === 0) forgetPages(sys, base, engine.octets.length);
  }
}

/** Only the first engine is recorded: one that fails is what is to be looked at. */
function sinkOf({ recording, lives }: Ground): OutputSink | undefined {
  return lives === 1 ? recording : undefined;
}

function recordedEngine(ground: Ground): RecordedEngine {
  const { sys, start, log, program, octets } = ground;
  const how = { log, native: sys };
  const module = instantiateEngine(program);
  return recordEngine(module, octets, sinkOf(ground), start.options.capture, how);
}

function startEngine(ground: Ground, engine: HostEngine, base: number): void {
  const { start, opened, resolver, room, lives } = ground;
  engine.setHostBase(BigInt(base));
  const { vnetSize, flags: linkFlags, queueFrames: linkQueue } = opened.link;
  const seed = lives === 1 ? start.seed : seedOf(start.seed, lives);
  const { limits } = room;
  const wire = { vnetSize, linkFlags, linkQueue };
  const values = { seed, resolvConf: resolver.conf, limits, ...wire };
  engine.start(engineConfigValues(start.options, values));
}

/** No number that nobody can guess is used twice. */
function seedOf(seed: readonly number[], life: number): readonly number[] {
  return [...createHash("sha256").update(Uint8Array.from(seed)).update(`${life}`).digest()];
}

function hostSideOf(ground: Ground, epoll: Epoll, engine: HostEngine, base: number): HostSide {
  const { sys, start, room, host, log, meters } = ground;
  const { options } = start;
  const hidden = new HiddenPorts(start.hiddenPorts);
  const own = { sys, epoll, engine, base, isRecorded: sinkOf(ground) !== undefined };
  return new HostSide({ ...own, options, hidden, room, ground: host, log, meters });
}

/** What a loop is made of, beside the ground. */
interface LifeParts {
  readonly engine: HostEngine;
  readonly base: number;
  readonly epoll: Epoll;
  readonly sources: Sources;
  readonly host: HostSide;
  readonly presence: Presence;
}

function loopOf(ground: Ground, parts: LifeParts): Loop {
  const { opened, guests, resolver, timer, log, meters, chores, lives } = ground;
  const { engine, base, epoll, sources, host, presence } = parts;
  const { upstream, listeners, pressure, watches, lent } = host;
  return new Loop({
    engine,
    link: opened.link,
    memory: linkMemoryOf(engine, base, lent),
    events: new AlarmedEvents(epoll, timer, monotonic),
    upstream,
    lent,
    listeners,
    sources,
    onRest: restReporter(log, monotonic),
    control: controller(ground, parts),
    meters: meters?.histograms,
    housekeeping: new Housekeeping(
      [guests, resolver, ...watches, presence, ...watchesOf(ground)],
      [pressure, log, ...chores],
    ),
    clock: monotonic,
    resumes: lives > 1,
  });
}

/** What looks at nothing but the engine; at connections, where somebody watches. */
function watchesOf({ start, log, meters, onRest }: Ground): Watch[] {
  const samplers = meters === undefined ? [] : [new Sampler(meters)];
  const leases = new LeaseWatch(log, start.options.network);
  const flows = new FlowLines(log.unlimited, monotonic);
  return [leases, flows, new ShortageWatch(log), new RestWatch(onRest), ...samplers];
}

/** Takes commands, and sees whether what is served has ended; false = stop. */
function controller(ground: Ground, parts: LifeParts): () => boolean {
  const { sys, start, mailbox, opened, log, meters, desk, onCounters } = ground;
  const { captures, drops } = ground;
  const { engine } = parts;
  const sockets = parts.host.upstream;
  const ports = portDeskOf(ground, parts);
  const clerks = createClerks({ sys, engine, sockets, ports, captures, drops, clock: monotonic });
  return () => {
    sys.read(start.controlFd, sys.scratch.address, 8);
    const command = mailbox.take();
    if (command === COMMAND_STOP) ground.isStopping = true;
    if (command === COMMAND_STATS || command === COMMAND_STOP) {
      meters?.look(engine);
      mailbox.publish(engine, opened.link, opened.peers);
      onCounters();
      desk.answered();
    }
    desk.serve(clerks);
    const reason = endOf(sys, start.lifelines);
    if (reason !== undefined && !ground.isStopping) {
      ground.isStopping = true;
      log.info({ event: "network_ended", reason }, "shutting down");
    }
    return !ground.isStopping;
  };
}

/** Where ports are published and removed while the engine lives. */
function portDeskOf({ start, room, host: { ports }, log }: Ground, parts: LifeParts): PortDesk {
  const { presence, host } = parts;
  return new PortDesk({
    listeners: host.listeners,
    opened: ports,
    presence,
    hidden: new HiddenPorts(start.hiddenPorts),
    versions: versionsOf(start.options),
    socketsMax: () => room.limits.socketsMax - ports.extra,
    log: log.unlimited,
  });
}

/** Has the ports follow the guest, and tells when they are as they will be. */
function presenceOf(ground: Ground, engine: HostEngine, { listeners }: HostSide): Presence {
  const { opened, log, onSettled, presence: before } = ground;
  const isTap = opened.peers === undefined;
  return new Presence({
    engine,
    ports: listeners,
    attachment: opened.attachment,
    onChange: (isThere) => logPresence(log, isThere, { ports: listeners.count, isTap }),
    onSettled,
    before,
  });
}

/** Tells the guest that its router goes away, if the link is not full of other things. */
function sayFarewell({ opened, log }: Ground, engine: HostEngine, memory: LinkMemory): void {
  if (engine.txCount > 0) return;
  try {
    engine.farewell();
    if (engine.txCount > 0) opened.link.transmit(memory, 0, engine.txCount);
  } catch (error) {
    log.error({ problem: messageOf(error) }, "packet engine failed at the end");
  }
}

/** Where the link registers its descriptors. */
function watcherOf(sources: Sources): LinkWatcher {
  return {
    add: (fd, bits, token) => sources.add(fd, bits, token, EVENT_OF_LINK),
    modify: (fd, bits, token) => sources.modify(fd, bits, token, EVENT_OF_LINK),
    forget: (token) => sources.forget(token, EVENT_OF_LINK),
    remove: (token) => {
      sources.pause(token, EVENT_OF_LINK);
      sources.forget(token, EVENT_OF_LINK);
    },
  };
}

/** What is neither a link nor a socket of the guest's. */
function watchControl(epoll: Epoll, start: WorkerStart, timer: TimerFd): void {
  const watch = (fd: number, events: number, kind: number, what: string): void => {
    check(epoll.add(fd, events, 0, kind), `Watch ${what}`);
  };
  watch(start.controlFd, EPOLLIN, EVENT_OF_CONTROL, "the control channel");
  for (const { fd, events } of start.lifelines) {
    watch(fd, events, EVENT_OF_CONTROL, `descriptor ${fd} for its end`);
  }
  watch(timer.number, EPOLLIN | EPOLLET, EVENT_OF_ALARM, "the timer");
}
