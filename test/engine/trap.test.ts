/** A checked engine that finds itself broken stops, and says which assertion failed and where. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { compileEngine } from "../../src/engine/module.ts";
import { isChecked } from "../../src/engine/trap.ts";
import * as abi from "../../wasm/abi.ts";
import { checkedEngine, readEngine } from "../support/engine-binary.ts";
import { EngineWorld } from "../support/engine-harness.ts";
import { PEER } from "../support/engine-settings.ts";

/** A flow of UDP, and a way to spoil a field of its record. */
function world(): { spoil: (offset: number, value: number) => void; turn: () => void } {
  const made = new EngineWorld();
  made.guest(made.udp({ to: PEER, port: 9 }, "x"));
  const { octets, bases } = made.engine;
  return {
    spoil: (offset, value) => octets.fill(value, bases.flows + offset, bases.flows + offset + 1),
    turn: () => made.engine.step(made.now),
  };
}

describe("engine/trap", () => {
  test("only the checked build has assertions", () => {
    const exportsOf = (module: WebAssembly.Module): WebAssembly.Instance["exports"] =>
      new WebAssembly.Instance(module).exports;
    assert.ok(isChecked(exportsOf(checkedEngine())));
    for (const build of ["simd", "scalar"] as const) {
      assert.ok(!isChecked(exportsOf(compileEngine(readEngine(build)))));
    }
  });

  test("a flow under another tuple than it was filed by", () => {
    const { spoil, turn } = world();
    turn();
    spoil(abi.FLOW_GUEST_PORT_OFFSET, 1);
    const wanted = /^assertion failed at wasm\/audit\.ts:\d+: a flow is found by its tuple$/;
    assert.throws(turn, { name: "RuntimeError", message: wanted });
  });

  test("a flow of no kind that there is", () => {
    const { spoil, turn } = world();
    spoil(abi.FLOW_KIND_OFFSET, abi.KIND_FREE);
    assert.throws(turn, /assertion failed at wasm\/audit\.ts:\d+: flows in the table are counted$/);
  });
});
