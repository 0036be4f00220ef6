/** A checked engine that finds itself broken stops, and says which assertion failed and where. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { compileEngine } from "../../src/engine/module.ts";
import { explained, isChecked } from "../../src/engine/trap.ts";
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

describe("engine/trap: what is made of a trap", () => {
  const TRAP = new WebAssembly.RuntimeError("unreachable");

  /** Globals of an engine that has failed, and a memory with the strings they point to. */
  function failed(line: number, file: string, message: string) {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
    const view = new DataView(memory.buffer);
    let end = 8;
    const place = (text: string): number => {
      if (text === "") return 0;
      const at = end + 4;
      view.setUint32(end, 2 * text.length, true);
      for (let i = 0; i < text.length; i += 1) {
        view.setUint16(at + 2 * i, text.charCodeAt(i), true);
      }
      end = at + 2 * text.length;
      return at;
    };
    const global = (value: number) => new WebAssembly.Global({ value: "i32" }, value);
    const exports = {
      trapLine: global(line),
      trapFile: global(place(file)),
      trapMessage: global(place(message)),
    };
    const called: number[][] = [];
    const functions = {
      step: (...args: number[]): void => {
        called.push(args);
        throw TRAP;
      },
      add: (a: number, b: number): number => a + b,
    };
    return { functions: explained(functions, exports, memory), called };
  }

  test("an assertion becomes an error of file, line and message, caused by the trap", () => {
    const { functions, called } = failed(12, "wasm/a.ts", "it is so \u2192 here");
    assert.throws(
      () => functions.step(1, 2),
      (error: Error) => {
        assert.ok(error instanceof WebAssembly.RuntimeError);
        assert.equal(error.message, "assertion failed at wasm/a.ts:12: it is so \u2192 here");
        assert.equal(error.cause, TRAP);
        return true;
      },
    );
    assert.deepEqual(called, [[1, 2]]);
    assert.equal(functions.add(3, 4), 7);
  });

  test("an assertion without a message says where it is", () => {
    const wanted = { message: "assertion failed at wasm/a.ts:12" };
    assert.throws(() => failed(12, "wasm/a.ts", "").functions.step(), wanted);
  });

  test("a trap of another cause stays as it is", () => {
    for (const [line, file] of [
      [0, "wasm/a.ts"],
      [12, ""],
    ] as const) {
      assert.throws(
        () => failed(line, file, "text").functions.step(),
        (error) => error === TRAP,
      );
    }
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
    const step = (): void => {
      throw TRAP;
    };
    assert.throws(
      () => explained({ step }, {}, memory).step(),
      (error) => error === TRAP,
    );
  });

  test("a build without the global has no assertions", () => {
    assert.equal(isChecked({}), false);
    const global = (value: number) => ({
      CHECKED: new WebAssembly.Global({ value: "i32" }, value),
    });
    assert.deepEqual([isChecked(global(0)), isChecked(global(1))], [false, true]);
  });
});
