/** Where metrics are served: addresses as people write them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ConfigError } from "../../src/config/errors.ts";
import { METRICS_OPTIONS } from "../../src/config/metrics.ts";
import type { TcpAddress } from "../../src/config/tcp-address.ts";

function read(text: string): TcpAddress | undefined {
  return METRICS_OPTIONS.metrics.read(new Map([["metrics", { values: [text], origin: "test" }]]));
}

describe("--metrics", () => {
  test("an address of either version and a port, the smallest and the largest too", () => {
    assert.deepEqual(read("127.0.0.1:9100"), { host: "127.0.0.1", port: 9100 });
    assert.deepEqual(read("0.0.0.0:0"), { host: "0.0.0.0", port: 0 });
    assert.deepEqual(read("[::1]:65535"), { host: "::1", port: 65535 });
    assert.deepEqual(read("[::]:1"), { host: "::", port: 1 });
  });

  for (const text of [
    "",
    "9100",
    ":9100",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:65536",
    "127.0.0.1:-1",
    "localhost:9100",
    "::1:9100",
    "[127.0.0.1]:9100",
    "[::1]9100",
    "127.0.0.1:9100 ",
  ]) {
    test(`"${text}" is refused`, () => {
      assert.throws(() => read(text), ConfigError);
    });
  }

  test("it is off where nobody asks for it", () => {
    assert.equal(METRICS_OPTIONS.metrics.read(new Map()), undefined);
  });
});
