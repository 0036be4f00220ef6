/** Well-formedness, bounds, and that nothing is lost between reading and editing. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { HookError } from "../../../src/hooks/domain/errors.ts";
import {
  attributeOf,
  childrenOf,
  MARKUP_COUNT_MAX,
  parseXml,
  TEXT_SIZE_MAX,
  type XmlElement,
} from "../../../src/hooks/domain/xml.ts";
import { CASES, domainsOf, messageOf } from "../../support/hook-fixtures.ts";

const SEED = 20260831;

const at = (line: number, column: number, problem: string): string =>
  `parse domain XML: line ${line} column ${column}: ${problem}`;

const REFUSED: readonly (readonly [string, string])[] = [
  ["", "parse domain XML: no element in it"],
  ["<!-- only -->", "parse domain XML: no element in it"],
  ["text", at(1, 1, "text outside the root")],
  ["<a/>text", at(1, 5, "text outside the root")],
  ["<a/>&amp;", at(1, 5, "text outside the root")],
  ["<a/><![CDATA[x]]>", at(1, 5, "text outside the root")],
  ["<a/><b/>", at(1, 5, "a second root")],
  ["<a>", at(1, 4, 'element "a" is not closed')],
  ["<a><b></a>", at(1, 7, 'end tag "a", wanted "b"')],
  ["</a>", at(1, 1, 'end tag "a", wanted none')],
  ["<a></a", at(1, 7, "an end tag is not closed")],
  ["<a></a b='1'>", at(1, 8, "an end tag is not closed")],
  ["<a", at(1, 3, 'start tag "a" is not closed')],
  ["<a / >", at(1, 5, 'start tag "a" is not closed')],
  ["< a/>", at(1, 2, "a name is missing")],
  ["<1/>", at(1, 2, "a name is missing")],
  ["<\u00d7/>", at(1, 2, "a name is missing")],
  ["<a =''/>", at(1, 4, "a name is missing")],
  ["<a b/>", at(1, 5, 'attribute "b" has no value')],
  ["<a b=c/>", at(1, 6, 'attribute "b" has no quotes')],
  ["<a b='c/>", at(1, 7, 'attribute "b" is not closed')],
  ["<a b='1'c='2'/>", at(1, 9, "no blank before an attribute")],
  ["<a b='1' b='2'/>", at(1, 10, 'attribute "b" twice')],
  ["<a b='<'/>", at(1, 7, '"<" in an attribute')],
  ["<a>\n]]></a>", at(2, 1, 'a stray "]]>"')],
  ["<a>&nbsp;</a>", at(1, 4, "an entity that is not predefined")],
  ["<a>&</a>", at(1, 4, "an entity that is not predefined")],
  ["<a>&#0;</a>", at(1, 4, "an entity that is not predefined")],
  ["<a>&#xD800;</a>", at(1, 4, "an entity that is not predefined")],
  ["<a>&#x110000;</a>", at(1, 4, "an entity that is not predefined")],
  ["<a b='&x;'/>", at(1, 7, "an entity that is not predefined")],
  ["<a>\n \u0000</a>", at(2, 2, "a control character")],
  ["<a>\ufffe</a>", at(1, 4, "a control character")],
  ["<a>\ud800</a>", "parse domain XML: half a surrogate pair"],
  ["<!-- a -- b --><a/>", at(1, 1, '"--" in a comment')],
  ["<!-- a ---><a/>", at(1, 1, '"--" in a comment')],
  ["<!--><a/>", at(1, 5, "a comment is not closed")],
  ["<a><![CDATA[</a>", at(1, 4, "a CDATA section is not closed")],
  ["<?x", at(1, 4, "a processing instruction is not closed")],
  ["<?x+y?><a/>", at(1, 1, "a malformed processing instruction")],
  [" <?xml version='1.0'?><a/>", at(1, 2, "a late XML declaration")],
  ["<?xml version='1.0'", at(1, 1, "an XML declaration is not closed")],
  ["<?xml encoding='utf-8'?><a/>", at(1, 1, "a malformed XML declaration")],
  ["<?xml version='2.0'?><a/>", at(1, 1, "a malformed XML declaration")],
  ["<?xml version='1.0' encoding='UTF-16'?><a/>", at(1, 1, 'encoding "UTF-16", wanted "UTF-8"')],
  ["<!DOCTYPE a><a/>", at(1, 1, "a DTD is not allowed")],
  ["<a><!ENTITY b 'c'></a>", at(1, 4, "a DTD is not allowed")],
  ["<a:b/>", at(1, 1, 'prefix "a" is not declared')],
  ["<a b:c=''/>", at(1, 4, 'prefix "b" is not declared')],
  ["<a><b xmlns:p='u'/><p:c/></a>", at(1, 20, 'prefix "p" is not declared')],
  ["<a xmlns:p=''/>", at(1, 1, 'prefix "p" misused')],
  ["<a xmlns:xmlns='u'/>", at(1, 1, 'prefix "xmlns" misused')],
  ["<a xmlns:xml='u'/>", at(1, 1, 'prefix "xml" misused')],
  ["<:a/>", at(1, 1, 'name ":a" has a stray colon')],
  ["<a:/>", at(1, 1, 'name "a:" has a stray colon')],
  ["<a:b:c/>", at(1, 1, 'name "a:b:c" has a stray colon')],
  ["<a xmlns:p='u' xmlns:q='u' p:x='' q:x=''/>", at(1, 35, 'attribute "q:x" twice')],
];

describe("what is not well-formed", () => {
  for (const [xml, message] of REFUSED) {
    test(`${JSON.stringify(xml)} is refused`, () => {
      assert.equal(
        messageOf(() => parseXml(xml)),
        message,
      );
      assert.throws(() => parseXml(xml), HookError);
    });
  }

  test("an entity bomb is refused where its DTD begins", () => {
    const lol = (n: number): string => `<!ENTITY l${n} "${`&l${n - 1};`.repeat(10)}">`;
    const lols = [1, 2, 3, 4, 5, 6, 7, 8, 9].map(lol).join("");
    const bomb = `<!DOCTYPE l [<!ENTITY l0 "lol">${lols}]>`;
    assert.equal(
      messageOf(() => parseXml(`<?xml version="1.0"?>\n${bomb}<l>&l9;</l>`)),
      at(2, 1, "a DTD is not allowed"),
    );
  });
});

/** Length of all strings that are put into sets while `work` runs. */
function octetsInSets(work: () => unknown): number {
  const { add } = Set.prototype;
  let octets = 0;
  Set.prototype.add = function counting(this: Set<unknown>, key: unknown) {
    octets += typeof key === "string" ? key.length : 0;
    return add.call(this, key);
  };
  try {
    work();
    return octets;
  } finally {
    Set.prototype.add = add;
  }
}

describe("bounds", () => {
  test("size: 10 MiB are read, one more is not", () => {
    const fill = "x".repeat(TEXT_SIZE_MAX - 7);
    assert.equal(parseXml(`<a>${fill}</a>`).end, TEXT_SIZE_MAX);
    assert.equal(
      messageOf(() => parseXml(`<a>${fill}x</a>`)),
      `parse domain XML: ${TEXT_SIZE_MAX + 1} characters are more than ${TEXT_SIZE_MAX}`,
    );
  });

  test("depth: 128 levels are read, one more is not", () => {
    const nest = (depth: number): string => "<a>".repeat(depth) + "</a>".repeat(depth);
    assert.equal(parseXml(nest(128)).children.length, 1);
    assert.equal(
      messageOf(() => parseXml(nest(129))),
      at(1, 385, "nested deeper than 128"),
    );
    assert.equal(
      messageOf(() => parseXml("<a>".repeat(3_000_000))),
      at(1, 385, "nested deeper than 128"),
    );
  });

  test("count: of all markup, and of attributes of one element", () => {
    const most = MARKUP_COUNT_MAX - 1;
    assert.equal(parseXml(`<a>${"<b/>".repeat(most)}</a>`).children.length, most);
    const problem = `more than ${MARKUP_COUNT_MAX} elements, attributes and comments`;
    for (const part of ["<b/>", "<!---->", "<?b?>", "<![CDATA[]]>", "<b c=''/>", "<b xmlns=''/>"]) {
      const message = messageOf(() => parseXml(`<a>${part.repeat(MARKUP_COUNT_MAX)}</a>`));
      assert.ok(message.endsWith(problem), `${part}: ${message}`);
    }
    const attributes = Array.from({ length: 257 }, (_, index) => ` a${index}=""`);
    assert.equal(parseXml(`<a${attributes.slice(1).join("")}/>`).attributes.length, 256);
    assert.match(
      messageOf(() => parseXml(`<a${attributes.join("")}/>`)),
      /more than 256 attributes$/,
    );
  });

  test("the place of a fault in a text of a million lines", () => {
    assert.equal(
      messageOf(() => parseXml(`<a>${"\n".repeat(1_000_000)} &</a>`)),
      at(1_000_001, 2, "an entity that is not predefined"),
    );
  });

  test("a namespace is kept once, however many names are in it", () => {
    const uri = "u".repeat(100_000);
    const attributes = Array.from({ length: 200 }, (_, index) => ` n:a${index}=""`).join("");
    const text = `<a xmlns:n="${uri}" xmlns:m="${uri}">${`<n:b${attributes}/>`.repeat(50)}</a>`;
    // A key of such a set is a string of its own; slices of the text cost nothing.
    assert.ok(octetsInSets(() => parseXml(text)) < text.length);
  });

  test("a message quotes little of a long name", () => {
    assert.ok(messageOf(() => parseXml(`<${"n".repeat(1_000_000)}`)).length < 200);
  });
});

/** Text between the tags of an element and its children, tags included: all of it, in order. */
function retell(text: string, element: XmlElement): string {
  let told = text.slice(element.start, element.openEnd);
  let at = element.openEnd;
  for (const child of element.children) {
    told += text.slice(at, child.start) + retell(text, child);
    at = child.end;
  }
  return told + text.slice(at, element.end);
}

describe("what is read", () => {
  test("places, values and namespaces", () => {
    const text = `<?xml version="1.0" encoding="UTF-8"?>
<!-- c --><p:a xmlns:p='urn:p' xmlns="urn:d" b = 'x&lt;&#65;&#x1F600;"' p:b="1">
  t<![CDATA[<no/>]]><c d="a\tb\r\nc"/><?pi x?><e xmlns=""/>&amp;<c></c >
</p:a>
`;
    const root = parseXml(text);
    assert.equal(root.name, "p:a");
    assert.equal(root.local, "a");
    assert.equal(root.namespace, "urn:p");
    assert.equal(attributeOf(root, "b"), 'x<A\u{1f600}"');
    const prefixed = root.attributes.at(-1);
    assert.deepEqual([prefixed?.local, prefixed?.namespace], ["b", "urn:p"]);
    assert.equal(text.slice(prefixed?.start, prefixed?.end), 'p:b="1"');
    assert.deepEqual(
      root.children.map(({ name, namespace, isEmptyTag }) => [name, namespace, isEmptyTag]),
      [
        ["c", "urn:d", true],
        ["e", "", true],
        ["c", "urn:d", false],
      ],
    );
    assert.equal(attributeOf(root.children[0], "d"), "a b c");
    assert.equal(childrenOf(root, "c", "urn:d").length, 2);
    assert.equal(childrenOf(root, "c").length, 0);
    assert.equal(text.slice(root.start, root.openEnd).endsWith('p:b="1">'), true);
    assert.equal(text.slice(root.closeStart, root.end), "</p:a>");
  });

  test("a byte order mark, names of other scripts, a prefix declared anew inside", () => {
    const text =
      "\ufeff<\u00e9\u{10400}- xmlns:p='u'><b xmlns:p='v'><p:c/></b><p:d/></\u00e9\u{10400}->";
    const root = parseXml(text);
    assert.equal(root.start, 1);
    const [b, d] = root.children;
    assert.equal(b?.children[0]?.namespace, "v");
    assert.equal(d?.namespace, "u");
  });

  test("every fixture is told again without loss", () => {
    for (const text of CASES.flatMap(domainsOf)) {
      assert.equal(retell(text, parseXml(text)), text);
    }
  });
});

/** A random element as text, without namespaces. */
const element = fc.letrec<{ tree: string }>((tie) => ({
  tree: fc
    .record({
      name: fc.constantFrom("a", "b-1", "c.d", "\u00e9"),
      blank: fc.constantFrom(" ", "\n\t", "\r\n"),
      value: fc.constantFrom('"x"', "'y\"'", '"&amp;&#9;"', "''"),
      content: fc.array(
        fc.oneof(
          { depthSize: "small" },
          fc.constantFrom("text", "<!-- c -->", "<![CDATA[<&]]>", "&lt;", "<?p i?>", "\n"),
          tie("tree"),
        ),
        { maxLength: 5 },
      ),
      isEmpty: fc.boolean(),
    })
    .map(({ name, blank, value, content, isEmpty }) =>
      isEmpty
        ? `<${name}${blank}n=${value}/>`
        : `<${name}${blank}n = ${value}>${content.join("")}</${name}${blank}>`,
    ),
})).tree;

describe("random documents", () => {
  test("are told again without loss", () => {
    fc.assert(
      fc.property(element, (text) => {
        assert.equal(retell(text, parseXml(text)), text);
      }),
      { seed: SEED },
    );
  });

  test("broken ones are read or refused, never anything else", () => {
    const junk = fc.string({ unit: fc.constantFrom(..."<>/&;!-[]?='\" ax:".split("")) });
    fc.assert(
      fc.property(element, fc.nat(), fc.nat(5), junk, (text, place, gone, added) => {
        const start = place % text.length;
        const broken = text.slice(0, start) + added + text.slice(start + gone);
        try {
          assert.equal(retell(broken, parseXml(broken)).length > 0, true);
        } catch (error) {
          assert.ok(error instanceof HookError, String(error));
        }
      }),
      { seed: SEED, numRuns: 1000 },
    );
  });
});
