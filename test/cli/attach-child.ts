/**
 * `attach` with the arguments that follow, whose worker fails as soon as all is ready: started by
 * attach.test.ts, ends with its code.
 */
import assert from "node:assert/strict";
import process from "node:process";
import type { WorkerMessage } from "../../src/binding/worker-messages.ts";
import { attach } from "../../src/cli/attach.ts";
import { flushLog } from "../../src/lib/log.ts";
import { parse } from "./support.ts";

class FailingWorker {
  onmessage: (event: { data: WorkerMessage }) => void = () => {};

  postMessage(): void {
    queueMicrotask(() => this.onmessage({ data: { kind: "ready" } }));
    const failed = { kind: "failed", message: "a trap", isLinkGone: false } as const;
    process.once("SIGUSR2", () => this.onmessage({ data: failed }));
  }

  terminate(): void {}
}

Object.assign(globalThis, { Worker: FailingWorker });
const command = parse(["attach", ...process.argv.slice(2)]);
assert.ok(command.kind === "attach");
const code = await attach(command.options);
await flushLog();
process.exit(code);
