/** Why `serve` ends, and why it does not yet. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ShutdownPolicy } from "../../src/cli/shutdown-policy.ts";
import { prettyLogger } from "../../src/lib/log.ts";

/** A policy with a guest that leaves when told to. */
function withGuest(
  graceSeconds: number,
  {
    abandonSeconds = 300,
    sees = () => true,
  }: { abandonSeconds?: number; sees?: () => boolean } = {},
): {
  readonly policy: ShutdownPolicy;
  readonly lines: string[];
  leave(): void;
  /** The reason, or that there is none yet. */
  state(): Promise<string>;
} {
  const lines: string[] = [];
  let leave = (): void => {};
  let attached: readonly string[] = ["net"];
  const gone = new Promise<void>((resolve) => {
    leave = () => {
      attached = [];
      resolve();
    };
  });
  const log = prettyLogger("info", (line) => lines.push(line.trimEnd()));
  const policy = new ShutdownPolicy({
    graceSeconds,
    abandonSeconds,
    seesGuests: sees,
    idle: () => gone,
    attached: () => attached,
    log,
  });
  return {
    policy,
    lines,
    leave,
    state: async () => {
      for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      return Promise.race([policy.decided, Promise.resolve("not yet")]);
    },
  };
}

describe("the end", () => {
  test("does not come by itself, not even when the guest leaves", async () => {
    const { leave, state } = withGuest(10);
    assert.equal(await state(), "not yet");
    leave();
    assert.equal(await state(), "not yet");
  });

  test("comes with the Shutdown hook when the guest has gone", async () => {
    const { policy, leave, lines, state } = withGuest(10);
    leave();
    policy.onShutdown();
    policy.onShutdown();
    assert.equal(await state(), "Shutdown");
    assert.deepEqual(lines, []);
  });

  test("does not come with a Shutdown, or several, while a guest is attached", async () => {
    const { policy, leave, lines, state } = withGuest(10);
    policy.onShutdown();
    assert.equal(lines.length, 1);
    for (let count = 1; count < 1000; count += 1) policy.onShutdown();
    assert.equal(await state(), "not yet");
    assert.match(lines[0] ?? "", /^warn {2}Shutdown called while a guest is attached.* count=1$/);
    assert.equal(lines.length, 10);
    leave();
    assert.equal(await state(), "Shutdown");
  });

  test("comes after such a Shutdown with the grace time", async () => {
    const { policy } = withGuest(0);
    policy.onShutdown();
    assert.equal(await policy.decided, "Shutdown, grace time over");
  });

  test("comes when it is left alone: no call and no guest for the time given", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { policy, leave, state } = withGuest(10);
    t.mock.timers.tick(3_600_000);
    assert.equal(await state(), "not yet", "the launcher has not come yet");
    policy.onCall();
    t.mock.timers.tick(3_600_000);
    assert.equal(await state(), "not yet", "a guest is attached");
    leave();
    assert.equal(await state(), "not yet");
    t.mock.timers.tick(299_000);
    policy.onCall();
    t.mock.timers.tick(299_000);
    assert.equal(await state(), "not yet", "each call begins the time anew");
    t.mock.timers.tick(1000);
    assert.equal(await state(), "no hook call and no guest for 300 s");
  });

  test("does not come so where guests cannot be seen, or nobody wants it", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const blind = withGuest(10, { sees: () => false });
    const never = withGuest(10, { abandonSeconds: 0 });
    for (const { policy, leave, state } of [blind, never]) {
      leave();
      policy.onCall();
      t.mock.timers.tick(86_400_000);
      assert.equal(await state(), "not yet");
    }
  });

  test("comes with SIGINT", async () => {
    const { policy, state } = withGuest(10);
    policy.onInterrupt();
    assert.equal(await state(), "SIGINT");
  });

  test("comes after SIGTERM when the guest has left", async () => {
    const { policy, leave, lines, state } = withGuest(10);
    policy.onTerminate();
    assert.deepEqual(lines, ["info  SIGTERM received grace_s=10"]);
    assert.equal(await state(), "not yet");
    leave();
    assert.equal(await state(), "SIGTERM, no guest attached");
  });

  test("comes after SIGTERM at once when there is no guest", async () => {
    const { policy, leave, state } = withGuest(10);
    leave();
    policy.onTerminate();
    assert.equal(await state(), "SIGTERM, no guest attached");
  });

  test("comes after SIGTERM with the Shutdown hook", async () => {
    const { policy, leave, state } = withGuest(10);
    policy.onTerminate();
    policy.onShutdown();
    assert.equal(await state(), "not yet");
    leave();
    assert.match(await state(), /^(?:Shutdown|SIGTERM, no guest attached)$/);
  });

  test("comes with a second SIGTERM", async () => {
    const { policy, lines, state } = withGuest(10);
    policy.onTerminate();
    policy.onTerminate();
    assert.equal(await state(), "second SIGTERM");
    assert.equal(lines.length, 1);
  });

  test("comes after SIGTERM when the grace time is over", async () => {
    const { policy } = withGuest(0);
    policy.onTerminate();
    assert.equal(await policy.decided, "SIGTERM, grace time over");
  });

  test("comes with the grace time of the first reason, whatever comes then", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { policy, state } = withGuest(10);
    policy.onTerminate();
    t.mock.timers.tick(6000);
    policy.onShutdown();
    t.mock.timers.tick(3999);
    assert.equal(await state(), "not yet");
    t.mock.timers.tick(1);
    assert.equal(await state(), "SIGTERM, grace time over");
    t.mock.timers.reset();
  });

  test("leaves no timer behind, nor has a later call begin one", async () => {
    const { setTimeout: set, clearTimeout: clear } = globalThis;
    const running = new Set<unknown>();
    Object.assign(globalThis, {
      setTimeout: (): unknown => {
        const timer = {};
        running.add(timer);
        return timer;
      },
      clearTimeout: (timer: unknown) => running.delete(timer),
    });
    try {
      const { policy, state } = withGuest(10);
      policy.onCall();
      policy.onCall();
      assert.equal(running.size, 1);
      policy.onTerminate();
      assert.equal(running.size, 2);
      policy.onInterrupt();
      assert.equal(running.size, 0);
      policy.onCall();
      assert.equal(running.size, 0);
      assert.equal(await state(), "SIGINT");
    } finally {
      Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });
    }
  });
});
