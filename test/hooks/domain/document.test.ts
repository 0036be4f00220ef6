/** The places of a domain, and texts that are no domain. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { aliasOf, findIn, isConfidential, readDomain } from "../../../src/hooks/domain/document.ts";
import { messageOf } from "../../support/hook-fixtures.ts";

describe("a domain", () => {
  test("has devices with aliases", () => {
    const { root, devices, text } = readDomain(
      "<domain><os><type/></os><devices><d><alias name='ua-x'/></d><e/></devices></domain>",
    );
    assert.equal(text.slice(devices.openEnd, devices.openEnd + 3), "<d>");
    assert.deepEqual(devices.children.map(aliasOf), ["ua-x", undefined]);
    assert.equal(findIn(root, "os", "type")?.name, "type");
    assert.equal(findIn(root, "cpu", "numa"), undefined);
    assert.ok(!isConfidential(root));
  });

  test("may be one whose memory is encrypted", () => {
    assert.ok(isConfidential(readDomain("<domain><launchSecurity/><devices/></domain>").root));
  });

  test("is nothing else", () => {
    assert.match(
      messageOf(() => readDomain("<network/>")),
      /root "network": wanted "domain"/,
    );
    assert.match(
      messageOf(() => readDomain("<domain xmlns='u'/>")),
      /wanted "domain"/,
    );
    assert.match(
      messageOf(() => readDomain("<domain/>")),
      /no element "devices"/,
    );
  });
});
