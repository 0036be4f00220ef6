/** Descriptors of whoever supervises the program. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EXIT_OPTIONS, READY_OPTIONS } from "../../src/config/supervision.ts";
import { settingsOf } from "./support.ts";

for (const [name, option] of [
  ["ready-fd", READY_OPTIONS.readyFd],
  ["exit-fd", EXIT_OPTIONS.exitFd],
] as const) {
  test(`--${name} is a descriptor's number`, () => {
    const read = (text: string) => option.read(settingsOf({ [name]: text }));
    assert.equal(option.read(new Map()), undefined);
    assert.deepEqual([read("0"), read("1048575")], [0, 1048575]);
    for (const text of ["-1", "1048576", "stdin", ""]) {
      assert.throws(() => read(text), {
        message: `parse --${name} "${text}": wanted an integer from 0 to 1048575`,
      });
    }
  });
}
