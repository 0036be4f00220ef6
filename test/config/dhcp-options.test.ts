/**
 * The list of DHCP options. Goal: the octets RFC 2132, 3396 and 3397 ask for, never more than the
 * engine has room for. Method: octets by hand, then a decoder of our own against random lists.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  type DhcpOptionsInput,
  dhcpOptionsOf,
  encodeDhcpOptions,
  fitSearchList,
} from "../../src/config/dhcp-options.ts";
import { encodeSearchList } from "../../src/config/search-list.ts";
import { messageOf } from "../support/hook-fixtures.ts";

const SEED = 3397;

/** The octets of the options that say this. */
function buildDhcpOptions(input: DhcpOptionsInput): Uint8Array {
  return encodeDhcpOptions(dhcpOptionsOf(input));
}

/** Walks the options and joins those of one code (RFC 3396 §5). */
function decodeOptions(octets: Uint8Array): Map<number, number[]> {
  const values = new Map<number, number[]>();
  let at = 0;
  while (at < octets.length) {
    const code = octets[at] ?? 0;
    const size = octets[at + 1] ?? 0;
    assert.ok(size > 0 && at + 2 + size <= octets.length, `option ${code} stays inside`);
    values.set(code, [...(values.get(code) ?? []), ...octets.subarray(at + 2, at + 2 + size)]);
    at += 2 + size;
  }
  return values;
}

/** Reads a search list; every pointer must lead to the start of a label read before. */
function decodeSearchList(octets: readonly number[]): string[] {
  const starts = new Set<number>();
  const names: string[] = [];
  let at = 0;
  while (at < octets.length) {
    const labels: string[] = [];
    let position = at;
    let end = -1;
    for (let size = octets[position] ?? 0; size !== 0; size = octets[position] ?? 0) {
      if (size >= 0xc0) {
        const target = ((size & 0x3f) << 8) | (octets[position + 1] ?? 0);
        assert.ok(target < position && starts.has(target), `pointer to ${target} is legal`);
        if (end < 0) end = position + 2;
        position = target;
        continue;
      }
      assert.ok(size <= 63, "label length");
      if (end < 0) starts.add(position);
      labels.push(String.fromCharCode(...octets.slice(position + 1, position + 1 + size)));
      position += 1 + size;
    }
    at = end < 0 ? position + 1 : end;
    names.push(labels.join("."));
  }
  return names;
}

function text(octets: readonly number[] | undefined): string {
  return new TextDecoder().decode(Uint8Array.from(octets ?? []));
}

describe("dhcpOptionsOf", () => {
  test("gives nothing for nothing", () => {
    assert.equal(buildDhcpOptions({}).length, 0);
    assert.equal(buildDhcpOptions({ search: [], ntpServers: [], privateOptions: [] }).length, 0);
  });

  test("encodes host name and domain", () => {
    const octets = buildDhcpOptions({ hostName: "vm", search: ["a.b"] });
    assert.deepEqual(
      [...octets],
      [12, 2, 0x76, 0x6d, 15, 3, 0x61, 0x2e, 0x62, 119, 5, 1, 0x61, 1, 0x62, 0],
    );
  });

  test("encodes NTP, boot and private options in ascending order", () => {
    const values = decodeOptions(
      buildDhcpOptions({
        privateOptions: [
          { code: 254, value: "last" },
          { code: 224, value: "ü" },
        ],
        bootFileName: "pxelinux.0",
        tftpServerName: "tftp.example",
        ntpServers: ["10.0.0.1", "192.168.255.254"],
      }),
    );
    assert.deepEqual([...values.keys()], [42, 66, 67, 224, 254]);
    assert.deepEqual(values.get(42), [10, 0, 0, 1, 192, 168, 255, 254]);
    assert.equal(text(values.get(66)), "tftp.example");
    assert.equal(text(values.get(67)), "pxelinux.0");
    assert.equal(text(values.get(224)), "ü");
    assert.equal(text(values.get(254)), "last");
  });

  test("RFC 3396 §5: a value over 255 octets goes into consecutive options of its code", () => {
    const octets = buildDhcpOptions({ privateOptions: [{ code: 230, value: "x".repeat(600) }] });
    assert.deepEqual([octets[0], octets[1]], [230, 255]);
    assert.deepEqual([octets[257], octets[258]], [230, 255]);
    assert.deepEqual([octets[514], octets[515]], [230, 90]);
    assert.equal(octets.length, 606);
  });

  test("fills the room to the last octet and no further", () => {
    const fill = (size: number): Uint8Array =>
      buildDhcpOptions({ privateOptions: [{ code: 230, value: "x".repeat(size) }] });
    assert.equal(fill(1016).length, 1024);
    assert.throws(() => fill(1017), {
      name: "ConfigError",
      message: "shorten DHCP options: 1025 octets do not fit 1024",
    });
  });

  test("control characters are refused in every text, letters of all scripts are not", () => {
    const unsafe = ["\0", "\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\u2066"];
    for (const unit of [...unsafe, "\ufffe", "\uffff", "\ud800", "\udc00"]) {
      const value = `a${unit}b`;
      const inputs = [
        { bootFileName: value },
        { tftpServerName: value },
        { privateOptions: [{ code: 224, value }] },
      ];
      for (const input of inputs) {
        const message = messageOf(() => buildDhcpOptions(input));
        assert.match(message, /^encode .*: wanted text without control characters$/);
        assert.ok(!unsafe.some((each) => message.includes(each)), "nor are they in the message");
      }
      for (const input of [{ hostName: value }, { search: [value] }]) {
        assert.match(
          messageOf(() => buildDhcpOptions(input)),
          /^encode /,
        );
      }
    }
    const value = "caf\u00e9 \u65e5\u672c \u{1f427} ~!\"#$%&'()*+,-./\\";
    assert.ok(buildDhcpOptions({ bootFileName: value }).length > value.length);
  });

  const refused: readonly (readonly [string, DhcpOptionsInput, RegExp])[] = [
    ["a host name with a space", { hostName: "a b" }, /^encode host name "a b": wanted/],
    ["a search domain with an empty label", { search: ["a..b"] }, /^encode search domain "a..b"/],
    ["an NTP server by name", { ntpServers: ["pool.ntp"] }, /^encode NTP server "pool.ntp"/],
    ["an empty boot file name", { bootFileName: "" }, /^encode boot file name "": wanted text/],
    ["a NUL in the TFTP server name", { tftpServerName: "a\0" }, /^encode TFTP server name/],
    ["endless text", { bootFileName: "x".repeat(2000) }, /2000 characters are too long$/],
    [
      "a private code below 224",
      { privateOptions: [{ code: 223, value: "x" }] },
      /^encode DHCP option "223": wanted a code from 224 to 254$/,
    ],
    [
      "a private code above 254",
      { privateOptions: [{ code: 255, value: "x" }] },
      /wanted a code from 224 to 254$/,
    ],
    [
      "a fractional private code",
      { privateOptions: [{ code: 230.5, value: "x" }] },
      /wanted a code from 224 to 254$/,
    ],
    [
      "a private code twice",
      {
        privateOptions: [
          { code: 230, value: "x" },
          { code: 230, value: "y" },
        ],
      },
      /^encode DHCP option "230" once, not twice$/,
    ],
  ];
  for (const [what, input, message] of refused) {
    test(`refuses ${what}`, () => {
      assert.throws(() => buildDhcpOptions(input), { name: "ConfigError", message });
    });
  }
});

describe("D14 MUST RFC 3397 §2: search list with legal compression pointers only", () => {
  test("encodes the example of the RFC octet for octet", () => {
    const octets = encodeSearchList(["eng.apple.com.", "marketing.apple.com."]);
    const wanted = [
      ...[3, 0x65, 0x6e, 0x67, 5, 0x61, 0x70, 0x70, 0x6c, 0x65, 3, 0x63, 0x6f, 0x6d, 0],
      ...[9, 0x6d, 0x61, 0x72, 0x6b, 0x65, 0x74, 0x69, 0x6e, 0x67, 0xc0, 0x04],
    ];
    assert.deepEqual(octets, wanted);
  });

  test("a name seen before is one pointer, whatever its case", () => {
    assert.deepEqual(encodeSearchList(["a.b", "A.B"]), [1, 0x61, 1, 0x62, 0, 0xc0, 0]);
  });

  test("pointers count from the start of the joined list, across pieces", () => {
    const long = Array.from({ length: 5 }, (_, index) => `${"x".repeat(59)}${index}.example.org`);
    const octets = buildDhcpOptions({ search: [...long, "example.org"] });
    const list = decodeOptions(octets).get(119) ?? [];
    assert.ok(list.length > 255, "the list is split");
    assert.deepEqual(decodeSearchList(list), [...long, "example.org"]);
  });

  test(`random lists come back the same and with legal pointers (seed ${SEED})`, () => {
    const label = fc.stringMatching(/^[a-c]{1,3}$/);
    const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((parts) => parts.join("."));
    const property = fc.property(fc.array(name, { maxLength: 20 }), (names) => {
      assert.deepEqual(decodeSearchList(encodeSearchList(names)), names);
    });
    fc.assert(property, { seed: SEED, numRuns: 200 });
  });
});

describe("fitSearchList", () => {
  test("leaves out malformed names", () => {
    assert.deepEqual(fitSearchList([], ["a.org.", ".", "b c", "c.org"]), ["a.org", "c.org"]);
  });

  test("drops names from the end until the list fits", () => {
    const names = Array.from({ length: 40 }, (_, index) => `${"y".repeat(40)}.d${index}`);
    const kept = fitSearchList(dhcpOptionsOf({ hostName: "vm" }), names);
    assert.ok(kept.length > 10 && kept.length < names.length);
    assert.deepEqual(kept, names.slice(0, kept.length));
    buildDhcpOptions({ hostName: "vm", search: kept });
    const more = names.slice(0, kept.length + 1);
    assert.throws(() => buildDhcpOptions({ hostName: "vm", search: more }), /do not fit/);
  });
});
