/**
 * The worker thread of one guest network: opens what the network stands on, then runs engines
 * over it until it is told to stop. Everything it needs comes in one message; what it has to say
 * goes back as messages, and while it loops, through the mailbox.
 *
 * An engine that fails is followed by another one, in this thread (`engine-life.ts` tells what
 * becomes of what): at once where it has moved a frame, else after pauses that double, and after
 * RESTARTS.most failures in a row without a frame the network ends, for another one would not do
 * better. A thread of its own for each engine would have to be told by shared memory of everything
 * that the link knows, and takes 50 ms to start instead of 20; neither leaks.
 *
 * The main thread hears of none of this but by a counter. What cannot be caught here, the end of
 * the thread itself, ends the network.
 */
import { engineBytes } from "../assets.ts";
import { formatEndpoint } from "../config/endpoint.ts";
import { compileEngine, detectSimd } from "../engine/module.ts";
import { ByteRing } from "../lib/byte-ring.ts";
import type { Logger } from "../lib/log.ts";
import { messageOf } from "../lib/message.ts";
import type { Link } from "../link/link.ts";
import { openStreamLink } from "../link/stream.ts";
import type { PeerEvent } from "../link/stream-peer.ts";
import { NamedUsers } from "../link/stream-users.ts";
import { openTapLink } from "../link/tap.ts";
import { openVhostUserLink } from "../link/vhost-user/back-end.ts";
import { monotonic } from "../loop/clock.ts";
import { errnoName } from "../sys/errno.ts";
import { TimerFd } from "../sys/fd.ts";
import { type Libc, loadLibc } from "../sys/libc.ts";
import { becomesReadable } from "../sys/poll.ts";
import { collectGarbage } from "../sys/resident.ts";
import { ResolvAnswers } from "../upstream/resolv-answers.ts";
import { ResolverWatch, type ResolvReading } from "../upstream/resolver.ts";
import { attachmentOfStream, attachmentOfTap } from "./attachment.ts";
import { Desk } from "./desk.ts";
import { type Ground, live, type OpenLink } from "./engine-life.ts";
import { GuestWatch } from "./guest-watch.ts";
import { HostGround } from "./host-side.ts";
import { Mailbox } from "./mailbox.ts";
import { Meters } from "./meters.ts";
import { Restarts } from "./restarts.ts";
import { findRoom } from "./room.ts";
import { logPeer } from "./worker-lines.ts";
import type { WorkerMessage, WorkerStart } from "./worker-messages.ts";
import { WorkerOutputs } from "./worker-outputs.ts";

/** The guest is back within a second also where the next engine fails, too. */
const RESTARTS = { first_ms: 0, min_ms: 10, max_ms: 500, most: 20 };

function say(message: WorkerMessage): void {
  postMessage(message);
}

function openLink(
  sys: Libc,
  start: WorkerStart,
  outputs: WorkerOutputs,
  log: Logger,
  guests: GuestWatch,
  onFlags: (flags: number) => void,
): OpenLink {
  const captured = (link: Link): Link => outputs.watched(link, start.options.capture, sys, log);
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

function readingOf({ resolv }: WorkerStart): ResolvReading | undefined {
  if (resolv === undefined) return undefined;
  return { answers: new ResolvAnswers(resolv), ask: () => say({ kind: "resolv" }) };
}

/** The link has gone while it was served. */
class LinkGone extends Error {}

/** What the network stands on. Closed by `closeGround`. */
async function openGround(start: WorkerStart): Promise<Ground> {
  const { options } = start;
  const outputs = new WorkerOutputs(
    start.outputs,
    () => say({ kind: "output" }),
    start.captures,
    (slot) => say({ kind: "capture-ended", slot }),
  );
  const log = await outputs.openLog(options.log.format, (event) => say({ kind: "event", event }));
  const sys = await loadLibc();
  const octets = engineBytes(detectSimd());
  const guests = new GuestWatch();
  const onFlags = (flags: number): void => ground.engine?.setLinkFlags(flags);
  const ground: Ground = {
    sys,
    start,
    log,
    mailbox: new Mailbox(start.mailbox),
    program: compileEngine(octets),
    octets,
    recording: outputs.openRecording(),
    opened: openLink(sys, start, outputs, log, guests, onFlags),
    guests,
    resolver: new ResolverWatch(options, log, readingOf(start)),
    room: findRoom(sys, options, start.room, log),
    host: new HostGround(sys, options, log),
    timer: new TimerFd(sys),
    chores: outputs.chores,
    captures: outputs.captures,
    drops: outputs.drops,
    meters: start.meters && new Meters(start.meters),
    desk: new Desk(
      new ByteRing(start.requests),
      (reply) => say({ kind: "reply", reply }),
      collectGarbage,
    ),
    onSettled: () => say({ kind: "ready" }),
    onRest: () => {
      collectGarbage();
      say({ kind: "rest" });
    },
    onCounters: () => say({ kind: "counters" }),
    presence: undefined,
    engine: undefined,
    lives: 0,
    hasBegun: false,
    hasServed: false,
    isStopping: false,
  };
  return ground;
}

function closeGround({ log, host, opened, timer, room }: Ground): void {
  for (const part of [log, host, opened.link, timer, room.memory?.gauge]) part?.close();
}

/** One engine after the other, until the network ends. */
async function run(start: WorkerStart): Promise<void> {
  const ground = await openGround(start);
  const restarts = new Restarts(RESTARTS);
  try {
    do {
      const outcome = attempt(ground, restarts);
      if (outcome === 0) return;
      if (typeof outcome === "number") {
        throw new LinkGone(`The ${ground.opened.name} is gone (${errnoName(outcome)})`);
      }
      await outcome;
    } while (!ground.mailbox.mustStop);
  } finally {
    closeGround(ground);
  }
}

/**
 * One engine.
 * @returns as `live` does, or what to wait for before the next one
 * @throws where there is to be no other one
 */
function attempt(ground: Ground, restarts: Restarts): number | Promise<void> {
  try {
    return live(ground);
  } catch (error) {
    const { log, mailbox, opened } = ground;
    if (!ground.hasBegun) throw error; // it cannot start
    const problem = messageOf(error);
    const link = opened.name;
    mailbox.noteFailure();
    if (ground.isStopping) {
      log.error({ link, problem }, "packet engine failed at the end");
      return 0;
    }
    const pause_ms = restarts.failed(ground.hasServed);
    const { count: failures, inVain } = restarts;
    if (pause_ms === undefined) {
      throw new Error(`${problem}: failed ${inVain} times in a row without a frame`);
    }
    const fields = { event: "engine_replaced", link, problem, failures, restart_ms: pause_ms };
    log.error(fields, "packet engine failed, restarted");
    return pause(ground, pause_ms);
  }
}

/** Lets the runtime clean up, and a command cut the rest of the pause short. */
async function pause({ sys, start }: Ground, pause_ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
  collectGarbage();
  if (pause_ms > 0) becomesReadable(sys, start.controlFd, pause_ms);
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
