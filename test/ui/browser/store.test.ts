/** What the page keeps: flows that begin, move and end, the last minute, what a loss leaves. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Store } from "../../../src/ui/browser/store.ts";

const START_us = 1_000_000_000;

/** A store at a second, with what it is told. */
class Told {
  readonly store = new Store();
  #second = 0;

  constructor(pid = 1) {
    this.instance(pid);
  }

  instance(pid: number): void {
    const networks = [{ name: "a" }, { name: "b" }];
    this.store.apply({ instance: { pid, startedUs: String(pid), networks } });
  }

  /** As the service tells it: pieces without a time, and an end that has it. */
  flows(flows: readonly object[], ended: readonly object[] = []): void {
    const timeUs = String(START_us + this.#second * 1e6);
    this.store.apply({ flows: { flows } });
    this.store.apply({ flows: { ended, isComplete: true, timeUs } });
  }

  /** A second goes by. */
  tick(families: readonly object[] = []): void {
    this.#second += 1;
    const timeUs = String(START_us + this.#second * 1e6);
    assert.equal(this.store.apply({ stats: { timeUs, families } }), true);
  }

  /** Those that have ended with a cross. */
  keys(back = 0): string[] {
    const { flows = [] } = this.store.view(back, "")?.moment ?? {};
    return flows.map(({ key, ended_us }) => (ended_us === undefined ? key : `${key}†`));
  }

  get first() {
    return this.store.view(0, "")?.moment.flows[0];
  }
}

const flow = (id: number, more: object = {}): object => ({ network: "a", id, ...more });

describe("store", () => {
  test("there is no view before the first second", () => {
    assert.equal(new Store().view(0, ""), undefined);
  });

  test("a flow appears, ends, stays for some seconds as ended and goes", () => {
    const told = new Told();
    told.flows([flow(1), flow(2)]);
    told.tick();
    assert.deepEqual(told.keys(), ["a 1", "a 2"]);
    told.flows([], [flow(1)]);
    told.tick();
    assert.deepEqual(told.keys(), ["a 1†", "a 2"]);
    for (let i = 0; i < 6; i += 1) {
      told.tick();
      told.flows([]);
    }
    told.tick();
    assert.deepEqual(told.keys(), ["a 2"]);
  });

  test("ages are by the time that comes with the last piece", () => {
    const told = new Told();
    told.flows([flow(1, { ageUs: "250000" })]);
    told.tick();
    assert.equal(told.first?.born_us, START_us - 250_000);
  });

  test("a number that is used again is another flow, with no rate from the one before", () => {
    const told = new Told();
    told.flows([flow(1, { bytesToGuest: "100" })]);
    told.tick();
    told.flows([], [flow(1)]);
    told.tick();
    told.flows([flow(1, { bytesToGuest: "5000" })]);
    told.tick();
    assert.deepEqual([told.first?.rateToGuest, told.first?.ended_us], [0, undefined]);
  });

  test("a flow of which nothing is told has no rate", () => {
    const told = new Told();
    told.flows([flow(1, { bytesToGuest: "0" })]);
    told.tick();
    told.flows([flow(1, { bytesToGuest: "4000" })]);
    told.tick();
    assert.equal(told.first?.rateToGuest, 4000);
    told.flows([]);
    told.tick();
    assert.equal(told.first?.rateToGuest, 0);
  });

  test("flows and figures of the last minute can be looked at, and no older ones", () => {
    const told = new Told();
    for (let i = 1; i <= 90; i += 1) {
      told.flows([flow(i)]);
      told.tick([{ name: "slirp_guest_transmit_bytes_total", samples: [{ value: 1000 * i }] }]);
    }
    const { store } = told;
    assert.equal(store.depth, 60);
    assert.deepEqual([told.keys(0).length, told.keys(30).length], [90, 60]);
    const view = store.view(30, "");
    assert.equal(view?.isLive, false);
    assert.equal((view?.latest_us ?? 0) - (view?.moment.time_us ?? 0), 30e6);
    assert.equal(view?.figures?.toGuest, 8000);
    assert.equal(store.backOf(view?.moment.time_us ?? 0), 30);
    assert.equal(store.backOf(0), 60);
    assert.equal(store.view(0, "")?.points.length, 89);
  });

  test("events and lines are those up to the time that is looked at", () => {
    const told = new Told();
    for (let id = 1; id <= 3; id += 1) {
      told.store.apply({ event: { id: String(id), network: id === 2 ? "b" : "a" } });
      told.store.apply({ log: { text: `line ${id}` } });
      told.tick();
    }
    const ids = (back: number, network = "") =>
      told.store.view(back, network)?.events.map(({ id }) => id);
    assert.deepEqual([ids(0), ids(1), ids(2)], [[1, 2, 3], [1, 2], [1]]);
    assert.deepEqual(ids(0, "b"), [2]);
    const lines = told.store.view(1, "")?.lines.map(({ text }) => text);
    assert.deepEqual(lines, ["line 1", "line 2"]);
  });

  test("after a lost connection, what is told no more has ended; events do not come twice", () => {
    const told = new Told();
    told.flows([flow(1), flow(2)]);
    told.store.apply({ event: { id: "1" } });
    told.tick();
    told.store.reconnect();
    told.store.apply({ event: { id: "1" } });
    told.flows([flow(2)]);
    told.tick();
    assert.deepEqual(told.keys(), ["a 1†", "a 2"]);
    assert.equal(told.store.view(0, "")?.events.length, 1);
  });

  test("a moment at which flows have not been told yet is not kept", () => {
    const told = new Told();
    told.store.reconnect();
    told.tick();
    assert.deepEqual([told.keys(), told.store.depth], [[], 0]);
    told.flows([flow(1)]);
    told.tick();
    assert.deepEqual([told.keys(), told.store.depth], [["a 1"], 0]);
  });

  test("another program in its place has nothing of what was", () => {
    const told = new Told(1);
    told.flows([flow(1)]);
    told.store.apply({ event: { id: "5" } });
    told.tick();
    told.store.reconnect();
    told.instance(2);
    told.store.apply({ event: { id: "1" } });
    told.flows([flow(3)]);
    told.tick();
    assert.deepEqual(told.keys(), ["a 3"]);
    const ids = told.store.view(0, "")?.events.map(({ id }) => id);
    assert.deepEqual(ids, [1]);
  });

  test("what it is told is bounded", () => {
    const told = new Told();
    for (let id = 1; id <= 3000; id += 1) {
      told.store.apply({ event: { id: String(id) } });
      told.store.apply({ log: { text: "x" } });
    }
    told.tick();
    const view = told.store.view(0, "");
    assert.deepEqual([view?.events.length, view?.lines.length], [1024, 1000]);
  });

  test("a line of an unknown kind, or an old time, changes nothing", () => {
    const told = new Told();
    told.tick();
    assert.equal(told.store.apply({ news: {} }), false);
    assert.equal(told.store.apply({}), false);
    assert.equal(told.store.apply({ stats: { timeUs: "1" } }), false);
    assert.equal(told.store.depth, 0);
  });
});
