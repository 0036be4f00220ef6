/**
 * Published ports that come and go while a network runs: the worker's side, between two turns.
 *
 * Theory of operation
 *   What there is, is what the sockets say (`PortSockets`), not what was once asked for: a port
 *   that was left out at the start may be added later, a rule of which some ports were left out is
 *   listed as the ports in a row that are there.
 *
 *   add      checked as at the start against all that is there: doubles, overlaps, numbers of rules
 *            and addresses; besides, ports of the program's own (`HiddenPorts`), and descriptors:
 *            SOCKETS_LEFT_MIN are left for flows. Then opened whole or not at all. What the kernel
 *            refuses is told with its reason; a port below ip_unprivileged_port_start is refused
 *            where the right to it was given up.
 *   remove   whatever lies in the ports that are named and was published at that address. A rule of
 *            which only a part is named is left alone, and named in the refusal.
 *
 *   Bounds. Packets wait meanwhile: PORTS_PER_CALL ports at most are opened or closed in one call,
 *   5 to 15 ms of work; more are refused, or left for the next call where they are to be closed.
 *   Descriptors are taken from what flows may have (`PortSockets.extra`), and given back.
 */
import { ConfigError, quote } from "../config/errors.ts";
import { checkPublishCount, clashesWith } from "../config/publish-checks.ts";
import { formatHost, formatRule, type PublishRule, runOf } from "../config/publish-rule.ts";
import { concerns, covers, type PublishedPorts } from "../config/published-ports.ts";
import type { LogFields, Logger } from "../lib/log.ts";
import { EADDRINUSE, EMFILE, ENFILE } from "../sys/errno.ts";
import type { HiddenPorts } from "../upstream/hidden-ports.ts";
import type { Listeners } from "../upstream/listener.ts";
import { PortError } from "../upstream/port-error.ts";
import type { PortSockets, Publication } from "../upstream/port-sockets.ts";
import type { Presence } from "../upstream/presence.ts";
import { spotsOf, type Versions } from "../upstream/spots.ts";
import type { EventKind } from "./events.ts";
import {
  type PublishedRow,
  RequestError,
  type TakenPort,
  type UnpublishAnswer,
} from "./requests.ts";

/** Ports that one call opens or closes. */
const PORTS_PER_CALL = 1024;
/** Sockets that published ports leave for flows. */
const SOCKETS_LEFT_MIN = 64;

export interface PortDeskParts {
  readonly listeners: Pick<Listeners, "add" | "remove" | "flows">;
  readonly opened: PortSockets;
  readonly presence: Pick<Presence, "portsChanged">;
  readonly hidden: HiddenPorts;
  readonly versions: Versions;
  /** Sockets that there may be for flows. */
  readonly socketsMax: () => number;
  readonly log: Pick<Logger, "info">;
}

export class PortDesk {
  readonly #parts: PortDeskParts;

  constructor(parts: PortDeskParts) {
    this.#parts = parts;
  }

  list(): PublishedRow[] {
    const { opened, listeners } = this.#parts;
    const { flows } = listeners;
    return Array.from(opened.publications, (each) => rowOf(each, flows));
  }

  /** @throws RequestError where it is refused, PortError as the kernel says */
  add(rule: PublishRule, now: number): PublishedRow | TakenPort {
    const { listeners, presence, versions, log } = this.#parts;
    this.#check(rule);
    try {
      const publication = listeners.add(rule, versions);
      presence.portsChanged(now);
      tell(log, "port_published", "port published", rule);
      return rowOf(publication, new Map());
    } catch (error) {
      if (!(error instanceof PortError)) throw error;
      const { errno, ports } = error;
      if (errno === EADDRINUSE) {
        const at = spotsOf(rule, versions).map(({ family, octets }) => ({ family, octets }));
        return { taken: ports.hostPort, at };
      }
      if (errno !== EMFILE && errno !== ENFILE) throw error;
      throw new RequestError("resource-exhausted", error.message);
    }
  }

  #check(rule: PublishRule): void {
    const { opened, hidden, versions, socketsMax } = this.#parts;
    const { hostPort, count = 1, protocol } = rule;
    const { rules } = opened;
    const [clash] = clashesWith(rules, rule);
    if (clash !== undefined) {
      const problem = `already published by ${quote(formatRule(clash))}`;
      throw new RequestError("already-exists", problem);
    }
    for (let port = hostPort; protocol === "tcp" && port < hostPort + count; port += 1) {
      if (!hidden.has(port)) continue;
      const problem = `port ${port} is this program's own: a link's or the metrics server's`;
      throw new RequestError("failed-precondition", problem);
    }
    const exhausted = (problem: string): RequestError =>
      new RequestError("resource-exhausted", problem);
    if (count > PORTS_PER_CALL) {
      throw exhausted(`add at most ${PORTS_PER_CALL} ports at a time, not ${count}`);
    }
    try {
      checkPublishCount([...rules, rule]);
    } catch (error) {
      throw error instanceof ConfigError ? exhausted(error.message) : error;
    }
    const needed = count * spotsOf(rule, versions).length;
    const room = socketsMax() - SOCKETS_LEFT_MIN;
    if (needed <= room) return;
    throw exhausted(`${needed} sockets are more than descriptors allow: raise "ulimit -n"`);
  }

  /** @throws RequestError where no such port is published */
  remove(what: PublishedPorts, now: number): UnpublishAnswer {
    const { opened, listeners, presence, log } = this.#parts;
    const found = [...opened.publications].filter(({ rule }) => concerns(what, rule));
    const partial = found.find(({ rule }) => !covers(what, rule));
    if (partial !== undefined) {
      throw notFound(`only a part is named of ${quote(formatRule(partial.rule))}: name all of it`);
    }
    if (found.length === 0) throw notFound(this.#missing(what));
    const rows: PublishedRow[] = [];
    let left = PORTS_PER_CALL;
    for (const publication of found) {
      if (left <= 0) break;
      const leaving = this.#part(publication, left);
      rows.push(rowOf(leaving, listeners.flows));
      listeners.remove(leaving, now);
      tell(log, "port_removed", "port published no longer", leaving.rule);
      left -= leaving.rule.count ?? 1;
    }
    presence.portsChanged(now);
    return { rows, isWhole: ![...opened.publications].some(({ rule }) => concerns(what, rule)) };
  }

  /** A publication of so many ports at most; the rest stays as one of its own. */
  #part(publication: Publication, most: number): Publication {
    const { opened } = this.#parts;
    const { rule, isAdded, sockets } = publication;
    const { count = 1, hostPort } = rule;
    if (count <= most) return publication;
    const end = hostPort + most;
    const parts = [
      {
        rule: runOf(rule, 0, most),
        isAdded,
        sockets: sockets.filter((each) => each.ports.hostPort < end),
      },
      {
        rule: runOf(rule, most, count - most),
        isAdded,
        sockets: sockets.filter((each) => each.ports.hostPort >= end),
      },
    ] as const;
    opened.forget(publication);
    for (const part of parts) opened.keep(part);
    return parts[0];
  }

  /** Why there is no such port: a hint, where others have its number. */
  #missing({ host, hostPort, protocol }: PublishedPorts): string {
    const spot = `${formatHost(host)}:${hostPort}/${protocol}`;
    const others = this.#parts.opened.rules.filter(
      (rule) => rule.hostPort <= hostPort && hostPort < rule.hostPort + (rule.count ?? 1),
    );
    const hint = others.slice(0, 4).map((rule) => quote(formatRule(rule)));
    const known = hint.length === 0 ? "" : `; there is ${hint.join(", ")}`;
    return `no published port ${quote(spot)}${known}`;
  }
}

function notFound(problem: string): RequestError {
  return new RequestError("not-found", problem);
}

function tell(log: PortDeskParts["log"], event: EventKind, message: string, rule: PublishRule) {
  const fields: LogFields = { event, rule: formatRule(rule) };
  log.info(fields, message);
}

function rowOf(publication: Publication, flows: ReadonlyMap<Publication, number>): PublishedRow {
  const { rule, isAdded, sockets } = publication;
  return {
    rule,
    isAdded,
    isListening: rule.protocol === "udp" || sockets.every(({ isListening }) => isListening),
    flows: flows.get(publication) ?? 0,
  };
}
