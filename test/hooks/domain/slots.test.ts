/** Free slots, and the names of buses. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  addressConflict,
  busesOf,
  busOf,
  chooseSlot,
  deviceAddresses,
  optionAddress,
  type PciOccupancy,
} from "../../../src/hooks/domain/slots.ts";
import { parseXml } from "../../../src/hooks/domain/xml.ts";

type Options = Readonly<Record<string, string>>;

function occupancy(devices: string, others: readonly Options[], machine: string): PciOccupancy {
  const { children } = parseXml(`<devices>${devices}</devices>`);
  const asked = others.flatMap((each) => optionAddress(new Map(Object.entries(each))) ?? []);
  return {
    taken: [...children.flatMap(deviceAddresses), ...asked],
    buses: busesOf(children),
    machine,
  };
}

function at(...slots: readonly number[]): string {
  return slots.map((slot) => `<d><address type="pci" bus="0x00" slot="${slot}"/></d>`).join("");
}

describe("slots", () => {
  test("machines with a bus that is known get one, others none", () => {
    const known = ["q35", "pc-q35-rhel9.2.0", "virt", "virt-8.0", "pc", "pc-i440fx-7.2", "pseries"];
    for (const machine of known)
      assert.equal(chooseSlot(occupancy("", [], machine)), 0x1c, machine);
    for (const machine of ["", "s390-ccw-virtio", "microvm"]) {
      assert.equal(chooseSlot(occupancy("", [], machine)), undefined, machine);
    }
  });

  test("those that devices and arguments have on the first bus are passed over", () => {
    const devices =
      `${at(0x1c)}<d><address type="pci" bus="0x01" slot="0x19"/></d>` +
      '<d><address type="drive" bus="0" slot="0x19"/></d>' +
      '<d><source><address type="pci" bus="0" slot="0x19"/></source></d>';
    assert.equal(chooseSlot(occupancy(devices, [], "q35")), 0x19);
    const others = [
      { addr: "0x19.0x0", bus: "pcie.0" },
      { addr: "18" },
      { addr: "0x17", bus: "pci.3" },
      { driver: "x" },
    ];
    assert.equal(chooseSlot(occupancy(devices, others, "q35")), 0x17);
  });

  test("a full bus leaves the choice to QEMU", () => {
    const all = Array.from({ length: 32 }, (_, slot) => slot);
    assert.equal(chooseSlot(occupancy(at(...all), [], "q35")), undefined);
  });

  test("an address that is taken, or on a bus that is not there, is a fault", () => {
    const devices =
      '<d><address type="pci" bus="0x02" slot="0x03" function="0x1"/></d>' +
      '<controller type="pci" index="2"/><controller type="usb" index="3"/>';
    const on = occupancy(devices, [{ addr: "0x5", bus: "pcie.0" }], "q35");
    const fault = (bus: number, slot: number, fn = 0) =>
      addressConflict({ domain: 0, bus, slot, function: fn }, on);
    assert.match(fault(2, 3, 1) ?? "", /taken/);
    assert.match(fault(0, 5) ?? "", /taken/);
    assert.match(fault(0, 5, 2) ?? "", /taken/, "behind a device of one function");
    assert.match(fault(3, 0) ?? "", /no controller/);
    assert.deepEqual([fault(2, 3, 2), fault(2, 4), fault(0, 6)], [undefined, undefined, undefined]);
  });

  test("the first bus has the machine's name, the others their controllers'", () => {
    assert.equal(busOf(0, "q35"), "pcie.0");
    assert.equal(busOf(0, "virt-8.0"), "pcie.0");
    assert.equal(busOf(0, "pc-i440fx-7.2"), "pci.0");
    assert.equal(busOf(0, ""), "pci.0");
    assert.equal(busOf(7, "q35"), "pci.7");
  });
});
