/** Published ports in words, and as the program takes them to be removed. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatHost, parsePublish } from "../../../src/config/publish-rule.ts";
import { concerns, covers, parsePublished } from "../../../src/config/published-ports.ts";
import type { PortInfo } from "../../../src/ui/browser/model.ts";
import { guestText, hostText, ruleOf } from "../../../src/ui/browser/port-texts.ts";

/** A published port as the service tells of a rule. */
function portOf(text: string): PortInfo {
  const rule = parsePublish(text);
  const { protocol, hostPort, guestPort, count = 1 } = rule;
  const host = formatHost(rule).replace(/^\[(.*)\]$/, "$1");
  const state = { isAdded: true, isListening: true, flows: 0 };
  return { network: "a", protocol, host, hostPort, guest: "", guestPort, count, ...state };
}

describe("published ports", () => {
  const rules = [
    ...["8080:80", "127.0.0.1:5353:53/udp", "[::1]:8000-8009:80", "0.0.0.0:1-3:1", "[::]:22:22"],
  ];
  for (const text of rules) {
    test(`the rule that removes ${text} means it and all of it`, () => {
      const meant = parsePublished(ruleOf(portOf(text)));
      const rule = parsePublish(text);
      assert.ok(concerns(meant, rule) && covers(meant, rule), ruleOf(portOf(text)));
    });
  }

  test("in words", () => {
    assert.equal(hostText(portOf("8080:80")), "*:8080/tcp");
    assert.equal(hostText(portOf("[::1]:8000-8009:80/udp")), "[::1]:8000-8009/udp");
    assert.equal(guestText(portOf("8000-8009:80")), ":80-89");
    assert.equal(guestText({ ...portOf("8080:80"), guest: "fd10::2" }), "[fd10::2]:80");
  });
});
