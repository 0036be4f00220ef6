/** Lines about single flows: at debug alone, each once, with what the flow has carried. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FlowLines } from "../../src/binding/flow-lines.ts";
import { prettyLogger } from "../../src/lib/log.ts";
import { EngineWorld } from "../support/engine-harness.ts";
import { PEER, RESOLVER } from "../support/engine-settings.ts";

function stage() {
  const world = new EngineWorld();
  const lines: string[] = [];
  const log = prettyLogger("debug", (line) => void lines.push(line.trimEnd()));
  const watch = new FlowLines(log, () => world.now);
  const told = (): string[] => {
    world.advance(20_000);
    watch.poll(world.engine, world.now);
    return lines.splice(0);
  };
  const datagram = (port: number): void => {
    world.guest(world.udp({ to: PEER, port: 7, from: port }, "secret"));
    world.run();
  };
  return { world, watch, log, told, datagram };
}

describe("binding/flow-lines", () => {
  test("a flow is told of when it begins, with both ends, and of its end no more than once", () => {
    const { told, datagram, world } = stage();
    assert.deepEqual(told(), []);
    datagram(1000);
    const [line = "", ...more] = told();
    assert.deepEqual(more, []);
    assert.match(line, /^debug flow opened flow=\d+ kind=udp guest=10\.0\.2\.15:1000$/);
    datagram(1000);
    assert.deepEqual(told(), [], "the same flow");
    world.advance(400_000_000);
    const [end = "", ...others] = told();
    assert.deepEqual(others, []);
    assert.match(
      end,
      /^debug flow closed flow=\d+ kind=udp .* duration_ms=\d{5,6} octets_to_host=12 /,
    );
    assert.deepEqual(told(), []);
    assert.ok(!`${line}${end}`.includes("secret") && !`${line}${end}`.includes(RESOLVER));
  });

  test("below debug nothing is looked at or kept; at debug it begins with what there is", () => {
    const { told, datagram, log } = stage();
    log.threshold.level = "info";
    datagram(1000);
    assert.deepEqual(told(), []);
    log.threshold.level = "debug";
    assert.equal(told().length, 1);
    log.threshold.level = "info";
    assert.deepEqual(told(), []);
    log.threshold.level = "debug";
    assert.equal(told().length, 1, "nothing was remembered");
  });

  test("a flood of flows is bounded in lines, and their number told", () => {
    const { told, datagram, watch, world } = stage();
    for (let port = 1; port <= 250; port += 1) datagram(port);
    const lines = told();
    assert.ok(lines.length <= 101, String(lines.length));
    assert.ok((watch.wait(world.now) ?? 0) > 0);
    world.advance(1_000_000);
    const [left = ""] = told();
    assert.match(left, /^debug lines left out of="flow opened" lines=\d+$/);
  });
});
