/** Why `serve` ends, and why it does not yet. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Ending } from "../../src/cli/ending.ts";
import { prettyLogger } from "../../src/lib/log.ts";

/** An ending with a guest that leaves when told to. */
function withGuest(
  graceSeconds: number,
  {
    abandonSeconds = 300,
    sees = () => true,
  }: { abandonSeconds?: number; sees?: () => boolean } = {},
): {
  readonly ending: Ending;
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
  const ending = new Ending({
    graceSeconds,
    abandonSeconds,
    seesGuests: sees,
    idle: () => gone,
    attached: () => attached,
    log,
  });
  return {
    ending,
    lines,
    leave,
    state: async () => {
      for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      return Promise.race([ending.over, Promise.resolve("not yet")]);
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
    const { ending, leave, lines, state } = withGuest(10);
    leave();
    ending.shutdown();
    ending.shutdown();
    assert.equal(await state(), "Shutdown");
    assert.deepEqual(lines, []);
  });

  test("does not come with a Shutdown, or several, while a guest is attached", async () => {
    const { ending, leave, lines, state } = withGuest(10);
    for (let count = 0; count < 1000; count += 1) ending.shutdown();
    assert.equal(await state(), "not yet");
    assert.match(lines[0] ?? "", /^warn {2}Shutdown while a guest is attached.* count=1$/);
    assert.equal(lines.length, 10);
    leave();
    assert.equal(await state(), "Shutdown");
  });

  test("comes after such a Shutdown with the grace time", async () => {
    const { ending } = withGuest(0);
    ending.shutdown();
    assert.equal(await ending.over, "Shutdown, grace time over");
  });

  test("comes when it is left alone: no call and no guest for the time given", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { ending, leave, state } = withGuest(10);
    t.mock.timers.tick(3_600_000);
    assert.equal(await state(), "not yet", "the launcher has not come yet");
    ending.called();
    t.mock.timers.tick(3_600_000);
    assert.equal(await state(), "not yet", "a guest is attached");
    leave();
    assert.equal(await state(), "not yet");
    t.mock.timers.tick(299_000);
    ending.called();
    t.mock.timers.tick(299_000);
    assert.equal(await state(), "not yet", "each call begins the time anew");
    t.mock.timers.tick(1000);
    assert.equal(await state(), "no hook call and no guest for 300 s");
  });

  test("does not come so where guests cannot be seen, or nobody wants it", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const blind = withGuest(10, { sees: () => false });
    const never = withGuest(10, { abandonSeconds: 0 });
    for (const { ending, leave, state } of [blind, never]) {
      leave();
      ending.called();
      t.mock.timers.tick(86_400_000);
      assert.equal(await state(), "not yet");
    }
  });

  test("comes with SIGINT", async () => {
    const { ending, state } = withGuest(10);
    ending.interrupt();
    assert.equal(await state(), "SIGINT");
  });

  test("comes after SIGTERM when the guest has left", async () => {
    const { ending, leave, lines, state } = withGuest(10);
    ending.terminate();
    assert.deepEqual(lines, ["info  SIGTERM received grace_s=10"]);
    assert.equal(await state(), "not yet");
    leave();
    assert.equal(await state(), "SIGTERM, no guest attached");
  });

  test("comes after SIGTERM at once when there is no guest", async () => {
    const { ending, leave, state } = withGuest(10);
    leave();
    ending.terminate();
    assert.equal(await state(), "SIGTERM, no guest attached");
  });

  test("comes after SIGTERM with the Shutdown hook", async () => {
    const { ending, leave, state } = withGuest(10);
    ending.terminate();
    ending.shutdown();
    assert.equal(await state(), "not yet");
    leave();
    assert.match(await state(), /^(?:Shutdown|SIGTERM, no guest attached)$/);
  });

  test("comes with a second SIGTERM", async () => {
    const { ending, lines, state } = withGuest(10);
    ending.terminate();
    ending.terminate();
    assert.equal(await state(), "second SIGTERM");
    assert.equal(lines.length, 1);
  });

  test("comes after SIGTERM when the grace time is over", async () => {
    const { ending } = withGuest(0);
    ending.terminate();
    assert.equal(await ending.over, "SIGTERM, grace time over");
  });
});
