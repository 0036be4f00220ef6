/** Which sockets a rule wants, of which version of IP and address. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PublishRule } from "../../src/config/publish-rule.ts";
import { EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT } from "../../src/sys/errno.ts";
import { isLeftOut, isLoopback, spotsOf, type Versions } from "../../src/upstream/spots.ts";

const BOTH: Versions = { ipv4: true, ipv6: true };
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
const FOUR = (address: number, ...octets: number[]) => ({
  family: 4,
  address,
  octets: [...MAPPED, ...octets],
});
const ALL4 = FOUR(0, 0, 0, 0, 0);
const ALL6 = { family: 6, address: 0, octets: new Array<number>(16).fill(0) };

function rule(fields: Partial<PublishRule> = {}): PublishRule {
  return { protocol: "tcp", hostAddress: 0, hostPort: 8080, guestPort: 80, ...fields };
}

describe("spots", () => {
  test("all addresses: one of each version that the guest is served", () => {
    assert.deepEqual(spotsOf(rule(), BOTH), [ALL4, ALL6]);
    assert.deepEqual(spotsOf(rule(), { ipv4: true, ipv6: false }), [ALL4]);
    assert.deepEqual(spotsOf(rule(), { ipv4: false, ipv6: true }), [ALL6]);
    assert.deepEqual(spotsOf(rule({ ipv4Only: true }), BOTH), [ALL4]);
  });

  test("an address: one socket", () => {
    assert.deepEqual(spotsOf(rule({ hostAddress: 0xc0000201 }), BOTH), [
      FOUR(0xc0000201, 192, 0, 2, 1),
    ]);
    const groups = [0x2001, 0xdb8, 0, 0, 0, 0, 0, 5];
    const octets = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
    assert.deepEqual(spotsOf(rule({ hostAddress: groups }), BOTH), [
      { family: 6, address: 0, octets },
    ]);
  });

  test("datagrams for one address of the guest stay within its version", () => {
    const guest6 = [0xfd10, 0, 2, 0, 0, 0, 0, 2];
    const udp = (fields: Partial<PublishRule>, versions = BOTH) =>
      spotsOf(rule({ protocol: "udp", ...fields }), versions);
    assert.deepEqual(udp({ guestAddress: 0x0a00020f }), [ALL4]);
    assert.deepEqual(udp({ guestAddress: guest6 }), [ALL6]);
    assert.deepEqual(udp({}), [ALL4, ALL6]);
    assert.deepEqual(udp({ guestAddress: guest6 }, { ipv4: true, ipv6: false }), []);
    assert.deepEqual(spotsOf(rule({ guestAddress: 0x0a00020f }), BOTH), [ALL4, ALL6]);
    const named = rule({ protocol: "udp", guestAddress: guest6, hostAddress: 0x7f000001 });
    assert.deepEqual(spotsOf(named, BOTH), [FOUR(0x7f000001, 127, 0, 0, 1)]);
  });

  test("loopback is 127.0.0.0/8 and ::1", () => {
    const of = (hostAddress: PublishRule["hostAddress"]): boolean[] =>
      spotsOf(rule({ hostAddress }), BOTH).map(isLoopback);
    assert.deepEqual(of(0x7f010203), [true]);
    assert.deepEqual(of(0x7e000001), [false]);
    assert.deepEqual(of([0, 0, 0, 0, 0, 0, 0, 1]), [true]);
    assert.deepEqual(of([0, 0, 0, 0, 0, 0, 0, 2]), [false]);
    assert.deepEqual(of([1, 0, 0, 0, 0, 0, 0, 1]), [false]);
    assert.deepEqual(of(0), [false, false]);
  });

  test("IPv6 of all addresses is done without where the host has none, nothing else is", () => {
    const both = spotsOf(rule(), BOTH);
    const [ipv4, ipv6] = both;
    assert.ok(ipv4 !== undefined && ipv6 !== undefined);
    assert.equal(isLeftOut(-EAFNOSUPPORT, ipv6, both), true);
    assert.equal(isLeftOut(-EADDRNOTAVAIL, ipv6, both), true);
    for (const result of [-EADDRINUSE, -EACCES, 0, EAFNOSUPPORT]) {
      assert.equal(isLeftOut(result, ipv6, both), false, `${result}`);
    }
    assert.equal(isLeftOut(-EADDRNOTAVAIL, ipv4, both), false);
    assert.equal(isLeftOut(-EADDRNOTAVAIL, ipv6, [ipv6]), false);
  });
});
