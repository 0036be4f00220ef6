/**
 * Decorator: a link whose frames are looked at, by captures and for samples of what is dropped.
 *
 * Received frames are shown when the engine has looked at them (`handled`), for only then it is
 * known what became of them. Where it never gets that far, as it fails over one of them, they are
 * shown as they are before the next engine has the link (`handOver`). Frames to the guest are shown
 * once the link has taken them.
 */
import type { CaptureWriter } from "./capture-writer.ts";
import type { DropSamples } from "./drop-samples.ts";
import type { Link, LinkMemory, LinkWatcher } from "./link.ts";

export class WatchedLink implements Link {
  readonly vnetSize: 0 | 10 | 12;
  readonly queueFrames: number;
  readonly mtuMax: number;
  readonly #inner: Link;
  readonly #drops: DropSamples | undefined;
  #captures: readonly CaptureWriter[] = [];
  /** Where frames lie that were received and that the engine has not looked at. */
  #memory: LinkMemory | undefined;
  #pending = 0;

  /** @param drops keeps what is dropped */
  constructor(inner: Link, drops?: DropSamples) {
    this.#inner = inner;
    this.#drops = drops;
    this.vnetSize = inner.vnetSize;
    this.queueFrames = inner.queueFrames;
    this.mtuMax = inner.mtuMax;
  }

  /** Shows frames to this capture, too. */
  add(capture: CaptureWriter): this {
    this.#captures = [...this.#captures, capture];
    return this;
  }

  /** Shows it no more, and leaves it to its owner. */
  remove(capture: CaptureWriter): void {
    this.#captures = this.#captures.filter((each) => each !== capture);
  }

  get flags(): number {
    return this.#inner.flags;
  }

  get batchFrames(): number | undefined {
    return this.#inner.batchFrames;
  }

  get refused(): number {
    return this.#inner.refused;
  }

  handOver(): void {
    this.#showPending();
    this.#inner.handOver?.();
  }

  watch(watcher: LinkWatcher): number {
    return this.#inner.watch(watcher);
  }

  event(token: number, events: number): boolean | "served" {
    return this.#inner.event(token, events);
  }

  wantRoom(on: boolean): void {
    this.#inner.wantRoom(on);
  }

  receive(memory: LinkMemory, max: number): number {
    this.#showPending();
    const n = this.#inner.receive(this.#mayLend ? memory : withoutLoans(memory), max);
    if (n > 0 && this.#captures.length > 0) {
      this.#memory = memory;
      this.#pending = n;
    }
    return n;
  }

  handled(memory: LinkMemory, count: number): void {
    this.#pending = 0;
    this.#drops?.handled(memory, count, this.vnetSize);
    if (this.#captures.length > 0) this.#show(memory, count, true);
    this.#inner.handled?.(memory, count);
  }

  transmit(memory: LinkMemory, first: number, count: number): number {
    const n = this.#inner.transmit(memory, first, count);
    for (const capture of this.#captures) {
      if (!capture.isOn) continue;
      for (let i = first; i < first + n; i += 1) capture.transmitted(memory, i, this.vnetSize);
    }
    return n;
  }

  release(memory: LinkMemory): void {
    this.#inner.release?.(memory);
  }

  close(): void {
    this.#showPending();
    this.#inner.close();
    for (const capture of this.#captures) capture.close();
  }

  /** Payload may be lent where each capture that is on can read it. */
  get #mayLend(): boolean {
    return this.#captures.every((capture) => capture.canBorrow || !capture.isOn);
  }

  #showPending(): void {
    if (this.#pending === 0 || this.#memory === undefined) return;
    this.#show(this.#memory, this.#pending, false);
    this.#pending = 0;
  }

  #show(memory: LinkMemory, count: number, isMarked: boolean): void {
    for (const capture of this.#captures) {
      if (!capture.isOn) continue;
      for (let i = 0; i < count; i += 1) {
        capture.received(memory, i, this.vnetSize, isMarked);
      }
    }
  }
}

/** All frames are to be in their slots as a whole. */
function withoutLoans(memory: LinkMemory): LinkMemory {
  return { ...memory, loans: undefined };
}
