/** The other processor of `ring-memory.test.ts`: a thread with a mapping of its own. */

import { ForeignMemory } from "../../../src/sys/foreign-memory.ts";
import { loadLibc } from "../../../src/sys/libc.ts";
import { fenceSize, meet } from "./fence.ts";

addEventListener("message", async (event: MessageEvent<{ fd: number; rounds: number }>) => {
  const sys = await loadLibc();
  const { fd, rounds } = event.data;
  const memory = ForeignMemory.map(sys, fd, 0, fenceSize(rounds));
  if (typeof memory === "number") throw new Error(`mmap gave ${memory}`);
  meet(sys, sys.view(memory.address, memory.length), 1, rounds);
  memory.close();
  postMessage("done");
});
