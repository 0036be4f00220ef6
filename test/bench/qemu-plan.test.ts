/** Bars of the guest under QEMU: ratios within a repetition, and what a run is asked for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BARS, judge, keyOf, parseOptions, type Sample } from "../../bench/qemu-plan.ts";

const sample = (value: number): Sample => ({ value, cpu_s: 1, work: value });

test("a bar is judged by the median of ratios within repetitions", () => {
  const results = new Map([
    [keyOf("up1", "vhost-user", 1500), [sample(4), undefined, sample(30), sample(8)]],
    [keyOf("up1", "stream", 1500), [sample(2), sample(1), sample(10), sample(1)]],
    [keyOf("up1", "user", 1500), [sample(2), sample(1), undefined, sample(4)]],
  ]);
  const found = judge(results).map(({ bar, ratio, met }) => ({ ...bar, ratio, met }));
  const up = { metric: "up1", mtu: 1500 };
  assert.deepEqual(found, [
    { ...up, kind: "vhost-user", against: "user", factor: 4, ratio: 2, met: false },
    { ...up, kind: "vhost-user", against: "stream", factor: 2, ratio: 3, met: true },
    { ...up, kind: "stream", against: "user", factor: 1.5, ratio: 1, met: false },
  ]);
});

test("a bar without a common repetition is missed", () => {
  const results = new Map([
    [keyOf("rr", "client", 1500), [undefined]],
    [keyOf("rr", "user", 1500), [sample(1)]],
  ]);
  assert.deepEqual(
    judge(results).map(({ met }) => met),
    [false],
  );
});

test("every bar compares a link of ours, at most once with each other one", () => {
  const names = BARS.map(({ factor: _, ...rest }) => JSON.stringify(rest));
  assert.equal(new Set(names).size, names.length);
  assert.ok(BARS.every(({ kind, against }) => kind !== against && kind !== "user"));
});

test("words choose links, MTUs and metrics; a stray one is refused", () => {
  const { kinds, mtus, metrics, reps } = parseOptions(["--only", "user,rr", "--reps", "2"]);
  assert.deepEqual(
    { kinds, mtus, metrics, reps },
    {
      ...{ kinds: ["user"], mtus: [1500, 65520], metrics: ["rr"], reps: 2 },
    },
  );
  assert.throws(() => parseOptions(["--only", "vhost"]), /no link, no MTU and no metric/);
  assert.throws(() => parseOptions(["--reps", "0"]), /from 1 on/);
});
