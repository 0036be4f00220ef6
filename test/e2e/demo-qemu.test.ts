/** `demo` with a real Linux under QEMU: to the end, and broken off while it boots. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { isAlive, play } from "../support/demo-program.ts";
import { until } from "../support/e2e/shell.ts";
import { cannotServe } from "../support/hook-program.ts";
import { CACHE, qemuMissing } from "../support/qemu.ts";

const LIMIT = { timeout: 300_000 };

describe("demo with Linux under QEMU", { skip: cannotServe() || qemuMissing() || false }, () => {
  test("plays to the end", LIMIT, async () => {
    const args = ["--guest", "qemu", "--size", "4", "--link", "stream", "--cache", CACHE];
    const run = play({ args, privileged: true });
    try {
      const { code, stdout, stderr } = await run.running.outcome(LIMIT.timeout);
      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, /ok {3}guest attached .* Linux [\d.]+.*-netdev stream/);
      for (const title of [
        "DHCP",
        "DNS",
        "ping",
        "UDP echo",
        "HTTP upload",
        "inbound",
        "Shutdown",
      ]) {
        assert.ok(stdout.includes(`  ok   ${title}`), stdout);
      }
      assert.match(stdout, /^15 steps held in /m);
      assert.deepEqual(run.left(), []);
    } finally {
      run.drop();
    }
  });

  test("leaves no QEMU behind", LIMIT, async () => {
    const run = play({ args: ["--guest", "qemu", "--cache", CACHE], privileged: true });
    try {
      await run.running.waitFor(/ok {3}guest's kernel/, LIMIT.timeout);
      const children = `/proc/${run.running.pid}/task/${run.running.pid}/children`;
      const pids = await until(() => {
        const found = readFileSync(children, "utf8").trim().split(" ").map(Number);
        return found.length === 2 && found;
      }, "sidecar and QEMU");
      run.running.signal("SIGINT");
      assert.equal((await run.running.outcome(LIMIT.timeout)).code, 130);
      assert.deepEqual(pids.filter(isAlive), []);
      assert.deepEqual(run.left(), []);
    } finally {
      run.drop();
    }
  });
});
