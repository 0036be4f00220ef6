/**
 * The engine's books: every frame, octet and flow that came is there, gone, or accounted for.
 */
import type { Engine } from "../../engine/engine.ts";
import { DROP_NAMES, type DropName, readStats } from "../../engine/stats.ts";

/** What the world counted itself. */
export interface Ledger {
  framesToEngine: number;
  framesToGuest: number;
  octetsToEngine: number;
  octetsToGuest: number;
  /** Frames to the engine that are TCP over IPv4 by their headers: most have no counter. */
  tcpFrames: number;
  /** Fragments among the frames to the engine. */
  fragments: number;
  /** Taken from and given to TCP sockets. */
  streamTaken: number;
  streamGiven: number;
  /** Messages handed to and received from datagram sockets are counted by the engine alone. */
}

export function emptyLedger(): Ledger {
  return {
    ...{ framesToEngine: 0, framesToGuest: 0, octetsToEngine: 0, octetsToGuest: 0 },
    ...{ tcpFrames: 0, fragments: 0, streamTaken: 0, streamGiven: 0 },
  };
}

/** What was counted since `before`. */
export function ledgerSince(ledger: Ledger, before: Ledger): Ledger {
  const since = (key: keyof Ledger): number => ledger[key] - before[key];
  return {
    framesToEngine: since("framesToEngine"),
    framesToGuest: since("framesToGuest"),
    octetsToEngine: since("octetsToEngine"),
    octetsToGuest: since("octetsToGuest"),
    tcpFrames: since("tcpFrames"),
    fragments: since("fragments"),
    streamTaken: since("streamTaken"),
    streamGiven: since("streamGiven"),
  };
}

/** Drops that are not of frames from the guest. */
const OTHER_DROPS: ReadonlySet<DropName> = new Set<DropName>([
  "dropUdpFiltered",
  "dropTxFull",
  "dropLink",
  "dropNeighbor",
  "dropDatagramTooBig",
  "dropReplyFlood",
]);

/** Compares the engine's counters with what was seen from outside; the faults found. */
export function checkBalance(engine: Engine, ledger: Ledger): string[] {
  const stats = readStats(engine);
  const found: string[] = [];
  const same = (what: string, counted: number, seen: number): void => {
    if (counted !== seen) found.push(`counters: ${what}: ${counted}, seen: ${seen}`);
  };
  same("frames from the guest", stats.guestRxFrames, ledger.framesToEngine);
  same("octets from the guest", stats.guestRxBytes, ledger.octetsToEngine);
  same("frames to the guest", stats.guestTxFrames, ledger.framesToGuest);
  same("octets to the guest", stats.guestTxBytes, ledger.octetsToGuest);
  same("octets to host streams", stats.tcpBytesToHost, ledger.streamTaken);
  const flows = engine.flows();
  const count = (...kinds: string[]): number =>
    flows.filter(({ kind }) => kinds.includes(kind)).length;
  same("flows", engine.flowCount, flows.length);
  same("TCP flows", stats.tcpOpened - stats.tcpClosed, count("tcp"));
  same("other flows", stats.udpOpened - stats.udpClosed, count("udp", "dns"));
  const dropped = DROP_NAMES.filter((name) => !OTHER_DROPS.has(name) && name !== "dropNone");
  const drops = dropped.reduce((sum, name) => sum + stats[name], 0);
  const handed = stats.consumedLocal + stats.udpToHost + stats.pingToHost;
  const total = drops + handed;
  if (total > stats.guestRxFrames) {
    found.push(`counters: ${total} frames accounted for, ${stats.guestRxFrames} came`);
  }
  if (stats.guestRxFrames - ledger.tcpFrames - ledger.fragments > total) {
    found.push(`counters: ${stats.guestRxFrames} frames came, ${total} are accounted for`);
  }
  return found;
}
