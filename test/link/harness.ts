/** The memory link with the test on the guest's side. */

import { createMemoryLink, type MemoryLinkOptions } from "../../src/lab/sim/memory-link.ts";
import { concat } from "../../src/lib/bytes.ts";
import type { Link } from "../../src/link/link.ts";
import type { LinkHarness } from "./suite.ts";
import { TestMemory } from "./test-memory.ts";

/** @param wrap puts a decorator round the link */
export function memoryHarness(
  options: MemoryLinkOptions = {},
  wrap: (link: Link) => Link = (link) => link,
): LinkHarness {
  const { link, guest } = createMemoryLink(options);
  const header = new Uint8Array(link.vnetSize);
  return {
    link: wrap(link),
    memory: new TestMemory(),
    send(frame) {
      if (!guest.send(concat(header, frame))) throw new Error("The queue to the link is full");
    },
    receive() {
      const frame = guest.receive();
      if (frame === undefined) throw new Error("The guest got no frame");
      return frame.subarray(link.vnetSize);
    },
    unplug: () => guest.close(),
    outlivesGuest: false,
  };
}
