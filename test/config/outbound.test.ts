/** `--outbound-address` and `--outbound-interface` as people write them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readGroup } from "../../src/config/option.ts";
import { OUTBOUND_OPTIONS } from "../../src/config/outbound.ts";

function read(options: Readonly<Record<string, readonly string[]>>) {
  const entries = Object.entries(options);
  const settings = new Map(entries.map(([name, values]) => [name, { origin: name, values }]));
  const { addresses, device } = readGroup(OUTBOUND_OPTIONS, settings);
  return { ...addresses, device };
}

const SIX = [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1];

test("nothing said: the routes decide", () => {
  assert.deepEqual(read({}), { ipv4: undefined, ipv6: undefined, device: undefined });
});

test("one of each version, apart or together, in any order", () => {
  const both = { ipv4: 0xc0000201, ipv6: SIX, device: undefined };
  for (const values of [["192.0.2.1,2001:db8::1"], ["2001:db8::1", "192.0.2.1"]]) {
    assert.deepEqual(read({ "outbound-address": values }), both);
  }
  assert.equal(read({ "outbound-address": ["192.0.2.1"] }).ipv6, undefined);
  assert.equal(read({ "outbound-interface": ["eth0"] }).device, "eth0");
});

test("what no other host could answer to is refused, and two of a version are", () => {
  const bad = ["", "host", "0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1"];
  for (const text of [...bad, "fe80::1", "fe80::1%eth0", "ff02::1", "192.0.2.1,", "1.2.3"]) {
    assert.throws(() => read({ "outbound-address": [text] }), /wanted an address that other/, text);
  }
  const two = { "outbound-address": ["192.0.2.1", "192.0.2.2"] };
  assert.throws(() => read(two), /give one outbound address of IPv4/);
  const six = { "outbound-address": ["2001:db8::1,2001:db8::2"] };
  assert.throws(() => read(six), /give one outbound address of IPv6/);
  for (const name of ["", "a/b", "sixteen-letters-", "a b"]) {
    assert.throws(() => read({ "outbound-interface": [name] }), /wanted the name/, name);
  }
});
