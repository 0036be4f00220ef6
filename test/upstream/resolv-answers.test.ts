/** Answers about resolv.conf as one thread writes and another reads them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ANSWER_SIZE_MAX, ResolvAnswers } from "../../src/upstream/resolv-answers.ts";

const text = new TextEncoder();

describe("answers about resolv.conf", () => {
  test("the last one is seen by whoever has the memory, with a version of its own", () => {
    const main = new ResolvAnswers();
    const worker = new ResolvAnswers(main.memory);
    assert.equal(worker.read(), undefined);
    main.write(text.encode("nameserver 192.0.2.1\nok"));
    const first = worker.read();
    assert.equal(first?.text, "nameserver 192.0.2.1\nok");
    assert.equal(first?.version, worker.version);
    main.write(text.encode("gone"));
    assert.equal(worker.read()?.text, "gone", "nothing is left of a longer one");
    main.write(text.encode("gone"));
    assert.notEqual(worker.version, first?.version, "the same answer is news, too");
    main.write(new Uint8Array(ANSWER_SIZE_MAX).fill(65));
    assert.equal(worker.read()?.text.length, ANSWER_SIZE_MAX);
  });

  test("one that is being written is not read", () => {
    const main = new ResolvAnswers();
    const worker = new ResolvAnswers(main.memory);
    main.write(text.encode("ok"));
    const seen: unknown[] = [];
    // Looks in the middle of the next one.
    const octets = text.encode("nameserver 192.0.2.1\nok");
    const entries = octets.entries.bind(octets);
    octets.entries = () => {
      seen.push(worker.read());
      return entries();
    };
    main.write(octets);
    assert.deepEqual(seen, [undefined]);
    assert.equal(worker.read()?.text, "nameserver 192.0.2.1\nok");
  });

  test("one that another one has overwritten meanwhile is not read", () => {
    const answers = new ResolvAnswers();
    answers.write(text.encode("ok"));
    const versions = [2, 4];
    Object.defineProperty(answers, "version", { get: () => versions.shift() });
    assert.equal(answers.read(), undefined);
  });

  test("the memory is three words and 64 KiB of a file with what came of it", () => {
    const answers = new ResolvAnswers();
    assert.equal(answers.memory.byteLength, 3 * 4 + 65_536 + 16);
    const words = new Int32Array(answers.memory, 0, 3);
    answers.isThere = true;
    answers.write(text.encode("gone"));
    assert.deepEqual([...words], [1, 2, 4]);
    answers.isThere = false;
    assert.equal(words[0], 0);
  });

  test("whether there is somebody to ask", () => {
    const main = new ResolvAnswers();
    const worker = new ResolvAnswers(main.memory);
    assert.equal(worker.isThere, false);
    main.isThere = true;
    assert.equal(worker.isThere, true);
    main.isThere = false;
    assert.equal(worker.isThere, false);
  });
});
