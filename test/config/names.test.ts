/** DNS for the guest: resolvers, search list, host name. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DNS_OPTIONS, HOSTNAME_OPTIONS, RESOLVER_OPTIONS } from "../../src/config/names.ts";
import { readGroup } from "../../src/config/option.ts";
import { settingsOf } from "./support.ts";

describe("resolvers", () => {
  const read = (...dns: string[]) => readGroup(RESOLVER_OPTIONS, settingsOf({ dns }));

  test("are none, at port 53, unless given", () => {
    assert.deepEqual(readGroup(RESOLVER_OPTIONS, new Map()), { servers: [], port: 53 });
    assert.equal(readGroup(RESOLVER_OPTIONS, settingsOf({ "dns-port": "65535" })).port, 65535);
    assert.equal(readGroup(RESOLVER_OPTIONS, settingsOf({ "dns-port": "1" })).port, 1);
  });

  test("are three at most", () => {
    const three = ["1.1.1.1", "1.1.1.2", "1.1.1.3"];
    assert.deepEqual(read(...three).servers, three);
    assert.throws(() => read(...three, "1.1.1.4"), { message: "give at most 3 resolvers, not 4" });
  });

  test("have unicast addresses of either version", () => {
    for (const text of [
      "1.0.0.0",
      "223.255.255.255",
      "127.0.0.53",
      "::1",
      "fe80::1%eth0",
      "0:0::1",
    ]) {
      assert.deepEqual(read(text).servers, [text]);
    }
    const bad = ["", "dns", "0.1.2.3", "224.0.0.1", "255.255.255.255", "::", "0:0:0:0:0:0:0:0"];
    for (const text of [...bad, "ff02::fb", "FF02::fb", "1.1.1"]) {
      assert.throws(() => read(text), {
        message: `parse --dns "${text}": wanted the address of a resolver`,
      });
    }
  });

  test("may be given several times, as search domains may", () => {
    assert.equal(RESOLVER_OPTIONS.servers.repeatable, true);
    assert.equal(RESOLVER_OPTIONS.servers.variable, "SLIRP_DNS");
    assert.equal(DNS_OPTIONS.search.repeatable, true);
  });
});

describe("names", () => {
  test("to search in have no final dot", () => {
    const { search, announceIpv6 } = readGroup(DNS_OPTIONS, settingsOf({ search: ["a.b.", "c"] }));
    assert.deepEqual([search, announceIpv6], [["a.b", "c"], "auto"]);
    assert.throws(() => readGroup(DNS_OPTIONS, settingsOf({ search: "a..b" })), {
      message: 'parse --search "a..b": wanted a DNS name',
    });
  });

  test("the IPv6 DNS address is told of in three ways", () => {
    for (const word of ["auto", "always", "never"] as const) {
      assert.equal(readGroup(DNS_OPTIONS, settingsOf({ dns6: word })).announceIpv6, word);
    }
    assert.throws(() => readGroup(DNS_OPTIONS, settingsOf({ dns6: "no" })), /wanted one of "auto"/);
  });

  test("of the host", () => {
    const read = (hostname: string) =>
      readGroup(HOSTNAME_OPTIONS, settingsOf({ hostname })).hostname;
    assert.equal(readGroup(HOSTNAME_OPTIONS, new Map()).hostname, undefined);
    assert.equal(read("vm-1.example.org"), "vm-1.example.org");
    assert.throws(() => read("a_b"), {
      message: 'parse --hostname "a_b": wanted a host name of letters, digits, hyphens and dots',
    });
  });
});
