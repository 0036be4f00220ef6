/** Worker of libc.test.ts: makes a call that fails in its own way. */

import { parentPort } from "node:worker_threads";
import { loadLibc } from "../../src/sys/libc.ts";

const sys = await loadLibc();
parentPort?.postMessage({ failed: sys.pipe2(8, 0), runtime: sys.runtime });
