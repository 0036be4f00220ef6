/**
 * The engine's books: every frame, octet and flow that came is there, gone, or accounted for.
 */

import * as abi from "../../../../wasm/abi.ts";
import type { Engine } from "../../../engine/engine.ts";
import { flowsOf } from "../../../engine/flows.ts";
import { DROP_NAMES, readStats } from "../../../engine/stats.ts";
import { OTHER_DROPS } from "./other-drops.ts";

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

const KEYS = [
  ...(["framesToEngine", "framesToGuest", "octetsToEngine", "octetsToGuest"] as const),
  ...(["tcpFrames", "fragments", "streamTaken", "streamGiven"] as const),
];

function emptyLedger(): Ledger {
  return {
    ...{ framesToEngine: 0, framesToGuest: 0, octetsToEngine: 0, octetsToGuest: 0 },
    ...{ tcpFrames: 0, fragments: 0, streamTaken: 0, streamGiven: 0 },
  };
}

/** The ledger of a run, in which one engine may follow another. */
export class Books {
  readonly ledger: Ledger = emptyLedger();
  /** As it was when this engine began. */
  #before: Ledger = emptyLedger();

  /** A frame that the engine has sent, of so many octets. */
  sent(length: number): void {
    this.ledger.framesToGuest += 1;
    this.ledger.octetsToGuest += length;
  }

  /** A frame that the engine has taken. */
  received(frame: Uint8Array): void {
    const { ledger } = this;
    ledger.framesToEngine += 1;
    ledger.octetsToEngine += frame.length;
    if (frame[12] !== 8 || frame[13] !== 0) return;
    if (frame[23] === 6) ledger.tcpFrames += 1;
    else if (((frame[20] ?? 0) & 0x3f) !== 0 || frame[21] !== 0) ledger.fragments += 1;
  }

  operated(kind: number, result: number): void {
    if (result > 0 && kind === abi.OP_TCP_SEND) this.ledger.streamTaken += result;
    if (result > 0 && kind === abi.OP_TCP_RECV) this.ledger.streamGiven += result;
  }

  /** Faults in the books of this engine. */
  check(engine: Engine): string[] {
    const since = { ...this.ledger };
    for (const key of KEYS) since[key] -= this.#before[key];
    return checkBalance(engine, since);
  }

  /** Another engine follows. */
  turnPage(): void {
    this.#before = { ...this.ledger };
  }
}

/** Compares the engine's counters with what was seen from outside; the faults found. */
function checkBalance(engine: Engine, ledger: Ledger): string[] {
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
  const flows = flowsOf(engine);
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
