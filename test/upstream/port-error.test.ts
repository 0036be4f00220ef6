/** A port that cannot be published says which one it is, and what can be done. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EADDRINUSE, ENOMEM } from "../../src/sys/errno.ts";
import { PortError } from "../../src/upstream/port-error.ts";
import { portsOf } from "../../src/upstream/port-sockets.ts";

const RULE = { protocol: "tcp", hostAddress: 0, hostPort: 8000, guestPort: 80, count: 5 } as const;

describe("port error", () => {
  test("it names the port of a range, and a remedy where it is the last word", () => {
    const at = portsOf(RULE, 3);
    const refused = new PortError(RULE, at, -EADDRINUSE, true);
    assert.match(refused.message, /^Publish port "\*:8003\/tcp": .*; another program has it/);
    assert.deepEqual([refused.errno, refused.ports], [EADDRINUSE, at]);
    assert.doesNotMatch(new PortError(RULE, at, -EADDRINUSE, false).message, /;/);
    assert.doesNotMatch(new PortError(RULE, at, -ENOMEM, true).message, /;/);
  });
});
