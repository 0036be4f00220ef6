/**
 * Addresses and names as text. Goal: exactly the written forms the standards allow are taken.
 * Method: tables of good and bad text.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isIpv6, readDomain, readHostName, readIpv4, readMac } from "../../src/config/address.ts";

const LABEL_63 = "a".repeat(63);
const NAME_253 = [LABEL_63, LABEL_63, LABEL_63, "a".repeat(61)].join(".");

describe("readIpv4", () => {
  test("reads dotted quads", () => {
    assert.equal(readIpv4("10.0.2.2"), 0x0a000202);
    assert.equal(readIpv4("255.255.255.255"), 0xffffffff);
  });

  test("answers undefined for anything else", () => {
    for (const text of ["", "10.1", "10.0.2.256", "010.0.2.2", "::1", " 10.0.2.2"]) {
      assert.equal(readIpv4(text), undefined, text);
    }
  });
});

describe("isIpv6", () => {
  test("takes full, shortened, mixed and zoned forms (RFC 4291 §2.2)", () => {
    const good = [
      "1:2:3:4:5:6:7:8",
      "::",
      "::1",
      "fe80::1%eth0",
      "fe80::1%vlan_10",
      "fd10:0:2::3",
      "1::",
      "1:2:3:4:5:6:7::",
      "::ffff:10.0.2.2",
      "1:2:3:4:5:6:10.0.2.2",
    ];
    for (const text of good) assert.equal(isIpv6(text), true, text);
  });

  test("refuses what is too long, too short or not hexadecimal", () => {
    const bad = [
      "",
      "1",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "1:2:3:4:5:6:7:8::",
      "1::2::3",
      ":::",
      ":1:2:3:4:5:6:7",
      "12345::",
      "g::",
      "::1%",
      "10.0.2.2",
      "10.0.2.2::",
      "::10.0.2.2:1",
    ];
    for (const text of bad) assert.equal(isIpv6(text), false, text);
  });
});

test("readMac takes six pairs with colons only", () => {
  assert.deepEqual(readMac("52:55:0A:00:02:ff"), [0x52, 0x55, 0x0a, 0, 2, 0xff]);
  for (const text of ["", "52:55:0a:00:02", "52-55-0a-00-02-02", "5:55:0a:00:02:02"]) {
    assert.equal(readMac(text), undefined, text);
  }
});

describe("names", () => {
  test("readDomain keeps the text and takes the final dot off", () => {
    assert.equal(readDomain("svc.cluster.local."), "svc.cluster.local");
    assert.equal(readDomain("_tcp.Example.ORG"), "_tcp.Example.ORG");
    assert.equal(readDomain(NAME_253), NAME_253);
  });

  test("readDomain refuses malformed and oversized names (RFC 1035 §2.3.4)", () => {
    const bad = ["", ".", "a..b", ".a", "-a.b", "a-.b", "a b", "ä.de", `${LABEL_63}a`];
    for (const text of [...bad, `${NAME_253}a`]) assert.equal(readDomain(text), undefined, text);
  });

  test("readHostName has neither underscore nor final dot (RFC 1123 §2.1)", () => {
    assert.equal(readHostName("vm-1.example.org"), "vm-1.example.org");
    assert.equal(readHostName("3com"), "3com");
    for (const text of ["", "a_b", "vm.", "-vm", "vm\n"]) {
      assert.equal(readHostName(text), undefined, text);
    }
  });
});
