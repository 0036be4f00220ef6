/** The same seed takes the same sample; what is listed as without effect is there, and left out. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { EQUIVALENT, readEquivalent } from "./equivalent.ts";
import { isEquivalent, sample } from "./sample.ts";

const FILES = [
  { file: "src/a/one.ts", text: "export const a = 1 + 2;\n" },
  { file: "src/a/two.ts", text: "export function f(): void {\n  g();\n}\n" },
];

describe("mutants/sample", () => {
  test("a seed gives every place once, in an order of its own", () => {
    const orders = [1, 2, 3, 4, 5, 6, 7, 8].map((seed) => [...sample("a", FILES, seed)]);
    for (const order of orders) {
      const places = order.map(({ file, line, kind }) => `${file}:${line}: ${kind}`);
      assert.deepEqual(places.sort(), [
        "src/a/one.ts:1: number",
        "src/a/one.ts:1: number",
        "src/a/one.ts:1: operator",
        "src/a/two.ts:2: call left out",
      ]);
    }
    assert.deepEqual([...sample("a", FILES, 1)], orders[0]);
    assert.ok(new Set(orders.map((order) => JSON.stringify(order))).size > 4);
    assert.notDeepEqual(
      [...sample("b", FILES, 1)].map(({ to }) => to),
      orders[0]?.map(({ to }) => to),
    );
  });

  test("a mutant is the whole file with one change", () => {
    const [mutant] = [...sample("a", FILES.slice(1), 1)];
    assert.deepEqual(mutant, {
      file: "src/a/two.ts",
      folder: "a",
      line: 2,
      kind: "call left out",
      from: "g();",
      to: ";",
      text: "export function f(): void {\n  ;\n}\n",
    });
  });

  test("a change is left out where file, lines before and lines after are listed", () => {
    const [mutant] = [...sample("a", FILES.slice(1), 1)];
    assert.ok(mutant !== undefined);
    const entry = { file: "src/a/two.ts", from: "g();", to: ";", why: "g does nothing" };
    assert.equal(isEquivalent(mutant, [entry]), true);
    for (const name of ["file", "from", "to"]) {
      assert.equal(isEquivalent(mutant, [{ ...entry, [name]: "other" }]), false, name);
    }
  });

  test("every line of the list is there still, and its change is argued", () => {
    for (const { file, from, to, why } of EQUIVALENT) {
      const text = readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");
      const bare = text.replaceAll(/^[ \t]+|[ \t]+$/gm, "");
      assert.ok(bare.includes(from), `${file} has no "${from}"`);
      assert.notEqual(from, to);
      assert.ok(why.length > 20, `${file}: "${why}" is no argument`);
    }
  });

  test("an entry without a field is refused", () => {
    assert.throws(
      () => readEquivalent('[{"file":"a","from":"b","to":"c"}]'),
      /entry 1 has no "why"/,
    );
    assert.throws(() => readEquivalent("{}"), /a list/);
  });
});
