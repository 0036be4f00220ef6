/** Where a TCP server listens, as people write it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseTcpAddress } from "../../src/config/tcp-address.ts";

describe("address of a TCP server", () => {
  test("IPv4, and IPv6 in brackets", () => {
    assert.deepEqual(parseTcpAddress("127.0.0.1:0"), { host: "127.0.0.1", port: 0 });
    assert.deepEqual(parseTcpAddress("[::1]:65535"), { host: "::1", port: 65535 });
  });

  for (const text of [
    "",
    "80",
    ":80",
    "127.0.0.1",
    "127.0.0.1:65536",
    "::1:80",
    "a:80",
    "[1.2.3.4]:1",
  ]) {
    test(`refused: "${text}"`, () =>
      assert.throws(() => parseTcpAddress(text), /wanted ADDR:PORT/));
  }
});
