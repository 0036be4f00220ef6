/** A capture of a link in memory, whose sink is the test's. */

import { concat } from "../../src/lib/bytes.ts";
import { CaptureWriter, type CaptureWriterOptions } from "../../src/link/capture-writer.ts";
import type { LinkMemory } from "../../src/link/link.ts";
import { pcapngHeader } from "../../src/link/pcapng.ts";
import { WatchedLink } from "../../src/link/watched-link.ts";
import { memoryHarness } from "./harness.ts";

export class Recorder {
  octets = pcapngHeader();
  writes = 0;
  closes = 0;
  isFull = false;
  isPaused = false;

  write(bytes: Uint8Array): boolean {
    if (this.isFull) return false;
    this.octets = concat(this.octets, bytes);
    this.writes += 1;
    return true;
  }

  close(): void {
    this.closes += 1;
  }
}

export function capture(
  options: Partial<CaptureWriterOptions> & { sink: CaptureWriterOptions["sink"] },
) {
  let now = 1_700_000_000_000_000;
  const tick = () => {
    now += 1.25;
    return now;
  };
  const writer = new CaptureWriter({ now: tick, ...options });
  const harness = memoryHarness({ vnetSize: 10 }, (inner) => new WatchedLink(inner).add(writer));
  /** As the loop does. */
  const receive = (memory: LinkMemory, max: number): number => {
    const n = harness.link.receive(memory, max);
    if (n > 0) harness.link.handled?.(memory, n);
    return n;
  };
  return { ...harness, receive, capture: writer };
}

export const vnet = new Uint8Array(10);
