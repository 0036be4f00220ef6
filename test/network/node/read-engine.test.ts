/** The engine's file: which of the two, and from where. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { describe, test } from "node:test";
import { compileEngine } from "../../../src/engine/module.ts";
import { readEngine } from "../../../src/network/node/index.ts";
import { readEngine as readBuilt } from "../../support/engine-binary.ts";

const DIST = new URL("../../../dist/", import.meta.url);

describe("the engine's file", () => {
  test("is the one with SIMD where this runtime has it, or the one that is asked for", async () => {
    const octets = await readEngine({ folder: DIST });
    assert.deepEqual(octets, readBuilt("simd"));
    assert.deepEqual(await readEngine({ folder: DIST, simd: false }), readBuilt("scalar"));
    compileEngine(octets);
  });

  test("is looked for beside the code, where the package has it", async () => {
    await assert.rejects(readEngine({ simd: true }), /src\/network\/node\/engine\.wasm/);
    await assert.rejects(readEngine({ simd: false }), /src\/network\/node\/engine-scalar\.wasm/);
  });

  test("comes from a server where the code does", async () => {
    const server = createServer((request, response) => {
      if (request.url === "/engine.wasm") response.end("the engine");
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    const folder = new URL(`http://127.0.0.1:${port}/`);
    assert.equal(Buffer.from(await readEngine({ folder, simd: true })).toString(), "the engine");
    await assert.rejects(readEngine({ folder, simd: false }), /engine-scalar\.wasm: 404/);
    server.close();
  });
});
