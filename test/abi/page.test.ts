/**
 * What is made of the constants of the ABI is up to date: `wasm/README.md`, the C header of
 * `examples/c-host`. The host in the page is one.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { engineBytes } from "../../src/assets.ts";
import { compileEngine } from "../../src/engine/module.ts";
import * as abi from "../../wasm/abi.ts";
import { allConstants, readConstants } from "./constants.ts";
import { cHeader } from "./header.ts";
import { filledPage, placesOf } from "./page.ts";

const PAGE = readFileSync(new URL("../../wasm/README.md", import.meta.url), "utf8");

describe("constants of the ABI, from their sources", () => {
  test("are those that the host imports, all of them", () => {
    const found = allConstants().map(({ name, value }) => [name, value]);
    const exported = Object.entries(abi).map(([name, value]) => [name, Number(value)]);
    assert.deepEqual(new Map(found as [string, number][]), new Map(exported as [string, number][]));
    assert.equal(found.length, exported.length);
  });

  test("have the comments above and behind them", () => {
    const text = [
      "/** What the file is. */",
      "",
      "// ---- a section",
      "",
      "/** First line,",
      " * second line. */",
      "export const ABI_VERSION: i32 = 2; // and behind",
      "export const OP_CLOSE: i32 = 5;",
    ];
    assert.deepEqual(
      readConstants(text.join("\n")).map(({ name, comment }) => [name, comment]),
      [
        ["ABI_VERSION", "First line, second line. and behind"],
        ["OP_CLOSE", ""],
      ],
    );
  });

  test("of another form, or with another value than the host has, are errors", () => {
    assert.throws(() => readConstants("export const OP_CLOSE: i32 = 4 + 1;"), /no constant/);
    assert.throws(() => readConstants("export const OP_CLOSE: i32 = 6;"), /OP_CLOSE is not 6/);
  });
});

describe("made from them: node --import tsx test/abi/update.ts", () => {
  test("examples/c-host/abi.h", () => {
    const header = new URL("../../examples/c-host/abi.h", import.meta.url);
    assert.equal(readFileSync(header, "utf8"), cHeader());
  });

  test("wasm/README.md", () => assert.equal(PAGE, filledPage(PAGE)));

  test("the page has every constant, once", () => {
    const places = placesOf(PAGE);
    assert.equal(places.size, Object.keys(abi).length);
    assert.deepEqual(
      [...places].filter(([, count]) => count !== 1),
      [],
    );
  });

  test("a place that is stale is filled in anew, one for no constant is an error", () => {
    const stale = "a\n<!-- abi READY_* -->\nold\n<!-- /abi -->\nb\n";
    const fresh = filledPage(stale);
    assert.match(fresh, /^a\n<!-- abi READY_\* -->\n\n\| name [\s\S]*\n\n<!-- \/abi -->\nb\n$/);
    assert.ok(fresh.includes("| `READY_RECEIVE` | 1 |") && !fresh.includes("old"));
    assert.throws(() => filledPage(stale.replace("READY", "STEADY")), /no constant/);
  });
});

describe("wasm/README.md", () => {
  test("names every function of the engine", () => {
    const exported = WebAssembly.Module.exports(compileEngine(engineBytes(false)));
    const names = exported.filter(({ kind }) => kind === "function").map(({ name }) => name);
    const own = new Set(["check", "onAbort"]); // of its own assertions
    const wanted = names.filter((name) => !own.has(name));
    assert.equal(wanted.length, names.length - own.size);
    for (const name of wanted) assert.ok(PAGE.includes(`| \`${name}(`), name);
  });

  test("names every kind of operation, with its fields", () => {
    const kinds = Object.keys(abi).filter((name) => /^OP_(?!.*(?:OFFSET|SIZE|COUNT)$)/.test(name));
    assert.equal(kinds.length, 15);
    for (const kind of kinds) assert.ok(PAGE.includes(`\n| ${kind} | `), kind);
  });

  test("has a host that works: ARP, DHCP, a datagram there and back", () => {
    const play = fileURLToPath(new URL("../../examples/tiny-host/play.mjs", import.meta.url));
    const { stdout, stderr } = spawnSync(process.execPath, [play], { encoding: "utf8" });
    assert.equal(stderr, "");
    assert.deepEqual(stdout.split("\n"), [
      "ARP: 1 frame, 10.0.2.2 is at 02:00:00:00:00:01",
      "DHCP: 1 frame, offers 10.0.2.15",
      'UDP: 1 frame, 192.0.2.1 says "hello"',
      "",
    ]);
  });

  test("links to its own headings", () => {
    const headings = [...PAGE.matchAll(/^## (.*)$/gm)].map(([, text = ""]) =>
      text.toLowerCase().replaceAll(" ", "-"),
    );
    const links = [...PAGE.matchAll(/\]\(#([^)]*)\)/g)].map(([, to = ""]) => to);
    assert.deepEqual(
      links.filter((to) => !headings.includes(to)),
      [],
    );
  });
});
