/** Loading: an engine that keeps the contract is taken, every other one refused with the reason. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EngineError, type EngineErrorCode } from "../../src/engine/errors.ts";
import { HostEngine } from "../../src/engine/host-engine.ts";
import { loadEngine } from "../../src/engine/instance.ts";
import { compileEngine, detectSimd } from "../../src/engine/module.ts";
import * as abi from "../../wasm/abi.ts";
import { readEngine } from "../support/engine-binary.ts";
import { EngineWorld } from "../support/engine-harness.ts";
import { PEER, worldConfig } from "../support/engine-settings.ts";
import { pattern } from "../support/packet.ts";
import { TcpGuest } from "../support/tcp-guest.ts";
import { type TinyOptions, tinyEngine } from "../support/tiny-wasm.ts";
import { VARIANTS } from "../support/wasm.ts";

function assertRefused(
  octets: Uint8Array,
  code: EngineErrorCode,
  message: RegExp | string,
): EngineError {
  const found: EngineError[] = [];
  assert.throws(
    () => loadEngine(octets),
    (error) => {
      assert.ok(error instanceof EngineError, String(error));
      assert.equal(error.code, code, error.message);
      assert.equal(error.name, "EngineError");
      if (typeof message === "string") assert.equal(error.message, message);
      else assert.match(error.message, message);
      assert.doesNotMatch(error.message, /\n|\.$/);
      found.push(error);
      return true;
    },
  );
  const [error] = found;
  assert.ok(error !== undefined);
  return error;
}

describe("engine/module: what is refused", () => {
  const move =
    (index: number, base: number, size?: number): NonNullable<TinyOptions["regions"]> =>
    (regions) => {
      regions[index] = [base, size ?? regions[index]?.[1] ?? 0];
    };
  const newer = abi.ABI_VERSION + 1;
  const older = abi.ABI_VERSION - 1;
  const version = (found: number): string =>
    `refuse an engine of ABI version "${found}": wanted "${abi.ABI_VERSION}"`;
  const shape = 'refuse the engine\'s function "guest_rx": wanted 2 arguments, not 1';
  const grows = "refuse an engine whose memory can grow";
  const stranger = "refuse a control block that is not its own region";
  const size = `refuse region 7: wanted ${2 * abi.OP_CAPACITY_COUNT * abi.OP_SIZE}, not 64`;
  const cases: readonly (readonly [string, TinyOptions, EngineErrorCode, string])[] = [
    [
      "imports",
      { imports: true },
      "IMPORTS",
      'refuse an engine with imports: it wants "env.abort"',
    ],
    [
      "a missing function",
      { without: "step" },
      "EXPORTS",
      'cannot find the engine\'s function "step"',
    ],
    ["a function of another shape", { shorter: "guest_rx" }, "EXPORTS", shape],
    ["no memory", { without: "memory" }, "EXPORTS", 'cannot find the engine\'s memory "memory"'],
    ["memory without a maximum", { maximum: undefined }, "MEMORY", grows],
    ["memory below its maximum", { maximum: 2000 }, "MEMORY", grows],
    ["another magic", { magic: 7 }, "ABI", 'cannot find a control block at "1024"'],
    ["an older ABI", { version: older }, "ABI", version(older)],
    ["a newer ABI", { version: newer }, "ABI", version(newer)],
    [
      "a control block outside of memory",
      { control: -64 },
      "ABI",
      'cannot read a control block at "4294967232"',
    ],
    ["no control block", { control: 0 }, "ABI", 'cannot read a control block at "0"'],
    ["a region of another size", { regions: move(7, 4096, 64) }, "REGIONS", size],
    [
      "a region behind the memory",
      { regions: move(9, 0x7ffffff8) },
      "REGIONS",
      'refuse region 9: bad base "2147483640"',
    ],
    ["a region at 0", { regions: move(2, 0) }, "REGIONS", 'refuse region 2: bad base "0"'],
    [
      "a region off its alignment",
      { regions: move(2, 1028) },
      "REGIONS",
      'refuse region 2: bad base "1028"',
    ],
    [
      "overlapping regions",
      { regions: move(2, 1024) },
      "REGIONS",
      'refuse overlapping regions at "1024"',
    ],
    ["another control region", { regions: move(0, 2048) }, "REGIONS", stranger],
  ];
  for (const [name, options, code, message] of cases) {
    test(name, () => {
      assertRefused(tinyEngine(options), code, message);
    });
  }

  test("a control block that the memory's end cuts short", () => {
    const end = loadEngine(tinyEngine()).memory.buffer.byteLength;
    const whole = end - abi.CONTROL_SIZE;
    const find = `cannot find a control block at "${whole}"`;
    assertRefused(tinyEngine({ control: whole }), "ABI", find);
    const read = `cannot read a control block at "${whole + 4}"`;
    assertRefused(tinyEngine({ control: whole + 4 }), "ABI", read);
  });

  test("what is no module, or only the beginning of one", () => {
    const { cause } = assertRefused(new Uint8Array(0), "MODULE", /^cannot compile the engine: \S/);
    assert.ok(cause instanceof WebAssembly.CompileError);
    assertRefused(pattern(1000), "MODULE", /cannot compile/);
    const octets = readEngine("simd");
    for (const part of [0.1, 0.5, 0.99]) {
      const length = Math.floor(octets.length * part);
      assertRefused(octets.subarray(0, length), "MODULE", /cannot compile/);
    }
  });

  test("what cannot be started: a module whose data is larger than its memory", () => {
    const octets = Uint8Array.of(
      ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
      ...[0x05, 0x04, 0x01, 0x01, 0x00, 0x00], // memory of no page
      ...[0x0b, 0x07, 0x01, 0x00, 0x41, 0x00, 0x0b, 0x01, 0x2a], // one octet at 0
    );
    const { cause } = assertRefused(octets, "MODULE", /^cannot start the engine: \S/);
    assert.ok(cause instanceof WebAssembly.RuntimeError);
  });

  test("nothing, when all is well", () => {
    assert.equal(loadEngine(tinyEngine()).regions.length, abi.REGION_COUNT);
  });

  test("nothing, in whichever order regions lie, and up to the end of the memory", () => {
    const { memory, regions } = loadEngine(tinyEngine());
    const end = memory.buffer.byteLength;
    const last = regions[abi.REGION_ADDRESSES];
    assert.ok(last !== undefined);
    const atEnd = move(abi.REGION_ADDRESSES, end - last.size);
    assert.equal(loadEngine(tinyEngine({ regions: atEnd })).regions[11]?.base, end - last.size);
    assertRefused(
      tinyEngine({ regions: move(abi.REGION_ADDRESSES, end - last.size + 8) }),
      "REGIONS",
      `refuse region 11: bad base "${end - last.size + 8}"`,
    );
    const swapped = tinyEngine({
      regions: (table) => {
        const [one, other] = [table[3], table[2]];
        if (one === undefined || other === undefined) return;
        table[3] = [other[0], one[1]];
        table[2] = [other[0] + one[1], other[1]];
      },
    });
    const loaded = loadEngine(swapped).regions;
    assert.ok((loaded[3]?.base ?? 0) < (loaded[2]?.base ?? 0));
  });

  test("an engine that refuses its configuration", () => {
    const engine = new HostEngine(loadEngine(tinyEngine({ init: -1 })));
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
