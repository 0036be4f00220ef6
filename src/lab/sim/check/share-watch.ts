/**
 * Watches that nobody has more than its share, as the engine promises it (`wasm/flow/shares.ts`):
 *
 *   flow slots   from outside half of the table at most, DNS a quarter, connections that are being
 *                opened a quarter for each direction
 *   payload      of the pool, an eighth is kept for those who have little, and uploads leave half
 *                of that to downloads; of the rest, connections from outside hold half at most of
 *                what hosts do not take, and so does a single flow
 *   memory short when half of the pool is in use, an upload that has made no progress for a while
 *                holds one chunk; when nothing is left but what is kept, it is ended
 *
 * Looked at from outside, a few times a second of virtual time: a share that is exceeded for less
 * than that has harmed nobody.
 */

import type { Engine } from "../../../engine/engine.ts";
import { flowsOf } from "../../../engine/flows.ts";
import { readTcpFlow, type TcpFlow, tcpHandle } from "../../../engine/tcp-flow.ts";
import { endpointKey } from "../host/host.ts";
import type { TcpPlan } from "../plan.ts";

const SECOND = 1_000_000;
/** Half of the pool is in use, and a flow stands still: so long, and it is to hold one chunk. */
const SHRUNK_AFTER = 3 * SECOND;
/** Nothing is left: so long, and it is one of those that are ended, four in a second, from 20 s. */
const ENDED_AFTER = 25 * SECOND;
/** Who has stood for so long was one of them; one ends at least this often. */
const STOOD = 15 * SECOND;
const ENDED_EVERY = 2 * SECOND;
/** Chunks that each flow may have whatever the others do. */
const GUARANTEED = 2;

interface Standing {
  bytes: number;
  /** Since when nothing has moved. */
  since: number;
}

/** What the flows of a look come to. */
interface Sums {
  outside: number;
  opening: number;
  arriving: number;
  held: number;
  heldOutside: number;
}

export class ShareWatch {
  readonly #fault: (text: string) => void;
  readonly #inbound = new Set<number>();
  readonly #standing = new Map<number, Standing>();
  /** Since when half of the pool is in use, and since when nothing is left but what is kept. */
  #halfSince: number | undefined;
  #shortSince: number | undefined;
  /** When one that held something was gone last. */
  #endedAt = 0;
  /** What was told of already: each kind of excess once. */
  readonly #told = new Set<string>();

  constructor(plans: readonly TcpPlan[], fault: (text: string) => void) {
    this.#fault = fault;
    for (const { isInbound, address, port } of plans) {
      if (isInbound) this.#inbound.add(endpointKey(address, port));
    }
  }

  /** @param now virtual microseconds in which the guest read */
  look(engine: Engine, now: number): void {
    const { flowsMax, chunksMax } = engine.config;
    const kept = chunksMax >> 3;
    const free = chunksMax - engine.chunkCount;
    this.#halfSince = free < chunksMax >> 1 ? (this.#halfSince ?? now) : undefined;
    this.#shortSince = free <= kept ? (this.#shortSince ?? now) : undefined;
    const sums: Sums = { outside: 0, opening: 0, arriving: 0, held: 0, heldOutside: 0 };
    for (let slot = 0; slot < flowsMax; slot += 1) {
      const handle = tcpHandle(engine, slot);
      const flow = handle === undefined ? undefined : readTcpFlow(engine, handle);
      if (handle === undefined || flow === undefined) continue;
      this.#add(sums, flow);
      this.#lookAt(handle, flow, now, (chunksMax - kept) >> 1);
    }
    for (const [handle, { since }] of this.#standing) {
      if (readTcpFlow(engine, handle) !== undefined) continue;
      this.#standing.delete(handle);
      if (now - since > STOOD) this.#endedAt = now;
    }
    const dns = flowsOf(engine).filter(({ kind }) => kind === "dns").length;
    this.#most("flow slots from outside", sums.outside, flowsMax >> 1);
    this.#most("flow slots of DNS", dns, flowsMax >> 2);
    this.#most("connections the guest opens", sums.opening, Math.max(flowsMax >> 2, 4));
    this.#most("connections that arrive", sums.arriving, Math.max(flowsMax >> 2, 4));
    this.#most("chunks of all uploads", sums.held, chunksMax - (kept >> 1));
    this.#most("chunks held from outside", sums.heldOutside, (chunksMax - kept) >> 1);
  }

  #add(sums: Sums, { state, peerAddress, peerPort, held }: TcpFlow): void {
    if (state === "TIME_WAIT") return;
    sums.held += held;
    const isOutside = this.#inbound.has(endpointKey(peerAddress, peerPort));
    if (isOutside) {
      sums.outside += 1;
      sums.heldOutside += held;
    }
    if (state === "SYN_SENT") sums.arriving += 1;
    else if (state === "CONNECTING" || state === "SYN_RECEIVED") sums.opening += 1;
  }

  #lookAt(handle: number, flow: TcpFlow, now: number, most: number): void {
    this.#most("chunks of one upload", flow.held, most + GUARANTEED);
    this.#most("chunks of one download", flow.sending, most + GUARANTEED);
    const bytes = flow.bytesToHost + flow.bytesToGuest;
    const standing = this.#standing.get(handle);
    if (standing === undefined || standing.bytes !== bytes || flow.held + flow.sending === 0) {
      this.#standing.set(handle, { bytes, since: now });
      return;
    }
    const timeOf = (begin: number | undefined): number =>
      begin === undefined ? 0 : now - Math.max(begin, standing.since);
    if (timeOf(this.#halfSince) > SHRUNK_AFTER) {
      this.#most("chunks of one that stands still", flow.held, 1);
    }
    if (timeOf(this.#shortSince) < ENDED_AFTER || now - this.#endedAt < ENDED_EVERY) return;
    this.#most("connections that stand still while memory is short", 1, 0);
  }

  #most(what: string, found: number, most: number): void {
    if (found <= most || this.#told.has(what)) return;
    this.#told.add(what);
    this.#fault(`shares: ${found} ${what}, ${most} are its share`);
  }
}
