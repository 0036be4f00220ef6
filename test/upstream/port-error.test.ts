/** A port that cannot be published says which one it is, and what can be done. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EACCES, EADDRINUSE, ENOMEM } from "../../src/sys/errno.ts";
import { PortError } from "../../src/upstream/port-error.ts";
import { portsOf } from "../../src/upstream/port-sockets.ts";

const RULE = { protocol: "tcp", hostAddress: 0, hostPort: 8000, guestPort: 80, count: 5 } as const;

describe("port error", () => {
  test("it names the port of a range, and a remedy where it is the last word", () => {
    const at = portsOf(RULE, 3);
    const refused = new PortError(RULE, at, -EADDRINUSE, "start");
    assert.match(refused.message, /^Publish port "\*:8003\/tcp": .*; another program has it/);
    assert.deepEqual([refused.errno, refused.ports], [EADDRINUSE, at]);
    assert.doesNotMatch(new PortError(RULE, at, -EADDRINUSE, "left-out").message, /;/);
    assert.doesNotMatch(new PortError(RULE, at, -ENOMEM, "later").message, /;/);
  });

  test("it says who has the port", () => {
    const refused = new PortError(RULE, portsOf(RULE, 0), -EADDRINUSE, "left-out");
    const { errno, message } = refused.because('"nginx" (pid 7) has 0.0.0.0:8000');
    assert.equal(errno, EADDRINUSE);
    assert.match(message, /; "nginx" \(pid 7\) has 0\.0\.0\.0:8000: choose another host port$/);
    assert.match(refused.because(undefined).message, /; another program has it: choose/);
  });

  test("rights that may be had at the start are gone later", () => {
    const at = portsOf(RULE, 0);
    assert.match(new PortError(RULE, at, -EACCES, "start").message, /CAP_NET_BIND_SERVICE$/);
    const later = new PortError(RULE, at, -EACCES, "later").message;
    assert.match(later, /rights were given up: lower .*, or publish it from the start$/);
  });
});
