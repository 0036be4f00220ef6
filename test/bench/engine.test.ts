/**
 * The engine's benchmark at a small scale: every load is done by the real engine and comes to an
 * end, alone and beside other flows, and another checkout is measured in turns with this one.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { LOADS, Loads } from "../../bench/engine/loads.ts";
import {
  bundleCounted,
  type Figures,
  isMet,
  lendHarness,
  repeat,
} from "../../bench/engine-sides.ts";
import { ROOT } from "../support/e2e/program.ts";

const HARNESS = "bench/engine/child.ts";
const AMOUNT = { reps: 1, pairs: 3, cpu_us: 500, warm_us: 500 };

const none = (): Figures => ({ own: [], other: [], ratios: [], errors: [] });

/** A folder with the built engine and what its harness imports, without the harness. */
function otherCheckout(): string {
  const folder = mkdtempSync(join(tmpdir(), "slirp-checkout-"));
  for (const name of ["src", "wasm", "dist", "package.json"]) {
    symlinkSync(join(ROOT, name), join(folder, name));
  }
  mkdirSync(join(folder, "bench"));
  return folder;
}

describe("the engine's loads", () => {
  for (const crowd of [0, 100]) {
    test(`each is done, beside ${crowd} flows, and leaves nothing to do`, () => {
      const loads = new Loads(crowd);
      for (const load of [...LOADS, ...LOADS]) {
        const { count, cpu_us } = loads.run(load, 200);
        assert.ok(count >= 32 && cpu_us >= 200, load);
      }
    });
  }
});

describe("two checkouts", () => {
  test("what is counted does as much each time, and more where it is to do more", async () => {
    const folder = otherCheckout();
    try {
      const takeBack = lendHarness(folder);
      const file = await bundleCounted(folder);
      const does = (load: string, looks: number): number =>
        Number(execFileSync("node", [file, load, "0", String(looks)], { stdio: "pipe" }));
      const [short, again, long] = [does("udp-up", 3), does("udp-up", 3), does("udp-up", 6)];
      assert.ok(short > 0);
      assert.equal(again, short);
      assert.equal(long, 2 * short);
      assert.throws(() => does("unheard-of", 3), /there is no load "unheard-of"/);
      takeBack();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("another one without a harness is lent this one's, and asked in turns", async () => {
    const folder = otherCheckout();
    const figures = [none(), none()];
    try {
      const takeBack = lendHarness(folder);
      assert.ok(existsSync(join(folder, HARNESS)));
      const metrics = [
        { load: "udp-up", crowd: 0 },
        { load: "unheard-of", crowd: 0 },
      ];
      await repeat(metrics, AMOUNT, folder, figures);
      takeBack();
      assert.ok(!existsSync(join(folder, HARNESS)));
    } finally {
      rmSync(folder, { recursive: true });
    }
    const [known = none(), unknown = none()] = figures;
    assert.deepEqual(known.errors, []);
    const [own = 0] = known.own;
    const [other = 0] = known.other;
    assert.ok(own > 1000 && other > 1000 && known.ratios.length === 1);
    assert.deepEqual(unknown, { ...none(), errors: ["there is no such load"] });
  });

  test("one that has a harness keeps it, one without an engine is refused", () => {
    lendHarness(ROOT)();
    assert.ok(existsSync(join(ROOT, HARNESS)));
    assert.throws(() => lendHarness(tmpdir()), /npm run build/);
  });

  test("the bar is for the median, and an error misses it", () => {
    assert.equal(isMet({ ...none(), ratios: [0.9, 0.98, 1.2] }), true);
    assert.equal(isMet({ ...none(), ratios: [0.9, 0.97, 1.2] }), false);
    assert.equal(isMet(none()), false);
    assert.equal(isMet({ ...none(), ratios: [1], errors: ["stalls"] }), false);
  });
});
