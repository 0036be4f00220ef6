/**
 * The worker thread of one guest network: builds engine, link and sockets, then stays in the loop
 * until it is told to stop. Everything it needs comes in one message; what it has to say goes back
 * as messages, and while it loops, through the mailbox.
 */
import { engineBytes } from "../assets.ts";
import type { BindingOptions } from "../config/attach.ts";
import { formatEndpoint, type StreamEndpoint } from "../config/endpoint.ts";
import { engineConfigValues } from "../engine/config-values.ts";
import { Engine } from "../engine/engine.ts";
import { detectSimd, loadEngine } from "../engine/module.ts";
import type { Logger } from "../lib/log.ts";
import { messageOf } from "../lib/message.ts";
import type { Link, LinkMemory, LinkWatcher } from "../link/link.ts";
import type { PeerSocketOptions } from "../link/peer-socket.ts";
import { openStreamLink } from "../link/stream.ts";
import type { PeerCounters, PeerEvent } from "../link/stream-peer.ts";
import { NamedUsers } from "../link/stream-users.ts";
import { openTapLink, type TapLinkOptions } from "../link/tap.ts";
import { openVhostUserLink } from "../link/vhost-user/back-end.ts";
import { AlarmedEvents } from "../loop/alarm.ts";
import { monotonic } from "../loop/clock.ts";
import { Loop, linkMemoryOf } from "../loop/loop.ts";
import { Sources } from "../loop/sources.ts";
import { Epoll } from "../sys/epoll.ts";
import { check, errnoName } from "../sys/errno.ts";
import { TimerFd } from "../sys/fd.ts";
import { type Libc, loadLibc } from "../sys/libc.ts";
import { endOf, type Lifeline } from "../sys/lifeline.ts";
import { EPOLLET, EPOLLIN } from "../sys/linux.ts";
import { HiddenPorts } from "../upstream/hidden-ports.ts";
import type { Listeners } from "../upstream/listener.ts";
import { type Attachment, Presence } from "../upstream/presence.ts";
import { ResolvAnswers } from "../upstream/resolv-answers.ts";
import { ResolverWatch, type ResolvReading } from "../upstream/resolver.ts";
import { EVENT_OF_ALARM, EVENT_OF_CONTROL, EVENT_OF_LINK } from "../upstream/upstream.ts";
import { attachmentOfStream, attachmentOfTap } from "./attachment.ts";
import { GuestWatch } from "./guest-watch.ts";
import { HostSide } from "./host-side.ts";
import { Housekeeping, type Watch } from "./housekeeping.ts";
import { COMMAND_STATS, COMMAND_STOP, Mailbox } from "./mailbox.ts";
import { Meters, Sampler } from "./meters.ts";
import type { SharedOutputs } from "./outputs.ts";
import { recordEngine } from "./recording.ts";
import { findRoom, type RoomKnown } from "./room.ts";
import { ShortageWatch } from "./shortages.ts";
import { logPeer, restReporter } from "./worker-lines.ts";
import { WorkerOutputs } from "./worker-outputs.ts";

/** The link's outer end, as the main thread has opened it. */
export type WorkerLink =
  | { readonly kind: "tap"; readonly device: TapLinkOptions }
  | { readonly kind: "stream" | "vhost-user"; readonly at: PeerSocketOptions["at"] };

const GUEST_THERE = "guest is there, published ports answer";
const GUEST_GONE = "guest has gone, published ports refuse";

/** What the main thread sends to start. */
export interface WorkerStart {
  readonly options: BindingOptions;
  readonly link: WorkerLink;
  /** Of a link with a socket. */
  readonly endpoint: StreamEndpoint | undefined;
  readonly seed: readonly number[];
  /** User whose program this is. */
  readonly uid: number;
  readonly mailbox: SharedArrayBuffer;
  /** Of a `HiddenPorts`. */
  readonly hiddenPorts: SharedArrayBuffer;
  /** Descriptor of the eventfd that announces commands. */
  readonly controlFd: number;
  /** Where log, capture and recording go. */
  readonly outputs: SharedOutputs;
  readonly room: RoomKnown;
  /** Of a `ResolvReader`, if there is one. */
  readonly resolv: SharedArrayBuffer | undefined;
  /** Of `Meters`, where somebody watches. */
  readonly meters: SharedArrayBuffer | undefined;
  /** What ends it besides a command, as the main thread has opened it. */
  readonly lifelines: readonly Lifeline[];
}

/** What the worker says. */
export type WorkerMessage =
  | { readonly kind: "ready" }
  /** There is something in the rings of `outputs`. */
  | { readonly kind: "output" }
  /** resolv.conf is to be read by who may. */
  | { readonly kind: "resolv" }
  /** Look into the mailbox how the peers are. */
  | { readonly kind: "peers" }
  /** Counters have been published. */
  | { readonly kind: "counters" }
  | { readonly kind: "stopped" }
  | { readonly kind: "failed"; readonly message: string; readonly isLinkGone: boolean };

function say(message: WorkerMessage): void {
  postMessage(message);
}

/** The link as the loop has it, and what is beneath a capture. */
interface OpenLink {
  readonly link: Link;
  /** Of a link that has any. */
  readonly peers: PeerCounters | undefined;
  readonly attachment: Attachment;
  /** For messages. */
  readonly name: string;
}

function openLink(
  sys: Libc,
  start: WorkerStart,
  outputs: WorkerOutputs,
  log: Logger,
  guests: GuestWatch,
  engine: Engine,
): OpenLink {
  const captured = (link: Link): Link => outputs.captured(link, start.options.capture, sys, log);
  if (start.link.kind !== "tap") {
    const { endpoint, options, uid } = start;
    if (endpoint === undefined || options.link.kind === "tap")
      throw new Error("wanted the endpoint of a link with a socket");
    const name = formatEndpoint(endpoint);
    const mailbox = new Mailbox(start.mailbox);
    const onPeer = (event: PeerEvent): void => {
      logPeer(log, name, event);
      if (event.kind === "disconnected") guests.left();
      if (mailbox.announce(opened.peers)) say({ kind: "peers" });
    };
    const parts = {
      at: start.link.at,
      users: new NamedUsers(sys, endpoint.kind, [uid, ...options.link.peerUids]),
      clock: monotonic,
      onPeer,
    };
    const onFlags = (flags: number): void => engine.setLinkFlags(flags);
    const opened =
      start.link.kind === "stream"
        ? openStreamLink(sys, parts)
        : openVhostUserLink(sys, { ...parts, onFlags });
    const { peers } = opened;
    const attachment = attachmentOfStream(peers);
    return { link: captured(opened), peers, attachment, name: `link "${name}"` };
  }
  const link = captured(openTapLink(sys, start.link.device));
  const { link: settings } = start.options;
  const name = settings.kind === "tap" ? `tap "${settings.name}"` : "";
  return { link, peers: undefined, attachment: attachmentOfTap(sys, start.link.device.fd), name };
}

/** Takes commands, and sees whether what is served has ended; false = stop. */
function controller(
  sys: Libc,
  start: WorkerStart,
  engine: Engine,
  { link, peers }: OpenLink,
  log: Logger,
  meters: Meters | undefined,
): () => boolean {
  const mailbox = new Mailbox(start.mailbox);
  return () => {
    sys.read(start.controlFd, sys.scratch.address, 8);
    const command = mailbox.take();
    if (command === COMMAND_STATS || command === COMMAND_STOP) {
      meters?.look(engine);
      mailbox.publish(engine, link, peers);
      say({ kind: "counters" });
    }
    if (command === COMMAND_STOP) return false;
    const reason = endOf(sys, start.lifelines);
    if (reason !== undefined) log.info({ reason }, "shutting down");
    return reason === undefined;
  };
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
    remove: (token) => {
      sources.pause(token, EVENT_OF_LINK);
      sources.forget(token, EVENT_OF_LINK);
    },
  };
}

/** Has the ports follow the guest, and tells when they are as they will be. */
function presenceOf(engine: Engine, ports: Listeners, link: OpenLink, log: Logger): Presence {
  return new Presence({
    engine,
    ports,
    attachment: link.attachment,
    onChange: (isThere) => log.info({}, isThere ? GUEST_THERE : GUEST_GONE),
    onSettled: () => say({ kind: "ready" }),
  });
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

function readingOf({ resolv }: WorkerStart): ResolvReading | undefined {
  if (resolv === undefined) return undefined;
  return { answers: new ResolvAnswers(resolv), ask: () => say({ kind: "resolv" }) };
}

/** What looks at nothing but the engine; at connections, where somebody watches. */
function watchesOf(log: Logger, meters: Meters | undefined): Watch[] {
  return [new ShortageWatch(log), ...(meters === undefined ? [] : [new Sampler(meters)])];
}

/** The link has gone while it was served. */
class LinkGone extends Error {}

async function run(start: WorkerStart): Promise<void> {
  const { options } = start;
  const outputs = new WorkerOutputs(start.outputs, () => say({ kind: "output" }));
  const log = await outputs.openLog(options.log);
  const sys = await loadLibc();
  const octets = engineBytes(detectSimd());
  const sink = outputs.openRecording();
  const recorded = recordEngine(loadEngine(octets), octets, sink, options.capture, {
    log,
    native: sys,
  });
  const engine = new Engine(recorded.module);
  const base = sys.address(engine.octets.buffer);
  const guests = new GuestWatch();
  const opened = openLink(sys, start, outputs, log, guests, engine);
  const { link } = opened;
  const resolver = new ResolverWatch(options, log, readingOf(start));
  const room = findRoom(sys, options, start.room, log);
  engine.setHostBase(BigInt(base));
  const { vnetSize, flags: linkFlags, queueFrames: linkQueue } = link;
  const wire = { vnetSize, linkFlags, linkQueue, seed: start.seed, limits: room.limits };
  engine.start(engineConfigValues(options, { resolvConf: resolver.conf, ...wire }));
  const epoll = new Epoll(sys);
  const sources = new Sources(epoll);
  const timer = new TimerFd(sys);
  const hidden = new HiddenPorts(start.hiddenPorts);
  const meters = start.meters && new Meters(start.meters);
  const given = { options, hidden, room, sink, log, meters };
  const host = new HostSide({ sys, epoll, engine, base, ...given });
  const { upstream, listeners, lent } = host;
  try {
    host.open(sources);
    watchControl(epoll, start, timer);
    check(link.watch(watcherOf(sources)), `Watch the ${opened.name}`);
    const presence = presenceOf(engine, listeners, opened, log);
    const loop = new Loop({
      engine,
      link,
      memory: linkMemoryOf(engine, base, lent),
      events: new AlarmedEvents(epoll, timer, monotonic),
      upstream,
      lent,
      listeners,
      sources,
      onRest: restReporter(log, monotonic),
      control: controller(sys, start, engine, opened, log, meters),
      meters: meters?.histograms,
      housekeeping: new Housekeeping(
        [guests, resolver, ...host.watches, presence, ...watchesOf(log, meters)],
        [host.pressure, log, ...outputs.chores],
      ),
      clock: monotonic,
    });
    const errno = loop.run();
    if (errno === 0) sayFarewell(engine, link, linkMemoryOf(engine, base));
    if (errno < 0) throw new LinkGone(`The ${opened.name} is gone (${errnoName(errno)})`);
  } finally {
    for (const part of [recorded, log, host, link, timer, epoll, room.memory?.gauge]) part?.close();
  }
}

addEventListener("message", (event: MessageEvent<WorkerStart>) => {
  run(event.data).then(
    () => say({ kind: "stopped" }),
    (error: unknown) => {
      const isLinkGone = error instanceof LinkGone;
      say({ kind: "failed", message: messageOf(error), isLinkGone });
    },
  );
});
