/** Networks of a sidecar with made-up bindings: what is started, kept and ended. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Network } from "../../src/binding/networks.ts";
import { network, Stage, settled } from "../support/networks-stage.ts";

describe("networks", () => {
  test("what is there as wanted is left alone, whatever else changes", async () => {
    const { networks, started } = new Stage();
    await networks.prepare([network("a", 1), network("b", 2)]);
    await networks.prepare([network("a", 1), network("b", 2)]);
    assert.equal(started.length, 2);
    await networks.prepare([network("b", 3), network("a", 1)]);
    assert.deepEqual(
      started.map(({ stops }) => stops),
      [0, 1, 0],
    );
    await networks.prepare([network("b", 3)]);
    assert.equal(started[0]?.stops, 1);
    await networks.close();
    await networks.close();
    assert.deepEqual(
      started.map(({ stops }) => stops),
      [1, 1, 1],
    );
  });

  test("while a guest is attached, nothing is taken away, changed or added", async () => {
    const stage = new Stage();
    const { networks, started } = stage;
    const plan = [network("a", 1), network("b", 2)];
    await networks.prepare(plan);
    stage.told();
    started[0]?.comes();
    await networks.prepare(plan);
    const [a, b] = plan;
    assert.ok(a && b);
    const rule = { protocol: "tcp", hostAddress: 0, hostPort: 9, guestPort: 9 } as const;
    const refused: readonly (readonly [readonly Network[], RegExp])[] = [
      [
        [network("b", 2)],
        /^Error: iface "a" cannot be taken away while a guest is attached to "a"$/,
      ],
      [[a], /^Error: iface "b" cannot be taken away/],
      [[a, network("b", 3)], /^Error: iface "b" cannot be changed/],
      [[a, b, network("c", 3)], /^Error: iface "c" cannot be changed/],
      [
        [{ ...a, options: { ...a.options, publish: { rules: [rule], needsEveryPort: true } } }, b],
        /^Error: iface "a" cannot be chan/,
      ],
      [
        [{ ...a, options: { ...a.options, network: { ...a.options.network, mtu: 1400 } } }, b],
        /^Error: iface "a" cannot be changed/,
      ],
    ];
    for (const [wanted, message] of refused) {
      await assert.rejects(networks.prepare(wanted), message);
    }
    assert.deepEqual(stage.told(), []);
    await networks.prepare([
      { ...a, options: { ...a.options, dns: { ...a.options.dns, search: ["x.example"] } } },
      b,
    ]);
    assert.deepEqual(stage.told(), [
      "warn iface=a: settings have changed, kept while a guest is attached",
    ]);
    assert.deepEqual([started.length, started[0]?.stops, started[1]?.stops], [2, 0, 0]);
    started[0]?.goes();
    await networks.prepare([network("b", 3)]);
    assert.deepEqual([started.length, started[0]?.stops, started[1]?.stops], [3, 1, 1]);
    await networks.close();
  });

  test("a first start that fails is the caller's to hear of, and leaves nothing", async () => {
    const stage = new Stage();
    stage.refusals.push(new Error("port taken"));
    await assert.rejects(stage.networks.prepare([network("a")]), {
      message: 'iface "a": port taken',
      cause: new Error("port taken"),
    });
    assert.deepEqual(stage.networks.all, []);
    stage.isReady = false;
    const late = stage.networks.prepare([network("a")]);
    await settled();
    stage.get(0).fail("no such interface");
    await assert.rejects(late, { message: 'iface "a": no such interface' });
    assert.deepEqual([stage.networks.all, stage.clock.waiting], [[], 0]);
    stage.isReady = true;
    await stage.networks.prepare([network("a")]);
    assert.equal(stage.started.length, 2);
    await stage.networks.close();
  });

  test("the line of a ready network says where its link listens", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a")]);
    stage.endpoint = { kind: "tcp", address: 0x7f000001, port: 4000 };
    await stage.networks.prepare([network("a"), network("b")]);
    await stage.networks.prepare([network("a", 4001), network("b")]);
    assert.deepEqual(stage.told(), [
      "info event=network_started iface=a: guest network ready",
      "info event=network_started iface=b link=tcp:127.0.0.1:4000: guest network ready",
      "warn iface=a: settings have changed, restarting",
      "info event=network_started iface=a link=tcp:127.0.0.1:4000: guest network ready",
    ]);
    await stage.networks.prepare([network("b")]);
    assert.deepEqual(stage.told(), ["info event=network_ended iface=a: guest network ended"]);
    await stage.networks.close();
  });

  test("idle waits for the last peer to go, or its network to fail or end", async () => {
    const stage = new Stage();
    await stage.networks.idle();
    const plan = [network("a"), network("b")];
    const idle = (): { done: boolean } => {
      const state = { done: false };
      stage.networks.idle().then(() => {
        state.done = true;
      });
      return state;
    };
    for (const last of [
      () => stage.get(1).goes(),
      () => stage.get(1).fail("trap"),
      () => void stage.networks.close(),
    ]) {
      stage.started.length = 0;
      await stage.networks.prepare(plan);
      stage.get(0).comes();
      stage.get(1).comes();
      stage.get(1).comes(); // a second peer, while the first one is there
      assert.deepEqual(stage.networks.attached, ["a", "b"]);
      const waiting = [idle(), idle()];
      stage.get(0).goes();
      await settled();
      assert.deepEqual(waiting, [{ done: false }, { done: false }]);
      assert.deepEqual(stage.networks.attached, ["b"]);
      last();
      await settled();
      assert.deepEqual(waiting, [{ done: true }, { done: true }]);
      assert.deepEqual(stage.networks.attached, []);
      await stage.networks.close();
    }
  });
});
