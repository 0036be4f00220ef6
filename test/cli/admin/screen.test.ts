/** The terminal: what is taken is given back, once, and keys come in one piece. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Keyboard, Screen } from "../../../src/cli/admin/screen.ts";
import { KeptOutput } from "./support.ts";

class FakeKeyboard implements Keyboard {
  readonly calls: string[] = [];
  listener: ((octets: Buffer) => void) | undefined;

  setRawMode(isRaw: boolean): void {
    this.calls.push(isRaw ? "raw" : "cooked");
  }
  on(_event: "data", listener: (octets: Buffer) => void): void {
    this.listener = listener;
  }
  off(_event: "data", listener: (octets: Buffer) => void): void {
    assert.equal(listener, this.listener);
    this.listener = undefined;
  }
  resume(): void {
    this.calls.push("resume");
  }
  pause(): void {
    this.calls.push("pause");
  }
}

describe("screen", () => {
  test("takes the keyboard, hands keys on, and gives all back, closed once or twice", async () => {
    const [output, keyboard] = [new KeptOutput(80), new FakeKeyboard()];
    const keys: string[] = [];
    const before = process.listenerCount("exit");
    const left: string[] = [];
    const parts = { output, keyboard, onKey: (key: string) => keys.push(key) };
    const screen = new Screen({ ...parts, leave: (text) => left.push(text) });
    await screen.open();
    assert.equal(process.listenerCount("exit"), before + 1);
    assert.ok(output.text.includes("\u001b[?1049h"));
    keyboard.listener?.(Buffer.from("s\u001b[Aq"));
    assert.deepEqual(keys, ["s", "\u001b[A", "q"]);
    screen.close();
    screen.close();
    assert.deepEqual(keyboard.calls, ["raw", "resume", "cooked", "pause"]);
    assert.equal(left.length, 1);
    assert.match(left[0] ?? "", /\[\?25h.*\[\?1049l/);
    assert.equal(process.listenerCount("exit"), before);
    const length = output.text.length;
    await screen.show(["late"], 0);
    assert.equal(output.text.length, length, "nothing is drawn behind the end");
  });

  test("gives it back at the end of the process where nobody closes it", async () => {
    const keyboard = new FakeKeyboard();
    const left: string[] = [];
    const parts = { output: new KeptOutput(80), keyboard, onKey: () => {} };
    const screen = new Screen({ ...parts, leave: (text) => left.push(text) });
    await screen.open();
    const [listener] = process.listeners("exit").slice(-1);
    listener?.call(process, 0);
    assert.deepEqual([left.length, keyboard.calls.includes("cooked")], [1, true]);
    screen.close();
  });

  test("draws in one write, each line over the old one, the head standing out", async () => {
    const output = new KeptOutput(80);
    const parts = { output, keyboard: undefined, onKey: () => {}, leave: () => {} };
    const screen = new Screen(parts);
    await screen.open();
    output.text = "";
    await screen.show(["one", "two"], 1);
    assert.equal(output.text, "\u001b[H\u001b[Kone\r\n\u001b[K\u001b[7mtwo\u001b[0m\u001b[J");
    screen.close();
  });

  test("keys are letters and sequences", async () => {
    const keyboard = new FakeKeyboard();
    const keys: string[] = [];
    const parts = { output: new KeptOutput(80), keyboard, leave: () => {} };
    const screen = new Screen({ ...parts, onKey: (key) => keys.push(key) });
    await screen.open();
    keyboard.listener?.(Buffer.from("ab\u001b[5~\u001bOA\u001b[1;5Bé\u001b"));
    keyboard.listener?.(Buffer.from(""));
    screen.close();
    assert.deepEqual(keys, ["a", "b", "\u001b[5~", "\u001bOA", "\u001b[1;5B", "é", "\u001b"]);
  });
});
