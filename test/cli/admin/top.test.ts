/** `top` as a whole: it draws what it is told, ends by a key, an interrupt or a lost connection. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Keyboard } from "../../../src/cli/admin/screen.ts";
import { showTop } from "../../../src/cli/admin/top.ts";
import { readTop } from "../../../src/config/inspect.ts";
import { settingsOf } from "../../config/support.ts";
import { type Stage, stage } from "./support.ts";

const LIMIT = { timeout: 20_000 };

class Hands implements Keyboard {
  press: (octets: Buffer) => void = () => {};
  setRawMode(): void {}
  on(_event: "data", listener: (octets: Buffer) => void): void {
    this.press = listener;
  }
  off(): void {
    this.press = () => {};
  }
  resume(): void {}
  pause(): void {}
}

interface Play {
  readonly at: Stage;
  readonly hands: Hands;
  readonly left: string[];
  readonly resize: { listener: (() => void) | undefined };
  readonly end: Promise<void>;
}

/** Starts it with a program whose answers come from `told`. */
function play(told: (signal: AbortSignal) => AsyncGenerator<object>): Play {
  const at = stage(
    {
      getInstance: () => ({ name: "attach-9", command: "attach", pid: 9 }),
      watchFlows: (_request, { signal }) => told(signal),
    },
    80,
  );
  const hands = new Hands();
  const left: string[] = [];
  const resize: Play["resize"] = { listener: undefined };
  const end = showTop(readTop(settingsOf({})), at, {
    keyboard: hands,
    leave: (text) => left.push(text),
    onResize: (listener) => {
      resize.listener = listener;
      return () => {
        resize.listener = undefined;
      };
    },
  });
  return { at, hands, left, resize, end };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** One interval, and then nothing until the caller goes. */
async function* quiet(signal: AbortSignal): AsyncGenerator<object> {
  yield { flows: [{ id: 1, guestAddress: "10.0.2.15" }], isComplete: true, timeUs: 1n };
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
}

describe("top", () => {
  test("draws, draws anew in another size, and ends by q", LIMIT, async () => {
    const { at, hands, left, resize, end } = play(quiet);
    await until(() => at.output.text.includes("10.0.2.15"));
    assert.ok(at.output.text.includes("attach-9 (attach, 9): 1 flows"));
    at.output.text = "";
    at.output.width = 40;
    resize.listener?.();
    await until(() => at.output.text.includes("attach-9"));
    hands.press(Buffer.from("q"));
    await end;
    assert.equal(left.length, 1);
    assert.equal(resize.listener, undefined);
  });

  test("gives the terminal back at an interrupt", LIMIT, async () => {
    const { at, left, end } = play(quiet);
    await until(() => at.output.text.includes("10.0.2.15"));
    at.end.abort();
    await assert.rejects(end, /abort|cancel/i);
    assert.equal(left.length, 1);
  });

  test("gives it back before it tells of a lost connection", LIMIT, async () => {
    const { left, end } = play(async function* () {
      yield { isComplete: true, timeUs: 1n };
      throw new ConnectError("gone", Code.Unavailable);
    });
    await assert.rejects(end, /gone/);
    assert.equal(left.length, 1);
  });

  test("is for terminals", async () => {
    const at = stage({});
    const parts = { keyboard: undefined, leave: () => {}, onResize: () => () => {} };
    await assert.rejects(showTop(readTop(settingsOf({})), at, parts), /is for a terminal/);
  });
});
