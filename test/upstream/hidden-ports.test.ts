/** Hidden ports: seen by all who share the memory, and as long as anybody hides them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HiddenPorts } from "../../src/upstream/hidden-ports.ts";

describe("hidden ports", () => {
  test("are seen at once by whoever has the memory", () => {
    const main = new HiddenPorts();
    const worker = new HiddenPorts(main.memory);
    assert.equal(main.memory.byteLength, 65_536, "one octet for each port");
    for (const port of [1, 4711, 65535]) {
      assert.equal(worker.has(port), false);
      main.add(port);
      assert.equal(worker.has(port), true);
      assert.equal(worker.has(port - 1), false);
      main.remove(port);
      assert.equal(worker.has(port), false);
    }
  });

  test("stay hidden until the last link at that port has gone", () => {
    const ports = new HiddenPorts();
    ports.add(4711);
    ports.add(4711);
    ports.remove(4711);
    assert.equal(ports.has(4711), true);
    ports.remove(4711);
    assert.equal(ports.has(4711), false);
  });
});
