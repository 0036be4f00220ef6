/** Those who wait for a worker: answered together, or told that there was no answer. */
import assert from "node:assert/strict";
import { describe, mock, test } from "node:test";
import { Answers } from "../../src/binding/answers.ts";

describe("answers", () => {
  test("all who wait hear of one answer, and who asks later waits for the next", async () => {
    const answers = new Answers();
    const both = [answers.wait(), answers.wait()];
    answers.came();
    assert.deepEqual(await Promise.all(both), [true, true]);
    const later = answers.wait();
    answers.end();
    assert.equal(await later, false);
    answers.came(); // nobody waits
  });

  test("a second without an answer is the end of waiting, and no earlier", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      const answers = new Answers();
      let came: boolean | undefined;
      const waiting = answers.wait().then((found) => {
        came = found;
      });
      mock.timers.tick(999);
      await Promise.resolve();
      assert.equal(came, undefined);
      mock.timers.tick(1);
      await waiting;
      assert.equal(came, false);
      const next = answers.wait();
      mock.timers.tick(999);
      answers.came();
      assert.equal(await next, true, "each row of waiting has its own second");
    } finally {
      mock.timers.reset();
    }
  });
});
