/** The card: model, MAC, slot, order, state; what is asked for or the word why not. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Device, deriveDevice } from "../../../src/hooks/domain/device.ts";
import { readVmi } from "../../../src/hooks/domain/vmi.ts";
import { messageOf } from "../../support/hook-fixtures.ts";

const SEED = 20260831;

function device(iface: object = {}, spec: object = {}, devices: object = {}): Device {
  const interfaces = [{ name: "net", ...iface }];
  const domain = { devices: { interfaces, ...devices } };
  const vmi = readVmi(
    JSON.stringify({ metadata: { name: "vm", namespace: "ns" }, spec: { domain, ...spec } }),
  );
  const [first] = vmi.interfaces;
  assert.ok(first);
  return deriveDevice(vmi, first);
}

const error = (iface: object): string => messageOf(() => device(iface));

describe("model", () => {
  test("virtio in the flavour of the machine", () => {
    const names = ({ model, driver, isVirtio, hasRom }: Device) => [
      model,
      driver,
      isVirtio,
      hasRom,
    ];
    const plain = ["virtio-non-transitional", "virtio-net-pci-non-transitional", true, true];
    assert.deepEqual(names(device()), plain);
    assert.deepEqual(names(device({ model: "virtio" }, { architecture: "arm64" })), plain);
    assert.deepEqual(names(device({}, {}, { useVirtioTransitional: true })), [
      "virtio-transitional",
      "virtio-net-pci-transitional",
      true,
      true,
    ]);
    assert.deepEqual(
      names(device({}, { architecture: "s390x" }, { useVirtioTransitional: true })),
      ["virtio", "virtio-net-ccw", true, false],
    );
  });

  test("emulated ones as asked, others not", () => {
    for (const model of ["e1000", "e1000e", "igb", "ne2k_pci", "pcnet", "rtl8139"]) {
      const { driver, isVirtio, ...rest } = device({ model });
      assert.deepEqual([rest.model, driver, isVirtio], [model, model, false]);
    }
    assert.equal(
      error({ model: "tulip" }),
      'iface "net": model "tulip": ' +
        "wanted one of virtio, e1000, e1000e, igb, ne2k_pci, pcnet, rtl8139",
    );
  });
});

describe("MAC address", () => {
  test("as given, in either form", () => {
    assert.equal(device({ macAddress: "DE:AD:00:00:BE:AF" }).mac, "de:ad:00:00:be:af");
    assert.equal(device({ macAddress: "de-ad-00-00-be-af" }).mac, "de:ad:00:00:be:af");
  });

  test("otherwise from the names: the same each time, another for each name", () => {
    const of = (namespace: string, name: string, iface: string): string => {
      const spec = { domain: { devices: { interfaces: [{ name: iface }] } } };
      const vmi = readVmi(JSON.stringify({ metadata: { name, namespace }, spec }));
      const [first] = vmi.interfaces;
      assert.ok(first);
      return deriveDevice(vmi, first).mac;
    };
    const base = of("ns", "vm", "net");
    assert.equal(of("ns", "vm", "net"), base);
    for (const [a, b, c] of [
      ["ns2", "vm", "net"],
      ["ns", "vm2", "net"],
      ["ns", "vm", "net2"],
      ["n", "svm", "net"],
    ] as const) {
      assert.notEqual(of(a, b, c), base);
    }
  });

  test("a derived one is locally administered and one station's", () => {
    const name = fc.string({ unit: "grapheme", minLength: 1, maxLength: 64 });
    fc.assert(
      fc.property(name, (text) => {
        const spec = { domain: { devices: { interfaces: [{ name: "net" }] } } };
        const vmi = readVmi(JSON.stringify({ metadata: { name: text }, spec }));
        const [first] = vmi.interfaces;
        assert.ok(first);
        const { mac } = deriveDevice(vmi, first);
        assert.match(mac, /^[0-9a-f][26ae](?::[0-9a-f]{2}){5}$/);
      }),
      { seed: SEED },
    );
  });

  test("a wrong one is refused", () => {
    const wanted = 'wanted six octets such as "02:00:00:12:34:56"';
    for (const text of ["x", "02:00:00:12:34", "02:00-00:12:34:56", "02:00:00:12:34:5g"]) {
      assert.equal(error({ macAddress: text }), `iface "net": MAC address "${text}": ${wanted}`);
    }
    for (const text of ["01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"]) {
      assert.equal(
        error({ macAddress: text }),
        `iface "net": MAC address "${text}": wanted a unicast address`,
      );
    }
  });
});

describe("place and order", () => {
  test("as asked", () => {
    const { pci, bootOrder, acpiIndex, linkState } = device({
      pciAddress: "0000:81:1f.7",
      bootOrder: 1,
      acpiIndex: 16383,
      state: "down",
    });
    assert.deepEqual(pci, { domain: 0, bus: 0x81, slot: 31, function: 7 });
    assert.deepEqual([bootOrder, acpiIndex, linkState], [1, 16383, "down"]);
    const none = device();
    assert.deepEqual([none.pci, none.bootOrder, none.acpiIndex], [undefined, undefined, undefined]);
    assert.equal(none.linkState, undefined);
    assert.equal(device({ state: "up" }).linkState, "up");
  });

  test("or refused", () => {
    for (const text of ["81:01.0", "0000:81:20.0", "0000:81:01.8", "0000:81:01.10", "0:1:2.3"]) {
      assert.equal(
        error({ pciAddress: text }),
        `iface "net": PCI address "${text}": wanted one such as "0000:81:01.0"`,
      );
    }
    assert.equal(
      error({ pciAddress: "0001:00:01.0" }),
      'iface "net": PCI address "0001:00:01.0": wanted domain "0000"',
    );
    assert.equal(error({ bootOrder: 0 }), 'iface "net": boot order "0": wanted 1 to 2147483647');
    assert.equal(error({ acpiIndex: 16384 }), 'iface "net": ACPI index "16384": wanted 1 to 16383');
    assert.equal(error({ state: "new" }), 'iface "net": state "new": wanted "up" or "down"');
  });
});
