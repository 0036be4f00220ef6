/** The demonstration's resolver: what it answers, and to what it says nothing. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { answerQuestion } from "../../src/lab/demo/names.ts";
import { readDnsAnswer, writeDnsQuestion } from "../../src/lab/sim/guest/dns.ts";

const ZONE = new Map([["files.demo.test", "192.0.2.7"]]);
const TYPE_AAAA = 28;

describe("the demonstration's resolver", () => {
  test("knows the names of its zone, in letters of either case", () => {
    for (const name of ["files.demo.test", "Files.DEMO.test"]) {
      const answer = answerQuestion(writeDnsQuestion(77, name), ZONE);
      assert.deepEqual(answer && readDnsAnswer(answer, 77), { code: 0, addresses: ["192.0.2.7"] });
    }
  });

  test("says that there is no other name", () => {
    const answer = answerQuestion(writeDnsQuestion(78, "other.demo.test"), ZONE);
    assert.deepEqual(answer && readDnsAnswer(answer, 78), { code: 3, addresses: [] });
  });

  test("has no addresses of other kinds, but no error either", () => {
    const question = writeDnsQuestion(79, "files.demo.test");
    question[question.length - 3] = TYPE_AAAA;
    const answer = answerQuestion(question, ZONE);
    assert.deepEqual(answer && readDnsAnswer(answer, 79), { code: 0, addresses: [] });
  });

  test("leaves out what comes behind the question", () => {
    const question = writeDnsQuestion(80, "files.demo.test");
    const extended = Uint8Array.of(...question, 0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0);
    extended[11] = 1; // one additional record
    const answer = answerQuestion(extended, ZONE);
    assert.deepEqual(answer, answerQuestion(question, ZONE));
  });

  test("is silent to what is no question, and to what is cut short", () => {
    const question = writeDnsQuestion(81, "files.demo.test");
    const response = question.slice();
    response[2] = 0x80;
    const two = question.slice();
    two[5] = 2;
    assert.equal(answerQuestion(response, ZONE), undefined);
    assert.equal(answerQuestion(two, ZONE), undefined);
    for (let length = 0; length < question.length; length += 1) {
      assert.equal(answerQuestion(question.subarray(0, length), ZONE), undefined, `${length}`);
    }
  });
});
