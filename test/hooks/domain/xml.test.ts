/** Namespaces, hostile names, and that nothing is lost between reading and editing. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { HookError } from "../../../src/hooks/domain/errors.ts";
import { TEXT_SIZE_MAX } from "../../../src/hooks/domain/markup.ts";
import {
  attributeOf,
  childOf,
  childrenOf,
  parseXml,
  type XmlElement,
} from "../../../src/hooks/domain/xml.ts";
import { CASES, domainsOf, messageOf } from "../../support/hook-fixtures.ts";

const SEED = 20260831;

const at = (line: number, column: number, problem: string): string =>
  `parse domain XML: line ${line} column ${column}: ${problem}`;

const REFUSED: readonly (readonly [string, string])[] = [
  ["<a><b></a>", at(1, 7, 'end tag "a": wanted "b"')],
  ["<a:b/>", at(1, 1, 'prefix "a" is not declared')],
  ["<a b:c=''/>", at(1, 1, 'prefix "b" is not declared')],
  ["<a><b xmlns:p='u'/><p:c/></a>", at(1, 20, 'prefix "p" is not declared')],
  ["<a xmlns:p=''/>", at(1, 1, 'prefix "p" is misused')],
  ["<a xmlns:xmlns='u'/>", at(1, 1, 'prefix "xmlns" is misused')],
  ["<a xmlns:xml='u'/>", at(1, 1, 'prefix "xml" is misused')],
  ["<a xmlns='http://www.w3.org/XML/1998/namespace'/>", at(1, 1, 'prefix "" is misused')],
  ["<a xmlns:p='http://www.w3.org/2000/xmlns/'/>", at(1, 1, 'prefix "p" is misused')],
  ["<a xmlns:p='u' xmlns:q='u' p:x='' q:x=''/>", at(1, 1, 'attribute "q:x" is repeated')],
  ["<a xmlns:p='u'>\n<b xmlns:q='u' p:x='' q:x=''/></a>", at(2, 1, 'attribute "q:x" is repeated')],
];

describe("what is refused", () => {
  for (const [xml, message] of REFUSED) {
    test(xml, () => {
      assert.equal(
        messageOf(() => parseXml(xml)),
        message,
      );
      assert.throws(() => parseXml(xml), HookError);
    });
  }
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

  test("predefined prefixes, and a prefix that stands for two namespaces in turn", () => {
    const root = parseXml("<a xml:b='1' xmlns:p='u' xmlns='d'><p:c xmlns:p='v' p:d=''/><p:c/></a>");
    assert.deepEqual(
      root.attributes.map(({ local, namespace }) => [local, namespace]),
      [
        ["b", "http://www.w3.org/XML/1998/namespace"],
        ["p", "http://www.w3.org/2000/xmlns/"],
        ["xmlns", "http://www.w3.org/2000/xmlns/"],
      ],
    );
    assert.deepEqual(
      root.children.map(({ namespace }) => namespace),
      ["v", "u"],
    );
    assert.equal(root.children[0]?.attributes[1]?.namespace, "v");
    assert.equal(parseXml("<a xmlns:p='u' x='' p:x=''/>").attributes.length, 3);
  });

  test("names that JavaScript's objects have", () => {
    const names = [
      "__proto__",
      "constructor",
      "prototype",
      "toString",
      "hasOwnProperty",
      "valueOf",
    ];
    for (const name of names) {
      const inner = `<${name} ${name}='1' b='2'/><${name}><${name}/></${name}>`;
      const root = parseXml(`<${name} ${name}='0'>${inner}</${name}>`);
      assert.equal(root.name, name);
      assert.equal(attributeOf(root, name), "0");
      const [first, second] = root.children;
      assert.deepEqual(
        first?.attributes.map((each) => [each.name, each.value]),
        [
          [name, "1"],
          ["b", "2"],
        ],
      );
      assert.ok(first?.isEmptyTag && first.name === name);
      assert.equal(childOf(second ?? root, name)?.name, name);
    }
    assert.equal(Object.hasOwn(Object.prototype, "b"), false);
  });

  test("line ends of all kinds, and what looks like a tag's end in values", () => {
    const text = "<a\tb='\r\n'\r\n\tc=\"/>\"\r>\r\n\t<b\r/><c d='>'\n></c\r\n></a>\r";
    const root = parseXml(text);
    assert.deepEqual(
      root.attributes.map(({ value }) => value),
      [" ", "/>"],
    );
    const told = root.children.map(({ start, openEnd, closeStart, end, isEmptyTag }) => [
      text.slice(start, openEnd),
      text.slice(closeStart, end),
      isEmptyTag,
    ]);
    assert.deepEqual(told, [
      ["<b\r/>", "", true],
      ["<c d='>'\n>", "</c\r\n>", false],
    ]);
  });

  test("comments, CDATA and instructions between tags", () => {
    const text = "<a><!-- <b> --><c/><![CDATA[<d/>]]><?e f='?><g></g> h=\"?><!-----></a>".replace(
      "<!----->",
      "<!---->",
    );
    const root = parseXml(text);
    assert.deepEqual(
      root.children.map(({ name }) => name),
      ["c", "g"],
    );
    assert.equal(retell(text, root), text);
  });

  test("10 MiB between two tags, 128 levels", () => {
    const fill = "x".repeat(TEXT_SIZE_MAX - 128 * 7);
    let element = parseXml("<a>".repeat(128) + fill + "</a>".repeat(128));
    assert.equal(element.end, TEXT_SIZE_MAX);
    for (let depth = 1; depth < 128; depth += 1) element = element.children[0] ?? element;
    assert.equal(element.closeStart - element.openEnd, fill.length);
  });

  test("a namespace is kept once, however many names are in it", () => {
    const uri = "u".repeat(100_000);
    const attributes = Array.from({ length: 200 }, (_, index) => ` n:a${index}=""`).join("");
    const text = `<a xmlns:n="${uri}" xmlns:m="${uri}">${`<n:b${attributes}/>`.repeat(50)}</a>`;
    // A key of such a set is a string of its own; slices of the text cost nothing.
    assert.ok(octetsInSets(() => parseXml(text)) < text.length);
  });

  test("every fixture is told again without loss", () => {
    for (const unix of CASES.flatMap(domainsOf)) {
      for (const text of [unix, unix.replace(/\n/g, "\r\n"), `\ufeff${unix}`]) {
        const root = parseXml(text);
        const start = text.search(/[^\ufeff]/);
        assert.equal(text.slice(0, start) + retell(text, root) + text.slice(root.end), text);
      }
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
