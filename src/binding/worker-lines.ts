/** What the worker says in its log of a link's peers, of ports, and of sources that rest. */
import type { Logger } from "../lib/log.ts";
import type { PeerEvent } from "../link/stream-peer.ts";
import type { RestReport } from "../loop/rest.ts";
import { EACCES, errnoName, errnoText, type SystemError } from "../sys/errno.ts";
import { EVENT_OF_LISTENER } from "../upstream/upstream.ts";

/** At most one line about sources that rest in this time, microseconds. */
const REST_REPORT_US = 60_000_000;

const THERE = "guest is there";
const GONE = "guest has gone";
const THERE_ANSWERS = `${THERE}, published ports answer`;
const GONE_REFUSES = `${GONE}, published ports refuse`;

/** @param link its name */
export function logPeer(log: Logger, link: string, event: PeerEvent): void {
  switch (event.kind) {
    case "connected":
      log.info({ event: "guest_attached", link }, "guest connected");
      return;
    case "disconnected": {
      const refused = event.refused > 0 ? { refused: event.refused } : {};
      const fields = { event: "guest_gone", link, reason: event.reason, ...refused };
      if (event.fault) log.warn(fields, "guest disconnected: malformed stream");
      else log.info(fields, "guest disconnected");
      return;
    }
    case "refused":
      log.warn({ link }, "second connection refused: a guest is connected");
      return;
    case "foreign": {
      const { uid } = event;
      const fields =
        uid < 0
          ? { link, reason: `${errnoText(uid)} (${errnoName(uid)})` }
          : { link, uid, remedy: `allow it with "--peer-uid ${uid}" if it is QEMU's` };
      log.warn(fields, "connection refused: user not allowed");
      return;
    }
    case "hurried":
      log.warn({ link }, "peers connect and disconnect quickly, accepting them more slowly");
      return;
    case "unreachable":
      log.warn({ link, reason: event.problem }, "peer unreachable, retrying");
      return;
    case "broken": {
      const { queue, problem: reason } = event;
      log.warn({ link, queue, reason }, "queue stopped: its driver broke the rules");
      return;
    }
    case "shrinkable": {
      const remedy = "seal it: QEMU's memory-backend-memfd with seal=on";
      log.warn({ link, remedy }, "guest memory may be shrunk, copying it by system calls");
    }
  }
}

/** What decides how it is told that a guest is there. */
export interface GuestPlace {
  /** Published TCP ports, which answer from now on, or no longer. */
  readonly ports: number;
  /** A tap has no peer that connects: the guest counts as attached once it is heard of. */
  readonly isTap: boolean;
}

/** A guest has been heard of, or is no longer attached. */
export function logPresence(log: Logger, isThere: boolean, { ports, isTap }: GuestPlace): void {
  if (ports === 0 && !isTap) return; // that its peer has come or gone is told
  const event = isTap ? { event: isThere ? "guest_attached" : "guest_gone" } : {};
  const [there, gone] = ports > 0 ? [THERE_ANSWERS, GONE_REFUSES] : [THERE, GONE];
  log.info(event, isThere ? there : gone);
}

/**
 * A published port is left out.
 * @param owner who has it, where that is the reason and known
 */
export function logLeftOut(log: Logger, error: SystemError, owner?: string): void {
  const isLow = error.errno === EACCES;
  const remedy = isLow ? { remedy: "lower net.ipv4.ip_unprivileged_port_start in the pod" } : {};
  const inWay = owner === undefined ? {} : { owner };
  const fields = { problem: error.message, ...inWay, ...remedy };
  log.warn({ event: "port_left_out", ...fields }, "port not published");
}

/**
 * Tells of sources that rest: the first in a minute, as many ports fall short at the same time.
 * @param clock microseconds
 */
export function restReporter(log: Logger, clock: () => number): RestReport {
  let reportedAt = Number.NEGATIVE_INFINITY;
  return (token, kind, errno) => {
    const now = clock();
    if (now - reportedAt < REST_REPORT_US) return;
    reportedAt = now;
    const source = kind === EVENT_OF_LISTENER ? `published port, number ${token + 1}` : "link";
    if (errno === 0)
      log.warn(
        { source, kind, token },
        "event source ready without data, no longer watched for a while",
      );
    else log.warn({ source, reason: errnoName(errno) }, "cannot accept connections, retrying");
  };
}
