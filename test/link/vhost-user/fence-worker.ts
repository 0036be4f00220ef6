/** The other processor of `ring-memory.test.ts`: a thread with a mapping of its own. */
import { loadLibc } from "../../../src/sys/libc.ts";
import { Mapping } from "../../../src/sys/mmap.ts";
import { meet } from "./fence.ts";

addEventListener("message", async (event: MessageEvent<{ fd: number; rounds: number }>) => {
  const sys = await loadLibc();
  const mapping = new Mapping(sys, event.data.fd, event.data.rounds * 8 + 4096);
  meet(sys, mapping.bytes.buffer as ArrayBuffer, 1, event.data.rounds);
  mapping.close();
  postMessage("done");
});
