/** What the tidy test goes by: who may import whom, circles, and how it reads sources. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { circlesOf } from "./support/circles.ts";
import { mayImport } from "./support/layers.ts";
import { blank, declarations, functions, imports } from "./support/source.ts";

describe("tidy: the checks themselves", () => {
  test("a forbidden import is refused, a type of binding is not", () => {
    assert.equal(mayImport("wasm/tcp/input.ts", "wasm/local/arp.ts"), false);
    assert.equal(mayImport("wasm/wire/udp.ts", "wasm/memory.ts"), false);
    assert.equal(mayImport("wasm/local/arp.ts", "wasm/flow/udp.ts"), false);
    assert.equal(mayImport("wasm/tcp/input.ts", "wasm/flow/table.ts"), true);
    assert.equal(mayImport("src/sys/fd.ts", "src/engine/engine.ts"), false);
    assert.equal(mayImport("src/loop/loop.ts", "src/binding/worker.ts"), false);
    assert.equal(mayImport("src/lab/sim/world.ts", "src/sys/fd.ts"), false);
    assert.equal(mayImport("src/hooks/server.ts", "src/binding/binding.ts"), false);
    assert.equal(mayImport("src/hooks/server.ts", "src/binding/binding.ts", "type"), true);
    assert.equal(mayImport("src/cli/attach.ts", "src/lab/sim/guest/octets.ts"), false);
    assert.equal(mayImport("src/cli/attach.ts", "src/lab/demo/demo.ts", "lazy"), false);
    assert.equal(mayImport("src/main.ts", "src/lab/demo/demo.ts"), false);
    assert.equal(mayImport("src/main.ts", "src/lab/demo/demo.ts", "lazy"), true);
  });

  test("a circle is found, a diamond and a way into a circle are none", () => {
    const graph = new Map([
      ["a", ["b", "c"]],
      ["b", ["d"]],
      ["c", ["d"]],
      ["d", []],
      ["e", ["f", "a"]],
      ["f", ["g"]],
      ["g", ["f", "h"]],
      ["h", ["h"]],
    ]);
    assert.deepEqual(circlesOf(graph), [["f", "g"], ["h"]]);
  });

  test("comments, strings, templates and regular expressions are blanked", () => {
    const template = "b(`{@{c({ d: `}` })}{`);".replace("@", "$");
    const text = `a("x{"); // {\n${template} /* } */ e(/[/{]"/.test(f)); g / h / i;\n`;
    const code = blank(text);
    assert.equal(code.length, text.length);
    assert.equal(code.replaceAll(/\s+/g, ""), "a();b(c({d:}));e(.test(f));g/h/i;");
  });

  test("functions are measured with their heads, suites of tests are not", () => {
    const body = "  x();\n".repeat(3);
    const text = [
      `function plain(a: number): { b: number } {\n${body}}\n`,
      `const arrow = (a: number): void => {\n  if (a) {\n${body}  }\n};\n`,
      `class C {\n  method(): void {\n${body}  }\n}\n`,
      `describe("suite", () => {\n  test("one", () => {\n${body}  });\n});\n`,
    ].join("");
    assert.deepEqual(
      functions(text)
        .filter(({ lines }) => lines > 1)
        .map(({ line, lines }) => [line, lines]),
      [
        [1, 5],
        [6, 7],
        [14, 5],
        [21, 5],
      ],
    );
  });

  test("parameters are counted once each, whatever their types", () => {
    const text = [
      "function none(): void {}",
      "function two(a: Map<string, number>, { b, c }: { b: 1; c: 2 }): void {}",
      "export function f<T>(\n  a: (x: T, y: T) => void,\n  b: [1, 2],\n  c = g(1, 2),\n): void {}",
    ].join("\n");
    assert.deepEqual(
      declarations(text).map(({ line, name, count }) => [line, name, count]),
      [
        [1, "none", 0],
        [2, "two", 2],
        [3, "f", 3],
      ],
    );
  });

  test("imports are found over several lines, in re-exports and calls, not in comments", () => {
    const text = [
      'import {\n  a,\n} from "./a.ts";',
      'import type { B } from "./b.ts";',
      'export { c } from "./c.ts";',
      '// import { d } from "./d.ts";',
      'const e = await import("./e.ts");',
      'import "./f.ts";',
    ].join("\n");
    const found = imports(text);
    assert.deepEqual(found.map(({ specifier }) => specifier).sort(), [
      "./a.ts",
      "./b.ts",
      "./c.ts",
      "./e.ts",
      "./f.ts",
    ]);
    assert.equal(found.find(({ specifier }) => specifier === "./b.ts")?.kind, "type");
    assert.equal(found.find(({ specifier }) => specifier === "./e.ts")?.kind, "lazy");
  });
});
