/** New elements look like what is there, and go without a trace. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { applyEdits, type Edit } from "../../../src/hooks/domain/edits.ts";
import {
  append,
  insertAfter,
  insertBefore,
  type NewElement,
  remove,
  replace,
} from "../../../src/hooks/domain/layout.ts";
import { parseXml, type XmlElement } from "../../../src/hooks/domain/xml.ts";

const NEW: NewElement = {
  name: "n",
  attributes: { v: '<"&\n', w: undefined },
  children: [{ name: "m" }, "<kept/>"],
};

function edited(
  text: string,
  edit: (root: XmlElement, first: XmlElement) => Edit | readonly Edit[],
): string {
  const root = parseXml(text);
  return applyEdits(text, [edit(root, root.children[0] ?? root)].flat());
}

const COMPACT = '<n v="&#60;&#34;&#38;&#10;"><m/><kept/></n>';
const INDENTED = (lead: string, unit: string): string =>
  COMPACT.replace("<m/>", `${lead}${unit}<m/>${lead}${unit}`).replace("</n>", `${lead}</n>`);

describe("append", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["<a></a>", `<a>${COMPACT}</a>`],
    ["<a/>", `<a>${COMPACT}</a>`],
    ["<a ><b/></a>", `<a ><b/>${COMPACT}</a>`],
    ["<a>\n  <b/>\n</a>", `<a>\n  <b/>\n  ${INDENTED("\n  ", "  ").trimStart()}\n</a>`],
    ["<a>\r\n\t<b/>\r\n</a>", `<a>\r\n\t<b/>\r\n\t${INDENTED("\r\n\t", "\t").trimStart()}\r\n</a>`],
  ];
  for (const [before, after] of cases) {
    test(JSON.stringify(before), () => {
      assert.equal(
        edited(before, (root) => append(before, root, [NEW])),
        after,
      );
    });
  }

  test("to an empty element of an indented document, one level deeper", () => {
    const text = "<r>\n\t<a/>\n</r>";
    assert.equal(
      edited(text, (_, a) => append(text, a, [{ name: "x" }, { name: "y" }])),
      "<r>\n\t<a>\n\t\t<x/>\n\t\t<y/>\n\t</a>\n</r>",
    );
  });

  test("nothing is no edit", () => {
    assert.deepEqual(append("<a/>", parseXml("<a/>"), []), []);
  });
});

describe("beside a child", () => {
  const text = "<a>\n  <b/>\n</a>";
  const x: NewElement = { name: "x" };

  test("before, behind, in its place", () => {
    const put = (how: typeof insertAfter): string => edited(text, (a, b) => how(text, a, b, x));
    assert.equal(put(insertBefore), "<a>\n  <x/>\n  <b/>\n</a>");
    assert.equal(put(insertAfter), "<a>\n  <b/>\n  <x/>\n</a>");
    assert.equal(put(replace), "<a>\n  <x/>\n</a>");
  });

  test("what was added goes without a trace", () => {
    for (const how of [insertBefore, insertAfter]) {
      const added = edited(text, (a, b) => how(text, a, b, NEW));
      const after = edited(added, (root) =>
        root.children.filter(({ name }) => name === "n").map((each) => remove(added, each)),
      );
      assert.equal(after, text);
    }
  });
});
