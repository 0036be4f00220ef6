/** Who may ask the live page's server for what: each way in that is closed, tried. */
import assert from "node:assert/strict";
import type { IncomingHttpHeaders } from "node:http";
import { describe, test } from "node:test";
import { authority, type Gate, isLoopback, refusalOf } from "../../src/ui/gate.ts";

const GATE: Gate = { host: "127.0.0.1", port: 4711, token: "t".repeat(43) };
const OURS: IncomingHttpHeaders = {
  host: "127.0.0.1:4711",
  origin: "http://127.0.0.1:4711",
  "sec-fetch-site": "same-origin",
  "content-type": "application/json",
  authorization: `Bearer ${GATE.token}`,
};

function statusOf(
  headers: IncomingHttpHeaders,
  { method = "POST", path = "/watch", gate = GATE } = {},
): number | undefined {
  return refusalOf({ method, path, headers: { ...OURS, ...headers } }, gate)?.status;
}

describe("gate", () => {
  test("what the page itself asks passes", () => assert.equal(statusOf({}), undefined));

  test("a program without a browser passes with the token alone", () => {
    const { origin: _, "sec-fetch-site": __, ...plain } = OURS;
    assert.equal(refusalOf({ method: "POST", path: "/watch", headers: plain }, GATE), undefined);
  });

  const tokens: readonly (readonly [string, string | undefined])[] = [
    ["none", undefined],
    ["empty", "Bearer "],
    ["another one", `Bearer ${"u".repeat(43)}`],
    ["the beginning of it", `Bearer ${GATE.token.slice(0, -1)}`],
    ["more than it", `Bearer ${GATE.token}t`],
    ["of another scheme", `Basic ${GATE.token}`],
  ];
  for (const [name, authorization] of tokens) {
    test(`a token that is wrong is refused: ${name}`, () => {
      assert.equal(statusOf({ authorization }), 401);
    });
  }

  const hosts = [
    "evil.example:4711",
    "evil.example",
    "127.0.0.1",
    "127.0.0.1:80",
    "",
    "10.0.2.2:4711",
  ];
  for (const host of hosts) {
    test(`a name that is not ours is refused, for the page, too: "${host}"`, () => {
      const origin = `http://${host}`;
      assert.equal(statusOf({ host, origin }), 421);
      assert.equal(statusOf({ host, origin }, { method: "GET", path: "/" }), 421);
    });
  }

  test("loopback is localhost as well, at our port only", () => {
    const at = (host: string) => statusOf({ host, origin: `http://${host}` });
    assert.equal(at("localhost:4711"), undefined);
    assert.equal(at("localhost:4712"), 421);
  });

  test("all addresses may be told by any address, and by no name", () => {
    const gate = { ...GATE, host: "0.0.0.0" };
    const at = (host: string) => statusOf({ host, origin: `http://${host}` }, { gate });
    assert.equal(at("192.0.2.7:4711"), undefined);
    assert.equal(at("[2001:db8::7]:4711"), undefined);
    assert.equal(at("evil.example:4711"), 421);
    assert.equal(at("192.0.2.7:4712"), 421);
  });

  for (const origin of [
    "http://evil.example",
    "null",
    "https://127.0.0.1:4711",
    "http://127.0.0.1:80",
  ]) {
    test(`a request of another page is refused: ${origin}`, () => {
      assert.equal(statusOf({ origin }), 403);
      assert.equal(statusOf({ origin }, { method: "GET", path: "/" }), 403);
    });
  }

  test("a link may lead to the page; nothing else is fetched from elsewhere", () => {
    const { origin: _, ...rest } = OURS;
    const link = { ...rest, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" };
    const status = (headers: IncomingHttpHeaders, method: string, path: string) =>
      refusalOf({ method, path, headers }, GATE)?.status;
    assert.equal(status({ ...link, "sec-fetch-dest": "document" }, "GET", "/"), undefined);
    assert.equal(status({ ...link, "sec-fetch-dest": "iframe" }, "GET", "/"), 403);
    assert.equal(status({ ...link, "sec-fetch-dest": "document" }, "POST", "/watch"), 403);
    assert.equal(status({ ...rest, "sec-fetch-site": "same-site" }, "POST", "/watch"), 403);
    assert.equal(status({ ...rest, "sec-fetch-site": "cross-site" }, "GET", "/"), 403);
  });

  test("other methods are refused", () => {
    for (const method of ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"]) {
      assert.equal(statusOf({}, { method }), 405, method);
    }
    for (const method of ["POST", "PUT", "OPTIONS"]) {
      assert.equal(statusOf({}, { method, path: "/" }), 405, method);
    }
  });

  test("what a form can send is refused", () => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
      assert.equal(statusOf({ "content-type": type }), 415, type);
    }
  });

  test("loopback addresses, and how addresses stand in a URL", () => {
    assert.deepEqual(["127.0.0.1", "127.8.9.1", "::1"].map(isLoopback), [true, true, true]);
    assert.deepEqual(["0.0.0.0", "192.0.2.127", "::"].map(isLoopback), [false, false, false]);
    assert.equal(authority({ host: "::1", port: 80 }), "[::1]:80");
    assert.equal(authority({ host: "127.0.0.1", port: 80 }), "127.0.0.1:80");
  });
});
