/** Well-formedness and bounds, and what the XML library is given. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HookError } from "../../../src/hooks/domain/errors.ts";
import { malformed, readTags, TEXT_SIZE_MAX } from "../../../src/hooks/domain/markup.ts";
import { messageOf } from "../../support/hook-fixtures.ts";

/** What the program promises. */
const MARKUP_COUNT_MAX = 30_000;

const at = (line: number, column: number, problem: string): string =>
  `parse domain XML: line ${line} column ${column}: ${problem}`;

const REFUSED: readonly (readonly [string, string])[] = [
  ["", "parse domain XML: no root element"],
  ["<!-- only -->", "parse domain XML: no root element"],
  ["text", at(1, 1, "text outside the root element")],
  ["<a/>text", at(1, 5, "text outside the root element")],
  ["<a/>&amp;", at(1, 5, "text outside the root element")],
  ["<a/><![CDATA[x]]>", at(1, 5, "text outside the root element")],
  ["<a/><b/>", at(1, 5, "second root element")],
  ["<a></a><b></b>", at(1, 8, "second root element")],
  ["<a>", at(1, 4, 'element "a" is not closed')],
  ["<a><b></a>", at(1, 7, 'end tag "a": wanted "b"')],
  ["</a>", at(1, 1, 'end tag "a": wanted none')],
  ["<a/></a>", at(1, 5, 'end tag "a": wanted none')],
  ["<a></a", at(1, 7, 'end tag "a" is malformed')],
  ["<a></a b='1'>", at(1, 7, 'end tag "a" is malformed')],
  ["<a></ a>", at(1, 4, 'end tag "": wanted "a"')],
  ["<a", at(1, 3, 'start tag "a" is malformed')],
  ["<a / >", at(1, 3, 'start tag "a" is malformed')],
  ["<a?>", at(1, 3, 'start tag "a" is malformed')],
  ["< a/>", at(1, 1, '"" is not the name of an element')],
  ["<1/>", at(1, 1, '"1" is not the name of an element')],
  ["<\u00d7/>", at(1, 1, '"\u00d7" is not the name of an element')],
  ["<a\ufeffb/>", at(1, 1, '"a\\u{feff}b" is not the name of an element')],
  ["<:a/>", at(1, 1, '":a" is not the name of an element')],
  ["<a:/>", at(1, 1, '"a:" is not the name of an element')],
  ["<a:b:c/>", at(1, 1, '"a:b:c" is not the name of an element')],
  ["<a =''/>", at(1, 3, 'start tag "a" is malformed')],
  ["<a b/>", at(1, 3, 'start tag "a" is malformed')],
  ["<a b=c/>", at(1, 3, 'start tag "a" is malformed')],
  ["<a b='c/>", at(1, 3, 'start tag "a" is malformed')],
  ["<a b='1'c='2'/>", at(1, 9, 'start tag "a" is malformed')],
  ["<a 1=''/>", at(1, 3, '"1" is not the name of an attribute')],
  ["<a\n b='1' b='2'/>", at(2, 7, 'attribute "b" is repeated')],
  ["<a b='<'/>", at(1, 7, '"<" in an attribute')],
  ['<a b = "x<!--"/>', at(1, 10, '"<" in an attribute')],
  ["<a>\n]]></a>", at(2, 1, '"]]>" in text')],
  ["<a>&nbsp;</a>", at(1, 4, "entity that is not predefined")],
  ["<a>&</a>", at(1, 4, "entity that is not predefined")],
  ["<a>&#0;</a>", at(1, 4, "entity that is not predefined")],
  ["<a>&#xD800;</a>", at(1, 4, "entity that is not predefined")],
  ["<a>&#x110000;</a>", at(1, 4, "entity that is not predefined")],
  ["<a b='&x;'/>", at(1, 7, "entity that is not predefined")],
  ["<a b='&amp;' c=\"x&y;\"/>", at(1, 18, "entity that is not predefined")],
  ["<a>\n \u0000</a>", at(2, 2, "control character")],
  ["<a>\ufffe</a>", at(1, 4, "control character")],
  ["<a>\ud800</a>", "parse domain XML: half a surrogate pair"],
  ["<!-- a -- b --><a/>", at(1, 1, '"--" in a comment')],
  ["<!-- a ---><a/>", at(1, 1, '"--" in a comment')],
  ["<!--><a/>", at(1, 5, "comment is not closed")],
  ["<a><![CDATA[</a>", at(1, 4, "CDATA section is not closed")],
  ["<?x", at(1, 1, "processing instruction is not closed")],
  ["<?x+y?><a/>", at(1, 1, "processing instruction is malformed")],
  ["<??><a/>", at(1, 1, "processing instruction is malformed")],
  ["<?x?y?><a/>", at(1, 1, "processing instruction is malformed")],
  [" <?xml version='1.0'?><a/>", at(1, 2, "XML declaration is not at the start")],
  ["<a><?XML?></a>", at(1, 4, "XML declaration is not at the start")],
  ["<?xml version='1.0'", at(1, 1, "XML declaration is not closed")],
  ["<?xml encoding='utf-8'?><a/>", at(1, 1, "XML declaration is malformed")],
  ["<?xml version='2.0'?><a/>", at(1, 1, "XML declaration is malformed")],
  [`<?xml version='1.0'${" ".repeat(300)}?><a/>`, at(1, 1, "XML declaration is malformed")],
  ["<?xml version='1.0' encoding='UTF-16'?><a/>", at(1, 1, 'encoding "UTF-16": wanted "UTF-8"')],
  ["<!DOCTYPE a><a/>", at(1, 1, "DTD is not allowed")],
  ["<a><!ENTITY b 'c'></a>", at(1, 4, "DTD is not allowed")],
];

/** Texts, and the tags in them. */
const READ: readonly (readonly [string, readonly string[]])[] = [
  ["\ufeff<?xml version='1.0'?>\r\n<a/>", ["<a/>"]],
  ['<?xml version="1.1" encoding="utf-8" standalone="yes" ?><a/>', ["<a/>"]],
  ["<?xml version='1.0' encoding='US-ASCII'?><a/>", ["<a/>"]],
  ["<?xmlish it's?><a><?x?></a>", ["<a>", "</a>"]],
  ["<!-- <b> it's --><a>x>y<!----></a >\n", ["<a>", "</a >"]],
  ["<a><![CDATA[<!DOCTYPE b>&c;]]]></a>", ["<a>", "</a>"]],
  ["<a b='/>' c = \"it's\"\t/>", ["<a b='/>' c = \"it's\"\t/>"]],
  ["<a><b\n/>&#65;<c></c></a>", ["<a>", "<b\n/>", "<c>", "</c>", "</a>"]],
];

describe("what is not well-formed", () => {
  for (const [xml, message] of REFUSED) {
    test(`${JSON.stringify(xml.slice(0, 60))} is refused`, () => {
      assert.equal(
        messageOf(() => readTags(xml)),
        message,
      );
      assert.throws(() => readTags(xml), HookError);
    });
  }

  test("an entity bomb is refused where its DTD begins", () => {
    const lol = (n: number): string => `<!ENTITY l${n} "${`&l${n - 1};`.repeat(10)}">`;
    const lols = [1, 2, 3, 4, 5, 6, 7, 8, 9].map(lol).join("");
    const bomb = `<!DOCTYPE l [<!ENTITY l0 "lol">${lols}]>`;
    assert.equal(
      messageOf(() => readTags(`<?xml version="1.0"?>\n${bomb}<l>&l9;</l>`)),
      at(2, 1, "DTD is not allowed"),
    );
  });

  test("a message quotes little of a long name", () => {
    assert.ok(messageOf(() => readTags(`<${"n".repeat(1_000_000)}`)).length < 200);
  });
});

describe("what is well-formed", () => {
  for (const [xml, tags] of READ) {
    test(JSON.stringify(xml), () => {
      const { text, starts, ends } = readTags(xml);
      assert.deepEqual(
        starts.map((start, index) => xml.slice(start, ends[index])),
        tags,
      );
      assert.equal(text, tags.join(""));
    });
  }
});

describe("bounds", () => {
  test("size: 10 MiB are read, one more is not", () => {
    const fill = "x".repeat(TEXT_SIZE_MAX - 7);
    assert.equal(readTags(`<a>${fill}</a>`).ends[1], TEXT_SIZE_MAX);
    assert.equal(
      messageOf(() => readTags(`<a>${fill}x</a>`)),
      `parse domain XML: ${TEXT_SIZE_MAX + 1} characters are more than ${TEXT_SIZE_MAX}`,
    );
  });

  test("depth: 128 levels are read, one more is not", () => {
    const nest = (depth: number): string => "<a>".repeat(depth) + "</a>".repeat(depth);
    assert.equal(readTags(nest(128)).starts.length, 256);
    assert.equal(
      messageOf(() => readTags(nest(129))),
      at(1, 385, "nested deeper than 128"),
    );
    assert.equal(
      messageOf(() => readTags("<a>".repeat(3_000_000))),
      at(1, 385, "nested deeper than 128"),
    );
  });

  test("count: of all markup, and of attributes of one element", () => {
    const most = MARKUP_COUNT_MAX - 1;
    assert.equal(readTags(`<a>${"<b/>".repeat(most)}</a>`).starts.length, most + 2);
    const problem = `more than ${MARKUP_COUNT_MAX} elements, attributes and comments`;
    for (const part of ["<b/>", "<!---->", "<?b?>", "<![CDATA[]]>", "<b c=''/>", "<b xmlns=''/>"]) {
      const message = messageOf(() => readTags(`<a>${part.repeat(MARKUP_COUNT_MAX)}</a>`));
      assert.ok(message.endsWith(problem), `${part}: ${message}`);
    }
    const attributes = Array.from({ length: 257 }, (_, index) => ` a${index}=""`);
    assert.equal(readTags(`<a${attributes.slice(1).join("")}/>`).starts.length, 1);
    assert.match(
      messageOf(() => readTags(`<a${attributes.join("")}/>`)),
      /more than 256 attributes$/,
    );
  });

  test("the place of a fault in a text of a million lines", () => {
    assert.equal(
      messageOf(() => readTags(`<a>${"\n".repeat(1_000_000)} &</a>`)),
      at(1_000_001, 2, "entity that is not predefined"),
    );
  });

  test("count: tabs and carriage returns in tags, of which the library makes objects", () => {
    const tagOf = (count: number): string => `<a b='${"\t\r".repeat(count / 2)}'/>`;
    assert.equal(readTags(`<a>${tagOf(MARKUP_COUNT_MAX)}\r\t</a>`).starts.length, 3);
    assert.equal(
      messageOf(() => readTags(`<a>${tagOf(MARKUP_COUNT_MAX + 2)}</a>`)),
      `parse domain XML: more than ${MARKUP_COUNT_MAX} tabs and carriage returns in tags`,
    );
  });

  test("time: what a pattern could try again and again", () => {
    const many = 1_000_000;
    const blanks = " ".repeat(many);
    for (const text of [`<a${blanks}`, `<a b${blanks}=${blanks}c/>`, `<a ${"b".repeat(many)}/>`]) {
      assert.match(
        messageOf(() => readTags(text)),
        /start tag "a" is malformed$/,
      );
    }
    assert.equal(readTags(`<a b='${"x".repeat(many)}'${blanks}></a${blanks}>`).starts.length, 2);
  });
});

describe("a place", () => {
  test("is told by line and column", () => {
    assert.equal(malformed("a\nb\r\ncd", 6, "x").message, at(3, 2, "x"));
    assert.equal(malformed("a", 0, "x").message, at(1, 1, "x"));
  });
});
