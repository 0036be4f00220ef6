/** The live page as it is sent: nothing from outside, and a policy that says so. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { pageParts } from "../../src/assets.ts";
import { renderPage } from "../../src/ui/page.ts";

describe("live page", () => {
  const parts = pageParts("ui");
  const { html, policy } = renderPage(parts);
  const markup = html.replace(parts.script, "").replace(parts.style, "");

  /** Without printing all of it. */
  const hasNo = (text: string, pattern: RegExp): void => {
    assert.equal(pattern.exec(text)?.[0], undefined);
  };

  test("nothing is loaded from anywhere", () => {
    const links = [...markup.matchAll(/\b(?:src|href|action|srcset)="([^:"]*)/g)];
    assert.deepEqual(
      links.map(([, to]) => to),
      ["data"],
    );
    hasNo(parts.style, /@import|url\s*\(/);
    hasNo(parts.script, /XMLHttpRequest|WebSocket|EventSource|sendBeacon|\bimport\s*\(|\beval\b/);
    hasNo(parts.script, /innerHTML|outerHTML|insertAdjacentHTML|document\.write/);
  });

  test("neither script nor style ends its element early", () => {
    hasNo(parts.script, /<\/script|<!--/i);
    hasNo(parts.style, /<\/style/i);
  });

  test("the policy allows this script, this style, our own server and no frame", () => {
    const hash = (text: string): string =>
      `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
    assert.deepEqual(policy.split("; "), [
      "default-src 'none'",
      `script-src ${hash(parts.script)}`,
      `style-src ${hash(parts.style)}`,
      "connect-src 'self'",
      "img-src data:",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      "require-trusted-types-for 'script'",
    ]);
  });

  test("the page is small enough to be sent at once", () => {
    assert.ok(html.length < 160 * 1024, `${html.length} octets`);
  });
});
