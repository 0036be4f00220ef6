/** Published ports as they are named to be removed, and what is left of a rule without them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { clashesWith } from "../../src/config/publish-checks.ts";
import { formatRule, parsePublish, runOf } from "../../src/config/publish-rule.ts";
import { concerns, covers, parsePublished, without } from "../../src/config/published-ports.ts";

const SEED = 20261130;

const address = fc.constantFrom("", "0.0.0.0:", "192.0.2.1:", "[::]:", "[2001:db8::1]:");
const guest = fc.constantFrom("", "10.0.2.50:");
/** A rule as it is written, in the form that `formatRule` has, and its host's part. */
const written = fc
  .tuple(
    address,
    fc.integer({ min: 1, max: 60_000 }),
    fc.integer({ min: 1, max: 200 }),
    guest,
    fc.integer({ min: 1, max: 60_000 }),
    fc.constantFrom("", "/udp"),
  )
  .filter(([host, , , to, , protocol]) => protocol === "" || to === "" || /^\d/.test(host))
  .map(([host, first, count, to, port, protocol]) => {
    const ports = count > 1 ? `${first}-${first + count - 1}` : `${first}`;
    return { text: `${host}${ports}:${to}${port}${protocol}`, named: `${host}${ports}${protocol}` };
  });

describe("rules as text", () => {
  test("any rule is written as it is read", () => {
    fc.assert(
      fc.property(written, ({ text }) => {
        assert.equal(formatRule(parsePublish(text)), text);
        assert.equal(
          formatRule(parsePublish(`${text.replace("/udp", "")}/tcp`)).includes("/"),
          false,
        );
      }),
      { seed: SEED, numRuns: 200 },
    );
  });

  test("any rule that is named whole, or by its host's part, is meant and covered", () => {
    fc.assert(
      fc.property(written, ({ text, named }) => {
        const rule = parsePublish(text);
        for (const name of [text, named]) {
          const ports = parsePublished(name);
          assert.ok(concerns(ports, rule) && covers(ports, rule), name);
          assert.deepEqual(without(ports, rule), []);
        }
      }),
      { seed: SEED, numRuns: 200 },
    );
  });

  test("what makes no sense is refused", () => {
    for (const text of [
      "",
      "http",
      "0",
      "65536",
      "9-8",
      "[fe80::1]:80",
      "224.0.0.1:80",
      "80/sctp",
    ]) {
      assert.throws(() => parsePublished(text), { name: "ConfigError" }, text);
    }
  });
});

describe("ports that are named", () => {
  const rule = parsePublish("8000-8009:80");

  test("others have nothing to do with it", () => {
    for (const text of [
      ...["7999", "8010", "8005/udp", "0.0.0.0:8005", "127.0.0.1:8005", "7990-7999"],
      ...["8000-8009:81", "8005:80", "8000-8009:10.0.2.50:80"],
    ]) {
      assert.equal(concerns(parsePublished(text), rule), false, text);
    }
  });

  test("a part of a rule concerns it and does not cover it", () => {
    for (const text of ["8000", "8009", "8003-8005", "7000-8000", "8005:85"]) {
      const ports = parsePublished(text);
      assert.deepEqual([concerns(ports, rule), covers(ports, rule)], [true, false], text);
    }
  });

  test("what is left of a rule is before and behind them", () => {
    const left = (text: string) => without(parsePublished(text), rule).map(formatRule);
    assert.deepEqual(left("8000"), ["8001-8009:81"]);
    assert.deepEqual(left("8009"), ["8000-8008:80"]);
    assert.deepEqual(left("8003-8005"), ["8000-8002:80", "8006-8009:86"]);
    assert.deepEqual(left("7000-9000"), []);
    assert.deepEqual(left("9000"), ["8000-8009:80"]);
  });

  test("a part of a range is a rule", () => {
    const range = parsePublish("127.0.0.1:8000-8009:10.0.2.50:80/udp");
    assert.deepEqual(runOf(range, 0, 10), range);
    assert.equal(formatRule(runOf(range, 3, 2)), "127.0.0.1:8003-8004:10.0.2.50:83/udp");
    assert.deepEqual(runOf(range, 9, 1), parsePublish("127.0.0.1:8009:10.0.2.50:89/udp"));
  });
});

describe("rules that want the same port", () => {
  test("by number, protocol and address", () => {
    const rules = ["80:80", "127.0.0.1:81:81", "0.0.0.0:8000-8009:80", "53:53/udp"].map(
      parsePublish,
    );
    const clashes = (text: string) => clashesWith(rules, parsePublish(text)).map(formatRule);
    assert.deepEqual(clashes("80:8080"), ["80:80"]);
    assert.deepEqual(clashes("[::1]:80:8080"), ["80:80"]);
    assert.deepEqual(clashes("70-8005:1"), ["80:80", "127.0.0.1:81:81", "0.0.0.0:8000-8009:80"]);
    for (const text of [
      "82:82",
      "80:80/udp",
      "127.0.0.2:81:81",
      "[::]:8005:80",
      "79:1",
      "8010:1",
    ]) {
      assert.deepEqual(clashes(text), [], text);
    }
  });
});
