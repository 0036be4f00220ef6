/** What the loop does between packets. Goal: the soonest wait counts, and everybody is asked. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Housekeeping } from "../../src/binding/housekeeping.ts";
import type { HostEngine } from "../../src/engine/host-engine.ts";

const engine = {} as HostEngine; // only handed on

test("waits for the soonest, and for nobody where nobody waits", () => {
  const chore = (wait?: number) => ({ wait: () => wait, poll: () => {} });
  const waitOf = (...waits: (number | undefined)[]): number | undefined => {
    const [resolver, ...chores] = waits.map((wait) => chore(wait));
    return new Housekeeping([resolver ?? chore()], chores).wait(0);
  };
  assert.equal(waitOf(undefined), undefined);
  assert.equal(waitOf(undefined, undefined), undefined);
  assert.equal(waitOf(50, undefined, 20, 30), 20);
  assert.equal(waitOf(10, 20), 10);
  assert.equal(waitOf(undefined, 0), 0);
});

test("asks everybody", () => {
  const asked: string[] = [];
  const resolver = {
    wait: () => undefined,
    poll: (given: HostEngine, now: number) =>
      void asked.push(`resolver ${given === engine} ${now}`),
    notice: () => void asked.push("resolver hears"),
  };
  const chore = { wait: () => undefined, poll: (now: number) => void asked.push(`chore ${now}`) };
  const silent = { wait: () => undefined, poll: () => {} };
  const housekeeping = new Housekeeping([resolver, silent], [chore, chore]);
  housekeeping.poll(engine, 7);
  housekeeping.notice(5);
  assert.deepEqual(asked, ["resolver true 7", "chore 7", "chore 7", "resolver hears"]);
});
