/** QEMU's arguments: what they say, and that only our own are taken for ours. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  argumentsOf,
  idsOf,
  type MachineContext,
  pairId,
} from "../../../src/hooks/domain/arguments.ts";
import { type BindingPlan, derivePlans } from "../../../src/hooks/domain/plan.ts";
import { readVmi } from "../../../src/hooks/domain/vmi.ts";
import { contextOf, MEMORY } from "../../support/hook-fixtures.ts";

const Q35: MachineContext = { type: "q35", slot: undefined, isConfidential: false };

function plan(link: string, iface: object = {}, pod: object = {}, spec: object = {}): BindingPlan {
  const interfaces = [{ name: "net", binding: { name: "slirp" }, ...iface }];
  const vmi = {
    metadata: { name: "vm" },
    spec: { domain: { devices: { interfaces } }, networks: [{ name: "net", pod }], ...spec },
  };
  const context = contextOf("", { SLIRP_LINK: link }, { resolvConf: "search a.example" });
  const [first] = derivePlans(readVmi(JSON.stringify(vmi)), MEMORY, context);
  assert.ok(first);
  return first;
}

function netdev(...parts: Parameters<typeof plan>): string {
  const [[option, value] = ["", ""]] = argumentsOf(plan(...parts), Q35);
  assert.equal(option, "-netdev");
  return value;
}

function card(made: BindingPlan, machine: MachineContext = Q35): Record<string, unknown> {
  const [, [option, value] = ["", ""]] = argumentsOf(made, machine);
  assert.equal(option, "-device");
  return JSON.parse(value);
}

describe("netdev", () => {
  test("none where libvirt has an element", () => {
    assert.deepEqual(argumentsOf(plan("client"), Q35), []);
    assert.deepEqual(argumentsOf(plan("vhost-user"), Q35), []);
  });

  test("stream connects to the socket in the compute container", () => {
    assert.equal(
      netdev("stream"),
      "stream,id=slirp-net,server=off,addr.type=unix," +
        "addr.path=/var/run/kubevirt-hooks/hook-sidecar-0/userdata/stream-0.sock",
    );
  });

  test("user has network, names and ports", () => {
    const ports = [{ port: 80 }, { port: 53, protocol: "UDP" }];
    assert.equal(
      netdev("user", { ports }),
      "user,id=slirp-net,net=10.0.2.0/24,hostname=vm,dnssearch=a.example," +
        "hostfwd=tcp::80-:80,hostfwd=udp::53-:53",
    );
  });

  test("user says which addresses are whose where QEMU would choose others", () => {
    const net = (cidr: string): string => netdev("user", {}, { vmNetworkCIDR: cidr });
    assert.match(net("10.9.8.224/27"), /net=10\.9\.8\.224\/27,hostname/);
    assert.match(
      net("10.9.0.0/16"),
      /net=10\.9\.0\.0\/16,host=10\.9\.0\.2,dns=10\.9\.0\.3,dhcpstart=10\.9\.0\.15,/,
    );
    assert.match(
      net("10.9.8.0/29"),
      /net=10\.9\.8\.0\/29,host=10\.9\.8\.2,dns=10\.9\.8\.3,dhcpstart=10\.9\.8\.4,/,
    );
  });

  test("user has the IPv6 network that is asked for, and no other", () => {
    assert.ok(!netdev("user").includes("ipv6"));
    assert.match(
      netdev("user", {}, { vmIPv6NetworkCIDR: "fd10:0:3::/120" }),
      /,ipv6-net=fd10:0:3::\/120,ipv6-host=fd10:0:3::1,ipv6-dns=fd10:0:3::3,/,
    );
  });

  test("a comma in a value ends no option", () => {
    const dhcpOptions = { bootFileName: "a,b=c", tftpServerName: ",d" };
    assert.match(
      netdev("user", { dhcpOptions }),
      /,tftp-server-name=,,d,bootfile=a,,b=c,dnssearch/,
    );
  });
});

describe("device", () => {
  test("is the card of the plan", () => {
    assert.deepEqual(card(plan("stream", { macAddress: "02:00:00:00:00:01" })), {
      driver: "virtio-net-pci-non-transitional",
      netdev: "slirp-net",
      id: "slirp-net",
      mac: "02:00:00:00:00:01",
      romfile: "",
    });
    const wishes = { model: "rtl8139", pciAddress: "0000:02:1f.3", bootOrder: 2, acpiIndex: 9 };
    const { mac, ...rest } = card(plan("user", wishes));
    assert.equal(typeof mac, "string");
    assert.deepEqual(rest, {
      driver: "rtl8139",
      netdev: "slirp-net",
      id: "slirp-net",
      bus: "pci.2",
      addr: "0x1f.0x3",
      bootindex: 2,
      "acpi-index": 9,
    });
  });

  test("takes the slot that was found free, unless the VMI asks for one", () => {
    const machine = { ...Q35, slot: 0x1c };
    const place = ({ bus, addr }: Record<string, unknown>): unknown[] => [bus, addr];
    assert.deepEqual(place(card(plan("user"), machine)), ["pcie.0", "0x1c.0x0"]);
    const i440fx = { ...machine, type: "pc-i440fx-7.2" };
    assert.deepEqual(place(card(plan("user"), i440fx)), ["pci.0", "0x1c.0x0"]);
    const asked = plan("user", { pciAddress: "0000:00:05.0" });
    assert.deepEqual(place(card(asked, machine)), ["pcie.0", "0x5.0x0"]);
  });

  test("has no ROM to leave out on s390x", () => {
    const made = card(plan("stream", {}, {}, { architecture: "s390x" }));
    assert.equal(made["driver"], "virtio-net-ccw");
    assert.equal(made["romfile"], undefined);
  });

  test("asks virtio for the IOMMU interface in a confidential guest", () => {
    const machine = { ...Q35, isConfidential: true };
    assert.equal(card(plan("user"), machine)["iommu_platform"], true);
    assert.equal(card(plan("user", { model: "e1000" }), machine)["iommu_platform"], undefined);
  });
});

describe("own pairs", () => {
  const isOwn = (option: string, value: string, name: string): boolean =>
    idsOf(name).includes(pairId(option, value) ?? "");
  const own: readonly (readonly [string, string])[] = [
    ["-netdev", "user,id=slirp-net,net=10.0.2.0/24"],
    ["-netdev", "user,id=net"],
    ["--netdev", "stream,server=off,id=slirp-net"],
    ["-netdev", '{"type":"user","id":"net"}'],
    ["-device", '{"driver":"e1000","netdev":"net","id":"net"}'],
    ["-device", "virtio-net-pci,netdev=slirp-net"],
  ];
  const foreign: readonly (readonly [string, string])[] = [
    ["-netdev", "user,id=net2"],
    ["-netdev", "user,id=slirp-net2"],
    ["-netdev", "tap,id=net"],
    ["-netdev", "user"],
    ["-netdev", "{"],
    ["-netdev", "7"],
    ["-device", '{"driver":"e1000","id":"net"}'],
    ["-device", "[1]"],
    ["-object", "filter-dump,id=f,netdev=slirp-net"],
    ["", ""],
  ];

  test("are ours and our predecessor's, nobody else's", () => {
    for (const [option, value] of own) assert.ok(isOwn(option, value, "net"), value);
    for (const [option, value] of foreign) assert.ok(!isOwn(option, value, "net"), value);
  });

  test("are all that a plan makes", () => {
    for (const link of ["stream", "user"]) {
      for (const [option, value] of argumentsOf(plan(link), Q35)) {
        assert.ok(isOwn(option, value, "net"));
        assert.ok(!isOwn(option, value, "other"));
      }
    }
  });
});
