/**
 * One guest network from start to end: a real tap in a fresh namespace, the worker, the mailbox.
 * What flows through it is the end-to-end tests' concern.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { describe } from "node:test";
import { type Binding, startBinding } from "../../src/binding/binding.ts";
import { type AttachOptions, readAttachOptions } from "../../src/config/config.ts";
import { EADDRINUSE, errnoName, SystemError } from "../../src/sys/errno.ts";
import * as abi from "../../wasm/abi.ts";
import { inNetns, netnsPath, systemTest, withNetns } from "../sys/support.ts";
import { listen } from "../upstream/rig.ts";

const SEED = Array.from({ length: 32 }, (_, i) => i);
const SURROUNDINGS = { seed: SEED, program: process.execPath, helper: [] };
const LIMIT_MS = 10_000;

function optionsFor(netns: string, more: Readonly<Record<string, string>> = {}): AttachOptions {
  const given = { tap: "tap0", netns: netnsPath(netns), configure: "true", ...more };
  const settings = Object.entries({ "log-level": "error", ...given }).map(
    ([name, value]) => [name, { values: [value], origin: "test" }] as const,
  );
  return readAttachOptions(new Map(settings), false);
}

function startIn(netns: string, more: Readonly<Record<string, string>> = {}): Promise<Binding> {
  return startBinding(optionsFor(netns, more), SURROUNDINGS);
}

/** Runs with a binding that is ready, and ends it in any case. */
async function withBinding(run: (binding: Binding, netns: string) => Promise<void>): Promise<void> {
  await withNetns(async (netns) => {
    const binding = await startIn(netns);
    try {
      await binding.ready;
      await run(binding, netns);
    } finally {
      binding.stop();
      await binding.ended.catch(() => undefined);
    }
  });
}

/** Waits until it holds, the event loop going on meanwhile. */
async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = performance.now() + LIMIT_MS; !holds(); ) {
    if (performance.now() > end) throw new Error(`Waited in vain for ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function hasTap(netns: string): boolean {
  return inNetns(netns, ["ip", "-o", "link"]).includes("tap0");
}

describe("binding", () => {
  systemTest(
    "is ready with a configured tap, and takes it along when it stops",
    ["root", "tun"],
    () =>
      withBinding(async (binding, netns) => {
        const address = inNetns(netns, ["ip", "-o", "-4", "addr", "show", "tap0"]);
        assert.ok(address.includes("10.0.2.15/24"), address);
        binding.stop();
        await binding.ended;
        binding.stop();
        assert.ok(!hasTap(netns));
      }),
  );

  systemTest("counts what the guest sends, and tells when asked", ["root", "tun"], () =>
    withBinding(async (binding, netns) => {
      const { counters } = binding;
      assert.equal(counters.answered, 0);
      inNetns(netns, ["ping", "-c", "2", "-i", "0.2", "-W", "5", "10.0.2.2"]);
      binding.refresh();
      await until(() => counters.answered === 1, "an answer");
      assert.equal(counters.counter(abi.STAT_PING_LOCAL), 2);
      assert.ok(counters.counter(abi.STAT_GUEST_RX_FRAMES) >= 2);
      assert.ok(counters.counter(abi.STAT_GUEST_TX_BYTES) > 0);
      binding.refresh();
      await until(() => counters.answered === 2, "another answer");
      binding.stop();
      await binding.ended;
      assert.equal(counters.answered, 3, "the last word");
    }),
  );

  systemTest("ends with an error when the tap is deleted", ["root", "tun"], () =>
    withBinding(async (binding, netns) => {
      inNetns(netns, ["ip", "link", "del", "tap0"]);
      await assert.rejects(binding.ended, /The tap "tap0" is gone \(E\w+\)/);
      binding.stop();
    }),
  );

  systemTest(
    "a worker that cannot start fails both promises with its reason",
    ["root", "tun"],
    (sys) =>
      withNetns(async (netns) => {
        const { fd, port } = listen(sys);
        try {
          const binding = await startIn(netns, { publish: `127.0.0.1:${port}:80` });
          const reason = new RegExp(
            `Publish port "127.0.0.1:${port}/tcp".*${errnoName(EADDRINUSE)}`,
          );
          await assert.rejects(binding.ended, reason);
          await assert.rejects(binding.ready, reason);
        } finally {
          sys.close(fd);
        }
        await until(() => !hasTap(netns), "the tap to vanish");
      }),
  );

  systemTest("a namespace that is not there is an error before anything runs", [], () =>
    assert.rejects(startIn("slirp-not-there"), SystemError),
  );
});
