/** Loss, round trip and buffer against throughput: a frozen table, so that every change shows. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { CELLS, measureAll, nameOf, render } from "./throughput.ts";

const ADVICE = "if it was meant: node --import tsx test/sim/update-throughput.ts";

function read(path: string): string {
  return readFileSync(new URL(path, import.meta.url), "utf8");
}

function frozen(): Record<string, number> {
  return JSON.parse(read("./throughput.json"));
}

describe("sim: throughput", () => {
  test("the table is what it was", () => {
    const [before, now] = [frozen(), measureAll()];
    const changed = CELLS.map(nameOf)
      .filter((name) => before[name] !== now[name])
      .map((name) => `${name}: ${before[name] ?? "new"} -> ${now[name]} kB/s`);
    assert.equal(changed.length, 0, `${changed.join("\n")}\n${ADVICE}`);
    assert.equal(Object.keys(before).length, CELLS.length, ADVICE);
  });

  test("the table makes sense: loss and distance cost, a larger buffer does not", () => {
    const table = frozen();
    for (const direction of ["down", "up"] as const) {
      const at = (loss: number, roundTripMs: number, buffer: number): number =>
        table[nameOf({ direction, loss, roundTripMs, buffer })] ?? 0;
      assert.ok(at(0, 20, 65_536) > at(0, 100, 65_536));
      assert.ok(at(0, 20, 65_536) > at(50_000, 20, 65_536));
      assert.ok(at(0, 100, 1_048_576) > at(0, 100, 16_384));
      // A window per round trip is what a small buffer allows at best.
      assert.ok(at(0, 100, 16_384) <= 164);
    }
  });

  test("the document shows the same", () => {
    assert.equal(read("../../docs/throughput.md"), render(frozen()), ADVICE);
  });
});
