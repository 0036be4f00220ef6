/** What is read of a VMI, and what is refused as one. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { HookError } from "../../../src/hooks/domain/errors.ts";
import { TEXT_SIZE_MAX } from "../../../src/hooks/domain/markup.ts";
import { readVmi } from "../../../src/hooks/domain/vmi.ts";
import { CASES, fixture, messageOf } from "../../support/hook-fixtures.ts";

/** What the program promises. */
const VALUE_COUNT_MAX = 100_000;

const SEED = 20260831;

function error(value: unknown): string {
  return messageOf(() => readVmi(typeof value === "string" ? value : JSON.stringify(value)));
}

/** A VMI with this interface. */
function withInterface(iface: unknown): object {
  return { metadata: { name: "vm" }, spec: { domain: { devices: { interfaces: [iface] } } } };
}

describe("fixtures", () => {
  test("all are read", () => {
    for (const name of CASES) {
      const vmi = readVmi(fixture(`${name}.vmi.json`));
      assert.equal(vmi.name, "vm-net-binding-slirp");
      assert.equal(vmi.namespace, "default");
      assert.equal(vmi.architecture, "amd64");
    }
  });

  test("ports, MAC, model, binding and networks are found", () => {
    const vmi = readVmi(fixture("e-two-interfaces.vmi.json"));
    const [first, second] = vmi.interfaces;
    assert.equal(first?.bindingName, "slirp");
    assert.equal(first?.model, "e1000");
    assert.equal(first?.macAddress, "02:00:00:12:34:56");
    assert.deepEqual(first?.ports, [
      { name: "http", protocol: "TCP", port: 80 },
      { name: undefined, protocol: undefined, port: 8080 },
      { name: "dns", protocol: "UDP", port: 53 },
    ]);
    assert.deepEqual([second?.name, second?.index, second?.bindingName], ["blue", 1, undefined]);
    assert.deepEqual(
      vmi.networks.map(({ name, isPod }) => [name, isPod]),
      [
        ["slirpnet", true],
        ["blue", false],
      ],
    );
    assert.equal(readVmi(fixture("d-core-slirp.vmi.json")).interfaces[0]?.isLegacySlirp, true);
    assert.equal(readVmi(fixture("c-cidr.vmi.json")).networks[0]?.cidr, "192.168.100.0/24");
    assert.equal(
      readVmi(fixture("j-ipv6-only-field.vmi.json")).networks[0]?.cidr6,
      "fd10:0:3::/120",
    );
  });
});

describe("fields", () => {
  test("an absent one, null and empty text are the same; unknown ones do not matter", () => {
    const none = readVmi('{"metadata":{"name":"vm"}}');
    const text =
      '{"metadata":{"name":"vm","namespace":"","annotations":null},' +
      '"spec":{"hostname":"","domain":null,"networks":null,"new":[{}]},"status":7}';
    assert.deepEqual(readVmi(text), none);
    assert.equal(none.namespace, "default");
  });

  test("only our annotations are looked at", () => {
    const annotations = { "slirp.network.kubevirt.io/link": "user", "my-slirp": 7, other: {} };
    const vmi = readVmi(JSON.stringify({ metadata: { name: "vm", annotations } }));
    assert.deepEqual([...vmi.annotations], [["slirp.network.kubevirt.io/link", "user"]]);
  });

  test("DHCP options and every wish for the card", () => {
    const iface = {
      name: "a",
      pciAddress: "0000:01:00.0",
      acpiIndex: 3,
      bootOrder: 1,
      state: "up",
      dhcpOptions: {
        bootFileName: "b",
        tftpServerName: "t",
        ntpServers: ["1.2.3.4"],
        privateOptions: [{ option: 224, value: "v" }],
      },
    };
    const [read] = readVmi(JSON.stringify(withInterface(iface))).interfaces;
    assert.equal(read?.pciAddress, "0000:01:00.0");
    assert.deepEqual([read?.acpiIndex, read?.bootOrder, read?.state], [3, 1, "up"]);
    assert.deepEqual(read?.dhcpOptions, {
      bootFileName: "b",
      tftpServerName: "t",
      ntpServers: ["1.2.3.4"],
      privateOptions: [{ code: 224, value: "v" }],
    });
  });

  const wrong: readonly (readonly [unknown, string])[] = [
    ["", "parse VMI: not JSON"],
    ["{", "parse VMI: not JSON"],
    ["[]", "parse VMI: not a JSON object"],
    ["null", "parse VMI: not a JSON object"],
    ["7", "parse VMI: not a JSON object"],
    ["{}", 'parse VMI: no "metadata.name"'],
    [{ metadata: [] }, 'parse VMI: field "metadata": wanted an object'],
    [{ metadata: { name: 1 } }, 'parse VMI: field "metadata.name": wanted text'],
    [
      { metadata: { name: "x".repeat(1025) } },
      'parse VMI: field "metadata.name": wanted at most 1024 characters',
    ],
    [
      { metadata: { name: "vm" }, spec: { networks: {} } },
      'parse VMI: field "spec.networks": wanted a list',
    ],
    [withInterface(7), 'parse VMI: field "spec.domain.devices.interfaces[0]": wanted an object'],
    [withInterface({}), 'parse VMI: iface name "": wanted letters, digits, "-" and "_"'],
    [
      withInterface({ name: 'a,"<' }),
      'parse VMI: iface name "a,\\"<": wanted letters, digits, "-" and "_"',
    ],
    [
      withInterface({ name: "a", ports: [{ port: "80" }] }),
      'parse VMI: field "spec.domain.devices.interfaces[0].ports[0].port": wanted an integer',
    ],
    [
      withInterface({ name: "a", ports: [{ port: 80.5 }] }),
      'parse VMI: field "spec.domain.devices.interfaces[0].ports[0].port": wanted an integer',
    ],
    [
      withInterface({ name: "a", dhcpOptions: { ntpServers: [1] } }),
      'parse VMI: field "spec.domain.devices.interfaces[0].dhcpOptions.ntpServers[0]": wanted text',
    ],
    [
      { metadata: { name: "vm" }, spec: { domain: { devices: { useVirtioTransitional: 1 } } } },
      'parse VMI: field "spec.domain.devices.useVirtioTransitional": wanted true or false',
    ],
    [
      {
        metadata: { name: "vm" },
        spec: { domain: { devices: { interfaces: [{ name: "a" }, { name: "a" }] } } },
      },
      'parse VMI: iface "a" is listed twice',
    ],
  ];
  for (const [value, message] of wrong) {
    test(message, () => assert.equal(error(value), message));
  }
});

describe("bounds", () => {
  test("size, depth, entries", () => {
    assert.equal(
      error(" ".repeat(TEXT_SIZE_MAX + 1)),
      `parse VMI: ${TEXT_SIZE_MAX + 1} characters are more than ${TEXT_SIZE_MAX}`,
    );
    assert.equal(error("[".repeat(1_000_000)), "parse VMI: nested deeper than 128");
    assert.equal(error(`{"a":${'{"a":'.repeat(128)}`), "parse VMI: nested deeper than 128");
    const many = (part: string): string => `{"metadata":{"name":"vm"},"a":[${part}0]}`;
    assert.equal(error(many("0,".repeat(VALUE_COUNT_MAX - 8))), "");
    for (const part of ["0,", "[],", "{},", '{"":0},', '"\\\\",']) {
      const text = many(part.repeat(VALUE_COUNT_MAX));
      assert.equal(error(text), `parse VMI: more than ${VALUE_COUNT_MAX} values`, part);
    }
    assert.equal(error(many(`"${',[{:\\"'.repeat(VALUE_COUNT_MAX)}",`)), "", "in a text");
    const fill = "x".repeat(1 << 20);
    assert.equal(error({ metadata: { name: "vm" }, fill, brackets: '"[[[{{{\\' }), "");
    const interfaces = Array.from({ length: 257 }, (_, index) => ({ name: `a${index}` }));
    assert.equal(
      error({ metadata: { name: "vm" }, spec: { domain: { devices: { interfaces } } } }),
      'parse VMI: field "spec.domain.devices.interfaces": wanted at most 256 entries',
    );
  });

  test("names of every object's own prototype are only names", () => {
    const text = '{"metadata":{"name":"vm"},"spec":{"__proto__":{"hostname":"x"},"toString":1}}';
    assert.equal(readVmi(text).hostname, undefined);
  });

  test("any JSON in any place is read or refused, never anything else", () => {
    const place = fc.constantFrom("metadata", "spec", "interfaces", "networks", "ports");
    fc.assert(
      fc.property(place, fc.jsonValue(), (key, value) => {
        const iface = { name: "a", ...(key === "ports" ? { ports: value } : {}) };
        const interfaces = key === "interfaces" ? value : [iface];
        const spec = { domain: { devices: { interfaces } }, networks: [] as unknown };
        if (key === "networks") spec.networks = value;
        const root: Record<string, unknown> = { metadata: { name: "vm" }, spec };
        if (key === "metadata" || key === "spec") root[key] = value;
        try {
          readVmi(JSON.stringify(root));
        } catch (thrown) {
          assert.ok(thrown instanceof HookError, String(thrown));
        }
      }),
      { seed: SEED, numRuns: 500 },
    );
  });
});
