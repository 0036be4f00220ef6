/** Limits that go down while memory or descriptors are short, and come back. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Pressure } from "../../src/binding/pressure.ts";
import { FLOW_COST } from "../../src/config/limits.ts";
import type { EngineLimits } from "../../src/engine/engine.ts";

const MIB = 1 << 20;
const SECOND = 1_000_000;
const LIMITS = { flowsMax: 4096, chunksMax: 1024 };

/** A network whose memory and sockets are what the test says. */
class Stage {
  flowCount = 1000;
  chunkCount = 100;
  openedCount = 0;
  usedMib: number | undefined = 20;
  readonly asked: EngineLimits[] = [];
  readonly said: string[] = [];
  tightened = 0;
  looks = 0;
  now = SECOND;
  readonly pressure: Pressure;

  constructor(isBounded = true) {
    const stage = this;
    const gauge = {
      used: (): number | undefined => {
        this.looks += 1;
        return this.usedMib === undefined ? undefined : this.usedMib * MIB;
      },
    };
    this.pressure = new Pressure({
      engine: {
        get flowCount() {
          return stage.flowCount;
        },
        get chunkCount() {
          return stage.chunkCount;
        },
        setLimits: (limits) => void this.asked.push(limits),
      },
      sockets: {
        get openedCount() {
          return stage.openedCount;
        },
        tighten: () => {
          this.tightened += 1;
        },
      },
      memory: isBounded ? { group: { limit: 64 * MIB }, gauge, reserve: 4 * MIB } : undefined,
      limits: LIMITS,
      log: {
        warn: (_, text) => void this.said.push(`warn ${text}`),
        info: (_, text) => void this.said.push(`info ${text}`),
      },
    });
  }

  get last(): EngineLimits {
    return this.asked.at(-1) ?? LIMITS;
  }

  /** Turns for a while, ten a second. */
  run(seconds: number): void {
    for (const end = this.now + seconds * SECOND; this.now < end; this.now += SECOND / 10) {
      this.pressure.poll(this.now);
    }
  }
}

describe("Pressure", () => {
  test("with ample memory it looks once a second and changes nothing", () => {
    const stage = new Stage();
    stage.run(10);
    assert.ok(stage.looks <= 11, `${stage.looks} looks`);
    assert.deepEqual(stage.last, LIMITS);
    assert.deepEqual(stage.said, []);
    assert.equal(stage.pressure.wait(stage.now), undefined, "an idle network is not woken up");
  });

  test("many new sockets are a reason to look at once", () => {
    const stage = new Stage();
    stage.pressure.poll(stage.now);
    stage.openedCount += 511;
    stage.pressure.poll(stage.now + 1);
    assert.equal(stage.looks, 1);
    stage.openedCount += 1;
    stage.pressure.poll(stage.now + 2);
    assert.equal(stage.looks, 2);
  });

  test("close to the limit nothing grows", () => {
    const stage = new Stage();
    stage.usedMib = 58;
    stage.pressure.poll(stage.now);
    assert.equal(stage.last.flowsMax, 1000);
    assert.equal(stage.tightened, 0);
    assert.deepEqual(stage.said, []);
  });

  test("in the reserve flows end for what is missing, and it is told once", () => {
    const stage = new Stage();
    stage.usedMib = 61;
    stage.run(2);
    assert.equal(stage.asked[0]?.flowsMax, 1000 - Math.ceil(MIB / FLOW_COST));
    assert.ok(stage.last.flowsMax >= 64 && stage.last.chunksMax >= 64);
    assert.ok(stage.tightened > 1);
    assert.equal(stage.said.length, 1);
    assert.match(stage.said[0] ?? "", /^warn memory is short/);
    assert.equal(stage.pressure.count, 1);
  });

  test("at most a quarter of the flows end in one look, and 64 stay", () => {
    const stage = new Stage();
    stage.usedMib = 200;
    stage.pressure.poll(stage.now);
    assert.equal(stage.last.flowsMax, 750);
    stage.flowCount = 70;
    stage.now += SECOND;
    stage.pressure.poll(stage.now);
    assert.equal(stage.last.flowsMax, 64);
  });

  test("when it is over limits come back step by step, and that is told", () => {
    const stage = new Stage();
    stage.usedMib = 61;
    stage.pressure.poll(stage.now);
    stage.usedMib = 30;
    assert.ok((stage.pressure.wait(stage.now) ?? 0) > 0, "it wants to be woken up");
    stage.now += SECOND;
    stage.pressure.poll(stage.now);
    assert.ok(stage.last.flowsMax < LIMITS.flowsMax);
    stage.run(20);
    assert.deepEqual(stage.last, LIMITS);
    assert.equal(stage.said.length, 2);
    assert.match(stage.said[1] ?? "", /^info no longer short/);
    assert.equal(stage.pressure.wait(stage.now), undefined);
  });

  test("a gauge that says nothing, or none, changes nothing", () => {
    for (const stage of [new Stage(), new Stage(false)]) {
      stage.usedMib = undefined;
      stage.run(2);
      assert.deepEqual(stage.last, LIMITS);
    }
  });

  test("without descriptors flows end, once for as long as it helps", () => {
    const stage = new Stage();
    assert.equal(stage.pressure.shortOfSockets(stage.now), true);
    assert.equal(stage.last.flowsMax, 984);
    assert.equal(stage.pressure.shortOfSockets(stage.now + 1), false, "none has ended");
    stage.flowCount = 984;
    assert.equal(stage.pressure.shortOfSockets(stage.now + 2), true);
    assert.equal(stage.last.flowsMax, 968);
    assert.deepEqual(stage.said.length, 1);
    stage.run(20);
    assert.deepEqual(stage.last, LIMITS);
  });
});
