/** Networks of a sidecar that fail: when they are started again, and an end meanwhile. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatRule, parsePublish } from "../../src/config/publish-rule.ts";
import { parsePublished } from "../../src/config/published-ports.ts";
import { deferred } from "../../src/lib/deferred.ts";
import { type FakeBinding, network, Stage, settled } from "../support/networks-stage.ts";

describe("networks that fail", () => {
  test("one that fails is started again after a pause, the others go on", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a"), network("b")]);
    stage.told();
    stage.get(0).fail("trap");
    await settled();
    assert.deepEqual(stage.told(), [
      "error event=network_failed iface=a problem=trap restart_ms=100: guest network failed",
    ]);
    await stage.clock.pass(99);
    assert.equal(stage.started.length, 2);
    await stage.clock.pass(1);
    assert.deepEqual(stage.told(), [
      "info event=network_restarted iface=a: guest network restarted",
    ]);
    assert.equal(stage.get(2).options, stage.get(0).options);
    assert.deepEqual(
      stage.networks.all.map(({ name, binding }) => [
        name,
        stage.started.indexOf(binding as FakeBinding),
      ]),
      [
        ["a", 2],
        ["b", 1],
      ],
    );
    await stage.networks.close();
    assert.deepEqual(
      stage.started.map(({ stops }) => stops),
      [0, 1, 1],
    );
    assert.deepEqual(stage.networks.all, []);
  });

  test("ports that came and went are so again, and equal options leave them", async () => {
    const stage = new Stage();
    const wanted = [network("a")];
    await stage.networks.prepare(wanted);
    const [running] = stage.networks.all;
    running?.ports?.add(parsePublish("8080:80"));
    running?.ports?.add(parsePublish("53:53/udp"));
    running?.ports?.remove(parsePublished("53/udp"));
    await stage.networks.prepare([network("a")]);
    assert.equal(stage.started.length, 1);
    for (const times of [1, 2]) {
      stage.get(times - 1).fail("trap");
      await settled();
      await stage.clock.pass(10_000);
      const { publish } = stage.get(times).options;
      assert.deepEqual([publish.rules, publish.added?.map(formatRule)], [[], ["8080:80"]]);
    }
    await stage.networks.prepare([network("a")]);
    assert.equal(stage.started.length, 3, "they are no other options");
    await stage.networks.prepare([network("a", 4001)]);
    assert.equal(stage.get(3).options.publish.added, undefined, "a new network is without them");
    await stage.networks.close();
  });

  test("pauses double up to ten seconds, and are short after as long without failure", async () => {
    const stage = new Stage();
    const { clock } = stage;
    await stage.networks.prepare([network("a")]);
    const pauses: number[] = [];
    const fail = async (): Promise<void> => {
      stage.told();
      stage.get(stage.started.length - 1).fail("trap");
      await settled();
      const pause_ms = Number(
        /restart_ms=(\d+): guest network failed/.exec(stage.told()[0] ?? "")?.[1],
      );
      pauses.push(pause_ms);
      const count = stage.started.length;
      await clock.pass(pause_ms - 1);
      assert.equal(stage.started.length, count, `not before ${pause_ms} ms`);
      await clock.pass(1);
      assert.equal(stage.started.length, count + 1, `after ${pause_ms} ms`);
    };
    for (let i = 0; i < 9; i += 1) await fail();
    await clock.pass(10_000);
    await fail();
    await clock.pass(10_001);
    await fail();
    await fail();
    assert.deepEqual(
      pauses,
      [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000, 100, 200],
    );
    await stage.networks.close();
  });

  test("how long one has run is reckoned from its own start", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a")]);
    stage.get(0).fail("trap");
    await settled();
    await stage.clock.pass(100);
    await stage.clock.pass(9950);
    stage.told();
    stage.get(1).fail("trap");
    await settled();
    assert.match(stage.told()[0] ?? "", /restart_ms=200/);
    await stage.networks.close();
  });

  test("one that cannot start again is tried until it can", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a")]);
    stage.refusals.push(new Error("port taken"), new Error("port still taken"));
    stage.get(0).fail("trap");
    await settled();
    stage.told();
    await stage.clock.pass(100);
    await stage.clock.pass(200);
    assert.equal(stage.started.length, 1);
    await stage.clock.pass(400);
    assert.equal(stage.started.length, 2);
    const failed = "error event=network_failed iface=a";
    assert.deepEqual(stage.told(), [
      `${failed} problem=port taken restart_ms=200: guest network cannot start`,
      `${failed} problem=port still taken restart_ms=400: guest network cannot start`,
      "info event=network_restarted iface=a: guest network restarted",
    ]);
    await stage.networks.close();
    assert.equal(stage.get(1).stops, 1);
  });

  test("the end while a restart is to come gives it up", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a")]);
    stage.get(0).fail("trap");
    await settled();
    assert.equal(stage.clock.waiting, 1);
    await stage.networks.close();
    assert.equal(stage.clock.waiting, 0);
    await stage.clock.pass(60_000);
    assert.deepEqual([stage.started.length, stage.get(0).stops], [1, 0]);
  });

  test("the end while a restart is under way ends what it starts", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a")]);
    stage.get(0).fail("trap");
    await settled();
    const gate = deferred();
    stage.gate = gate.promise;
    await stage.clock.pass(100);
    stage.told();
    let isClosed = false;
    const closing = stage.networks.close().then(() => {
      isClosed = true;
    });
    await settled();
    assert.equal(isClosed, false);
    gate.resolve();
    await closing;
    assert.equal(stage.get(1).stops, 1);
    assert.deepEqual(stage.told(), []);
  });

  test("the end while a restart that fails is under way is the end", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a")]);
    stage.get(0).fail("trap");
    await settled();
    const gate = deferred();
    stage.gate = gate.promise;
    stage.refusals.push(new Error("port taken"));
    await stage.clock.pass(100);
    stage.told();
    const closing = stage.networks.close();
    gate.resolve();
    await closing;
    assert.deepEqual([stage.clock.waiting, stage.started.length], [0, 1]);
    assert.deepEqual(stage.told(), []);
  });

  test("one that fails while it is ended is over", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a")]);
    stage.get(0).failsAtStop = true;
    stage.told();
    await stage.networks.close();
    assert.deepEqual([stage.clock.waiting, stage.told()], [0, []]);
  });

  test("a guest that is attached after a restart counts", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a")]);
    stage.get(0).comes();
    stage.get(0).fail("trap");
    await settled();
    assert.deepEqual(stage.networks.attached, []);
    await stage.clock.pass(100);
    stage.get(1).comes();
    assert.deepEqual(stage.networks.attached, ["a"]);
    await stage.networks.close();
  });
});
