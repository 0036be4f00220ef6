/** The user guide's machine is that of the fixtures, and its link is read from real answers. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readVmi } from "../../src/hooks/domain/vmi.ts";
import { linkOf, userGuideMachine } from "../../src/lab/demo/machine.ts";
import { define, domainsOf, fixture } from "../support/hook-fixtures.ts";

const CASE = "a-user-guide";
const MAC = "b6:40:d1:ff:8a:11";

describe("the user guide's machine", () => {
  test("is that of the fixtures but for its port", () => {
    const { vmi, domains } = userGuideMachine(8080);
    assert.deepEqual(domains, domainsOf(CASE));
    const ports = '"ports":[{"name":"http","port":8080,"protocol":"TCP"}]';
    assert.ok(vmi.includes(`,${ports}`), vmi);
    assert.deepEqual(
      JSON.parse(vmi.replace(`,${ports}`, "")),
      JSON.parse(fixture(`${CASE}.vmi.json`)),
    );
    assert.ok(readVmi(vmi));
  });
});

describe("the link of a domain", () => {
  test("client: where QEMU connects to", () => {
    for (const domain of domainsOf(CASE)) {
      const link = linkOf(define(CASE, "client", domain));
      assert.deepEqual(link, { kind: "client", host: "127.0.0.1", port: 28500, mac: MAC });
    }
  });

  test("stream: a path as the pod sees it", () => {
    const path = "/var/run/kubevirt-hooks/hook-sidecar-0/userdata/stream-0.sock";
    for (const domain of domainsOf(CASE)) {
      assert.deepEqual(linkOf(define(CASE, "stream", domain)), { kind: "stream", path, mac: MAC });
    }
  });

  test("is missing from a domain that no hook has seen, and from QEMU's own", () => {
    assert.throws(() => linkOf(fixture(`${CASE}.domain.xml`)), /^Error: The domain names no link$/);
    const [domain = ""] = domainsOf(CASE);
    assert.throws(() => linkOf(define(CASE, "user", domain)), /names no link/);
  });
});
