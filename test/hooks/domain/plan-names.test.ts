/** Names and DHCP options in a plan. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { BindingPlan } from "../../../src/hooks/domain/plan.ts";
import { error, plan } from "../../support/hook-plan.ts";

/** Value of a DHCP option as text. */
function option({ dhcpOptions }: BindingPlan, code: number): string | undefined {
  const found = dhcpOptions.find((each) => each.code === code);
  return found && String.fromCharCode(...found.value);
}

describe("names", () => {
  test("the host name is the VMI's, or made of its name", () => {
    assert.equal(plan({ spec: { hostname: "web" } }).hostname, "web");
    assert.equal(plan({ metadata: { name: "vm.example" } }).hostname, "vm");
    const long = `${"a".repeat(62)}-b`;
    assert.equal(plan({ metadata: { name: long } }).hostname, "a".repeat(62));
  });

  const search = (resolvConf: string, spec: object = {}): readonly string[] =>
    plan({ resolvConf, spec }).search;

  test("the search list is the pod's, cleaned", () => {
    assert.deepEqual(search("search Svc.Cluster.Local. cluster.local\n"), [
      "svc.cluster.local",
      "cluster.local",
    ]);
    assert.deepEqual(search(""), ["cluster.local"]);
    assert.deepEqual(search("domain corp.example\n"), ["corp.example"]);
    assert.deepEqual(search("search a.example\nsearch c.example d.example.\n"), [
      "c.example",
      "d.example",
    ]);
    assert.deepEqual(search("search ."), []);
    assert.deepEqual(search("search a.example x,y ok.example # not this\n"), [
      "a.example",
      "ok.example",
    ]);
    assert.deepEqual(search("search # nothing\n"), ["cluster.local"]);
  });

  test("a subdomain's siblings come first, once", () => {
    const conf = "search ns.svc.cluster.local svc.cluster.local cluster.local";
    const first = "db.ns.svc.cluster.local";
    const [found, ...rest] = search(conf, { subdomain: "db" });
    assert.equal(found, first);
    assert.equal(rest.length, 3);
    assert.equal(search(`search ${first} cluster.local`, { subdomain: "db" }).length, 3);
    assert.deepEqual(search("search corp.example", { subdomain: "db" }), ["corp.example"]);
  });
});

describe("DHCP", () => {
  test("carries names and what the VMI lists", () => {
    const dhcpOptions = {
      bootFileName: "boot,1",
      tftpServerName: "tftp",
      ntpServers: ["10.0.0.1"],
      privateOptions: [{ option: 230, value: "p" }],
    };
    const made = plan({ iface: { dhcpOptions } });
    assert.equal(option(made, 12), "vm");
    assert.equal(option(made, 15), "default.svc.cluster.local");
    assert.equal(option(made, 42), "\n\0\0\x01");
    assert.equal(option(made, 66), "tftp");
    assert.equal(option(made, 67), "boot,1");
    assert.equal(option(made, 230), "p");
    assert.deepEqual([made.tftpServerName, made.bootFileName], ["tftp", "boot,1"]);
  });

  const refused: readonly (readonly [object, string])[] = [
    [
      { ntpServers: ["pool.ntp.org"] },
      'iface "net": encode NTP server "pool.ntp.org": wanted an IPv4 address',
    ],
    [
      { privateOptions: [{ option: 12, value: "x" }] },
      'iface "net": encode DHCP option "12": wanted a code from 224 to 254',
    ],
    [
      { privateOptions: [1, 2].map(() => ({ option: 224, value: "x" })) },
      'iface "net": encode DHCP option "224" once, not twice',
    ],
  ];
  for (const [dhcpOptions, message] of refused) {
    test(message, () => assert.equal(error({ iface: { dhcpOptions } }), message));
  }

  test("a host name that is none is refused", () => {
    assert.equal(
      error({ spec: { hostname: "a_b" } }),
      'iface "net": encode host name "a_b": wanted a DNS host name',
    );
  });
});
