/** Questions of the guest and the modelled resolver's answers. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readDnsAnswer, writeDnsQuestion } from "../../../src/lab/sim/guest/dns.ts";
import { answerQuestion } from "../../../src/lab/sim/host/resolver.ts";
import { Pair, RIGHT } from "./pair.ts";

describe("sim/guest/dns", () => {
  test("a question is written as RFC 1035 has it", () => {
    const question = writeDnsQuestion(0x1234, "a.example");
    const text = Buffer.from(question).toString("hex");
    assert.equal(
      text,
      "12340100000100000000000001610765786d61706c650000010001".replace(
        "65786d61706c65",
        Buffer.from("example").toString("hex"),
      ),
    );
  });

  test("a name with an empty or long label cannot be asked for", () => {
    assert.throws(() => writeDnsQuestion(1, "a..b"), RangeError);
    assert.throws(() => writeDnsQuestion(1, `${"x".repeat(64)}.b`), RangeError);
  });

  test("the resolver's answer is understood, another identifier's is not", () => {
    const answer = answerQuestion(writeDnsQuestion(7, "host.example")) ?? new Uint8Array(0);
    const read = readDnsAnswer(answer, 7);
    assert.equal(read?.code, 0);
    assert.match(read?.addresses[0] ?? "", /^198\.19\.\d+\.\d+$/);
    assert.equal(readDnsAnswer(answer, 8), undefined);
    assert.equal(answerQuestion(answer), undefined);
  });

  test("cut-off answers are no answers", () => {
    const answer = answerQuestion(writeDnsQuestion(7, "host.example")) ?? new Uint8Array(0);
    for (let length = 0; length < answer.length; length += 1) {
      assert.equal(readDnsAnswer(answer.subarray(0, length), 7), undefined, `${length}`);
    }
  });

  test("a question is asked again, and given up after the third time", () => {
    const pair = new Pair();
    const asked: Uint8Array[] = [];
    const server = pair.right.openUdp(53, {
      received: ({ from, fromPort, payload }) => {
        asked.push(payload);
        const answer = asked.length === 2 ? answerQuestion(payload) : undefined;
        if (answer !== undefined) server.send(from, fromPort, answer);
      },
    });
    let answers = 0;
    pair.left.resolve(RIGHT, "one.example", pair.clock.now, (answer) => {
      answers += answer?.addresses.length ?? -1;
    });
    assert.ok(pair.run(10_000_000, () => answers === 1));
    assert.equal(asked.length, 2);
    pair.left.resolve(RIGHT, "two.example", pair.clock.now, (answer) => {
      answers += answer === undefined ? 10 : 0;
    });
    assert.ok(pair.run(20_000_000, () => answers === 11));
    assert.equal(asked.length, 5);
  });
});
