/**
 * The socket of a Plugin resource: domain_type 1, domain 2, vmi 3, sidecar_context 4 in, domain 1
 * out. It has this service alone, and the hook socket does not have it.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { call, callback, INFO, MUTATE_DOMAIN, refusal } from "../support/hook-client.ts";
import { MARK, startTestServer, type TestServer } from "../support/hook-server.ts";
import { message } from "../support/protobuf.ts";

const CONTEXT = message([1, "Boot"]);

describe("domain hook of a Plugin", () => {
  let own: TestServer;
  let path: string;
  before(async () => {
    own = await startTestServer({ plugin: true });
    path = own.server.paths[1] ?? "";
  });
  after(() => own.end());

  test("listens under the name that a Plugin gives", () => {
    assert.match(path, /\/slirp\.sock$/);
  });

  test("changes the domain", async () => {
    const asked = message([1, "libvirt"], [2, "<domain/>"], [3, "{}"], [4, CONTEXT]);
    assert.deepEqual(await call(path, MUTATE_DOMAIN, asked), message([1, `<domain/>${MARK}`]));
  });

  test("refuses domains that are not libvirt's", async () => {
    const asked = message([1, "xen\n"], [2, "<domain/>"], [3, "{}"]);
    assert.deepEqual(await refusal(path, MUTATE_DOMAIN, asked), {
      code: "INVALID_ARGUMENT",
      text: 'domain type "xen\\n": wanted "libvirt"',
    });
  });

  test("is on its own socket only, and alone there", async () => {
    for (const [socket, method] of [
      [own.path, MUTATE_DOMAIN],
      [path, INFO],
      [path, callback("v1alpha3", "OnDefineDomain")],
    ] as const) {
      assert.equal((await refusal(socket, method)).code, "UNIMPLEMENTED");
    }
  });
});
