/** Loading: an engine that keeps the contract is taken, every other one refused with the reason. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Engine } from "../../src/engine/engine.ts";
import { EngineError, type EngineErrorCode } from "../../src/engine/errors.ts";
import { compileEngine, detectSimd, loadEngine } from "../../src/engine/module.ts";
import * as abi from "../../wasm/abi.ts";
import { readEngine } from "../support/engine-binary.ts";
import { EngineWorld } from "../support/engine-harness.ts";
import { PEER, worldConfig } from "../support/engine-settings.ts";
import { pattern } from "../support/packet.ts";
import { TcpGuest } from "../support/tcp-guest.ts";
import { type TinyOptions, tinyEngine } from "../support/tiny-wasm.ts";
import { VARIANTS } from "../support/wasm.ts";

function assertRefused(octets: Uint8Array, code: EngineErrorCode, message: RegExp): void {
  assert.throws(
    () => loadEngine(octets),
    (error) => {
      assert.ok(error instanceof EngineError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /\n|\.$/);
      return true;
    },
  );
}

describe("engine/module: what is refused", () => {
  const move =
    (index: number, base: number, size?: number): NonNullable<TinyOptions["regions"]> =>
    (regions) => {
      regions[index] = [base, size ?? regions[index]?.[1] ?? 0];
    };
  const cases: readonly (readonly [string, TinyOptions, EngineErrorCode, RegExp])[] = [
    ["imports", { imports: true }, "IMPORTS", /"env\.abort"/],
    ["a missing function", { without: "step" }, "EXPORTS", /"step"/],
    ["a function of another shape", { shorter: "guest_rx" }, "EXPORTS", /wanted 2 .* not 1/],
    ["memory without a maximum", { maximum: undefined }, "MEMORY", /can grow/],
    ["memory below its maximum", { maximum: 2000 }, "MEMORY", /can grow/],
    ["another magic", { magic: 7 }, "ABI", /control block/],
    ["an older ABI", { version: abi.ABI_VERSION - 1 }, "ABI", /wanted "2"/],
    ["a newer ABI", { version: abi.ABI_VERSION + 1 }, "ABI", /version "3"/],
    ["a control block outside of memory", { control: -64 }, "ABI", /cannot read/],
    ["no control block", { control: 0 }, "ABI", /cannot read/],
    ["a region of another size", { regions: move(7, 4096, 64) }, "REGIONS", /region 7/],
    ["a region behind the memory", { regions: move(9, 0x7ffffff8) }, "REGIONS", /region 9/],
    ["a region at 0", { regions: move(2, 0) }, "REGIONS", /region 2/],
    ["a region off its alignment", { regions: move(2, 1028) }, "REGIONS", /region 2/],
    ["overlapping regions", { regions: move(2, 1024) }, "REGIONS", /overlap/],
    ["another control region", { regions: move(0, 2048) }, "REGIONS", /control block/],
  ];
  for (const [name, options, code, message] of cases) {
    test(name, () => assertRefused(tinyEngine(options), code, message));
  }

  test("what is no module, or only the beginning of one", () => {
    assertRefused(new Uint8Array(0), "MODULE", /cannot compile/);
    assertRefused(pattern(1000), "MODULE", /cannot compile/);
    const octets = readEngine("simd");
    for (const part of [0.1, 0.5, 0.99]) {
      const length = Math.floor(octets.length * part);
      assertRefused(octets.subarray(0, length), "MODULE", /cannot compile/);
    }
  });

  test("nothing, when all is well", () => {
    assert.equal(loadEngine(tinyEngine()).regions.length, abi.REGION_COUNT);
  });

  test("an engine that refuses its configuration", () => {
    const engine = new Engine(loadEngine(tinyEngine({ init: -1 })));
    assert.throws(() => engine.start(worldConfig()), { code: "START", message: /"-1"/ });
  });
});

for (const variant of VARIANTS) {
  describe(`engine/module: the engine itself (${variant})`, () => {
    test("has no imports and passes every check", () => {
      const module = compileEngine(readEngine(variant));
      assert.deepEqual(WebAssembly.Module.imports(module), []);
      assert.equal(loadEngine(readEngine(variant)).regions.length, abi.REGION_COUNT);
    });

    test("its memory never grows, whatever comes through", () => {
      const world = new EngineWorld({ variant });
      const { memory } = loadEngine(readEngine(variant));
      assert.equal(world.engine.octets.length, memory.buffer.byteLength);
      const size = world.engine.octets.length;
      for (let port = 1; port <= 300; port += 1) {
        world.guest(
          world.udp({ to: PEER, port, from: 1024 + port }, pattern(1200)),
          world.ping(PEER, port, 1, pattern(800)),
        );
      }
      for (let port = 20000; port < 20100; port += 1) {
        const guest = new TcpGuest(world, { port, peerPort: 80 });
        world.frames.splice(0);
        guest.open();
        guest.send({ payload: pattern(1000) });
        world.host.socket(PEER, 80).push(pattern(5000));
        world.advance(1000);
      }
      world.advance(1e9);
      // Growth would have detached the views: their length would be 0.
      assert.equal(world.engine.octets.length, size);
      assert.equal(world.engine.view.byteLength, size);
    });
  });
}

test("engine/module: SIMD is detected as the runtime says", () => {
  // The engine's SIMD build is its own witness.
  assert.equal(detectSimd(), WebAssembly.validate(new Uint8Array(readEngine("simd"))));
});
