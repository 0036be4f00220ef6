/** The hooks as pure functions over texts. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HOOK_NAMES, onDefineDomain, preCloudInitIso } from "../../src/hooks/exec.ts";
import { contextOf, define, fixture, messageOf } from "../support/hook-fixtures.ts";

const VMI = fixture("a-user-guide.vmi.json");
const DOMAIN = fixture("a-user-guide.domain.xml");

describe("onDefineDomain", () => {
  const run = (env: Record<string, string>, autoLink: "user" | "client", has: boolean): string =>
    onDefineDomain(VMI, DOMAIN, contextOf("a-user-guide", env, { autoLink }), has);

  test("uses QEMU's own networking by itself", () => {
    assert.equal(run({}, "user", false), define("a-user-guide", "user", DOMAIN));
  });

  test("refuses links that need somebody who carries the frames, unless there is somebody", () => {
    for (const link of ["client", "stream", "vhost-user"] as const) {
      assert.equal(
        messageOf(() => run({ SLIRP_LINK: link }, "user", false)),
        `iface "slirpnet": link "${link}" needs a data plane, which a hook program does not ` +
          'have: wanted "user" or "auto"',
      );
      assert.equal(run({ SLIRP_LINK: link }, "user", true), define("a-user-guide", link, DOMAIN));
    }
    assert.equal(run({}, "client", true), define("a-user-guide", "client", DOMAIN));
  });

  test("refuses what is no VMI and no domain", () => {
    const context = contextOf("", {}, { autoLink: "user" });
    assert.equal(
      messageOf(() => onDefineDomain("", DOMAIN, context, false)),
      "parse VMI: not JSON",
    );
    assert.equal(
      messageOf(() => onDefineDomain(VMI, "", context, false)),
      "parse domain XML: no root element",
    );
  });
});

describe("preCloudInitIso", () => {
  test("changes nothing", () => {
    for (const file of ["a-user-guide", "n-configdrive"]) {
      for (const field of ["cloudInitData", "cloudInitNoCloudSource"]) {
        const text = fixture(`${file}.${field}.json`);
        assert.equal(preCloudInitIso(text), text);
      }
    }
    assert.equal(preCloudInitIso(""), "");
  });
});

test("there are two hooks", () =>
  assert.deepEqual(HOOK_NAMES, ["onDefineDomain", "preCloudInitIso"]));
