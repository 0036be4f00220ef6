/** Limits that go down while memory or descriptors are short, and come back. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Pressure } from "../../src/binding/pressure.ts";
import { FLOW_COST } from "../../src/config/limits.ts";
import type { EngineLimits } from "../../src/engine/host-engine.ts";

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
  readonly fields: unknown[] = [];
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
        warn: (fields, text) => this.#take(fields, `warn ${text}`),
        info: (fields, text) => this.#take(fields, `info ${text}`),
      },
    });
  }

  #take(fields: unknown, text: string): void {
    this.fields.push(fields);
    this.said.push(text);
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

  test("is over when the last of the limits is as it was, whichever that is", () => {
    const shortages: readonly ((stage: Stage) => void)[] = [
      (stage) => {
        stage.usedMib = 200;
        stage.flowCount = 80;
        stage.chunkCount = 1900;
        stage.pressure.poll(stage.now);
      },
      (stage) => {
        stage.usedMib = 61;
        stage.flowCount = 4096;
        stage.chunkCount = 130;
        stage.pressure.poll(stage.now);
      },
      (stage) => {
        stage.flowCount = 100;
        stage.pressure.shortOfSockets(stage.now);
      },
    ];
    for (const shorten of shortages) {
      const stage = new Stage();
      shorten(stage);
      stage.usedMib = 20;
      for (let looks = 0; stage.said.length < 2; looks += 1) {
        assert.ok(looks < 30, "it is never over");
        assert.notDeepEqual(stage.last, LIMITS);
        stage.now += SECOND + 1;
        stage.pressure.poll(stage.now);
      }
      assert.deepEqual(stage.last, LIMITS);
    }
  });

  test("of an odd number of chunks the smaller half stays", () => {
    const stage = new Stage();
    stage.usedMib = 61;
    stage.chunkCount = 301;
    stage.pressure.poll(stage.now);
    assert.equal(stage.last.chunksMax, 150);
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
    assert.match(stage.said[1] ?? "", /^info shortage over/);
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

  test("the lines have figures and say what follows", () => {
    const stage = new Stage();
    stage.usedMib = 61.4;
    stage.pressure.poll(stage.now);
    stage.pressure.shortOfSockets(stage.now);
    assert.deepEqual(stage.said, ["warn memory is short: idle flows end"]);
    assert.deepEqual(stage.fields, [
      { event: "limit_reached", used_mib: 61, limit_mib: 64, flows: 1000 },
    ]);
    stage.usedMib = 20;
    stage.run(30);
    assert.deepEqual(stage.said.slice(1), ["info shortage over, limits restored"]);
    stage.flowCount = 1000;
    assert.equal(stage.pressure.shortOfSockets(stage.now), true);
    assert.deepEqual(stage.said.slice(2), [
      "warn descriptors are short: idle flows end for new ones",
    ]);
    assert.equal(stage.pressure.count, 2);
  });

  test("memory has three states, with bounds between them", () => {
    for (const [usedMib, flowsMax, count] of [
      [56, 4096, 0],
      [56.001, 1000, 0],
      [60, 1000, 0],
      [60.001, 999, 1],
    ] as const) {
      const stage = new Stage();
      stage.usedMib = usedMib;
      stage.pressure.poll(stage.now);
      assert.equal(stage.last.flowsMax, flowsMax, `${usedMib} MiB`);
      assert.equal(stage.pressure.count, count, `${usedMib} MiB`);
    }
  });

  test("looks are ten times as often while memory is not ample", () => {
    const stage = new Stage();
    stage.usedMib = 58;
    for (const [now, looks] of [
      [0, 1],
      [99_999, 1],
      [100_000, 2],
      [199_999, 2],
      [200_000, 3],
    ] as const) {
      stage.pressure.poll(stage.now + now);
      assert.equal(stage.looks, looks, `after ${now} us`);
    }
    stage.usedMib = 20;
    stage.pressure.poll(stage.now + 300_000);
    stage.pressure.poll(stage.now + 1_299_999);
    assert.equal(stage.looks, 4);
    stage.pressure.poll(stage.now + 1_300_000);
    assert.equal(stage.looks, 5);
  });

  test("under pressure it wants to be woken up a second after it has looked", () => {
    const stage = new Stage();
    stage.usedMib = 58;
    stage.pressure.poll(stage.now);
    assert.equal(stage.pressure.wait(stage.now), SECOND);
    assert.equal(stage.pressure.wait(stage.now + 300_000), 700_000);
    assert.equal(stage.pressure.wait(stage.now + 2 * SECOND), 0);
  });

  test("payload is halved at each look, and 64 chunks stay; a sixteenth comes back", () => {
    const stage = new Stage();
    stage.usedMib = 61;
    stage.chunkCount = 1000;
    const chunks = [500, 250, 125, 64, 64];
    for (const wanted of chunks) {
      stage.pressure.poll(stage.now);
      assert.equal(stage.last.chunksMax, wanted);
      stage.now += SECOND;
    }
    stage.usedMib = 20;
    for (const wanted of [128, 192, 256]) {
      stage.pressure.poll(stage.now);
      assert.equal(stage.last.chunksMax, wanted);
      stage.now += SECOND;
    }
  });

  test("without descriptors places come back by a sixteenth a second, a second later on", () => {
    const stage = new Stage();
    assert.equal(stage.pressure.shortOfSockets(stage.now), true);
    const flows: number[] = [];
    for (let i = 0; i < 4; i += 1) {
      stage.pressure.poll(stage.now);
      flows.push(stage.last.flowsMax);
      stage.now += SECOND;
    }
    assert.deepEqual(flows, [984, 984, 1240, 1496]);
    stage.flowCount = 20;
    assert.equal(stage.pressure.shortOfSockets(stage.now), true);
    assert.equal(stage.last.flowsMax, 16, "sixteen are left in any case");
    assert.equal(stage.pressure.shortOfSockets(stage.now + SECOND), true, "a second later");
  });
});
