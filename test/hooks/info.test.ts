/**
 * Info: the answer octet by octet, since a field number that is off by one is a sidecar that is
 * never called. Numbers from KubeVirt's info.proto: name 1, hookPoints 3 (name 1, priority 2),
 * versions 4.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { call, EMPTY, INFO } from "../support/hook-client.ts";
import { startTestServer, type TestServer } from "../support/hook-server.ts";
import { message } from "../support/protobuf.ts";

describe("Info", () => {
  let own: TestServer;
  before(async () => {
    own = await startTestServer();
  });
  after(() => own.end());

  test("names the sidecar, its two hook points and its versions, newest first", async () => {
    const wanted = message(
      [1, "slirp"],
      [3, message([1, "OnDefineDomain"])],
      [3, message([1, "Shutdown"])],
      [4, "v1alpha3"],
      [4, "v1alpha2"],
    );
    assert.deepEqual(await call(own.path, INFO, EMPTY, { deadline_ms: 1000 }), wanted);
  });

  test("takes no offence at fields that it does not know", async () => {
    const answer = await call(own.path, INFO, message([15, "later"]));
    assert.deepEqual(answer, await call(own.path, INFO));
  });
});
