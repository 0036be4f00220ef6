/** Which changes are found in a piece of source, and what each makes of it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { applyMutation, lineOf, lines, sitesOf } from "./mutations.ts";

/** All that a text may become. */
function variants(text: string): string[] {
  return sitesOf("a.ts", text).flatMap((site) => site.map((each) => applyMutation(text, each)));
}

const CASES: readonly (readonly [string, string, readonly string[]])[] = [
  ["comparison", "f = a < b;", [";", "f = a <= b;", "f = a >= b;"]],
  ["equality", "f = (a) === (b);", [";", "f = (a) !== (b);"]],
  ["arithmetic", "f = a + b;", [";", "f = a - b;"]],
  ["assignment", "a += b;", [";", "a -= b;"]],
  ["logic", "f = a && b;", [";", "f = a || b;", "f = a;", "f = b;"]],
  ["default", "f = a ?? b;", [";", "f = a;", "f = b;"]],
  ["sign", "f = !a;", [";", "f = a;"]],
  ["step", "a++;", [";", "a--;"]],
  ["number", "f = 7;", [";", "f = 8;", "f = 6;"]],
  ["big number", "f = 7n;", [";", "f = 8n;", "f = 6n;"]],
  ["truth", "f = true;", [";", "f = false;"]],
  ["text", 'f = "a";', [";", 'f = "";']],
  ["empty text", 'f = "";', [";", 'f = "mutant";']],
  ["template", "f = `a` + g`b`;", [";", "f = `a` - g`b`;", 'f = "" + g`b`;']],
  ["list", "f = [a];", [";", "f = [];"]],
  ["field", "f = { a, b };", [";", "f = {  b };", "f = { a,  };"]],
  ["call", "await f();", [";"]],
  ["super stays", "class A extends B { constructor() { super(); } }", []],
  ["method", "f = Math.min(a, b);", [";", "f = Math.max(a, b);"]],
  ["transformation", "f = a.trim();", [";", "f = a;"]],
  ["optional member", "f = a?.b;", [";", "f = a.b;"]],
  ["optional call", "f = a?.();", [";", "f = a();"]],
  ["optional index", "f = a?.[b];", [";", "f = a[b];"]],
  ["if", "if (a) b;", ["if (!(a)) b;", "if (true) b;", "if (false) b;", "if (a) ;"]],
  ["while", "while (a) b;", ["while (false) b;", "while (a) ;"]],
  ["choice", "f = a ? b : c;", [";", "f = a ? c : b;", "f = true ? b : c;", "f = false ? b : c;"]],
  ["throw", "throw a;", [";"]],
  ["return", "() => { return a; };", [";", "() => { return undefined; };"]],
  [
    "body",
    "function f() { a; b; }",
    ["function f() { return; a; b; }", "function f() { ; b; }", "function f() { a; ; }"],
  ],
];

describe("mutants/mutations", () => {
  for (const [name, text, expected] of CASES) {
    test(name, () => assert.deepEqual(variants(text), expected));
  }

  test("what is gone when the program runs, and names, stay", () => {
    const texts = [
      'import a from "./a.ts";',
      'export { a } from "./a.ts";',
      'export * from "./a.ts";',
      'type A = "a" | 1 | (true | false);',
      'let a: "a" | 1;',
      'class A { "a": number }',
    ];
    for (const text of texts) assert.deepEqual(variants(text), [], text);
  });

  test("what is inside of a cast is changed", () => {
    assert.deepEqual(variants("let a = (b as { c: 1 }).d(1 satisfies 1);").length, 2);
  });

  test("decorators of AssemblyScript are no obstacle, an error is", () => {
    const text = "@inline\nexport function f(a: u32): u32 {\n  return a + 1;\n}\n";
    assert.ok(variants(text).includes(text.replace("+", "-")));
    assert.throws(() => variants("let = = 1"), /a\.ts: /);
  });

  test("the lines that change are told without indentation", () => {
    const text = "a;\n  if (a) {\n    b;\n  } else c;\nd;\n";
    const swapped = sitesOf("a.ts", text)
      .flat()
      .find(({ kind }) => kind === "condition");
    assert.ok(swapped !== undefined);
    assert.deepEqual(lines(text, swapped), { from: "if (a) {", to: "if (!(a)) {" });
    assert.equal(lineOf(text, swapped.start), 2);
    const whole = { kind: "", start: text.indexOf("{"), end: text.indexOf("c"), text: "" };
    assert.deepEqual(lines(text, whole), { from: "if (a) {\nb;\n} else c;", to: "if (a) c;" });
  });
});
