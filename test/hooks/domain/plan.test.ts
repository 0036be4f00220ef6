/** The plan: what the guest gets, by which link, and every way a wish cannot be met. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readHookSettings } from "../../../src/config/hook-settings.ts";
import { HookError } from "../../../src/hooks/domain/errors.ts";
import { type BindingPlan, derivePlans } from "../../../src/hooks/domain/plan.ts";
import { readVmi } from "../../../src/hooks/domain/vmi.ts";
import { formatIpv4, parseIpv4 } from "../../../src/lib/addr.ts";
import { contextOf, MEMORY, plansOf } from "../../support/hook-fixtures.ts";
import { error, plan, type Wish } from "../../support/hook-plan.ts";

const CLIENT = { SLIRP_LINK: "client" };

function assertFrozen(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  assert.ok(Object.isFrozen(value));
  for (const part of Object.values(value)) assertFrozen(part);
}

describe("addresses", () => {
  test("QEMU's numbers by default, the environment's network, the VMI's above all", () => {
    const numbers = ({ subnet }: BindingPlan): string[] =>
      [subnet.gateway, subnet.dns, subnet.guest].map(formatIpv4);
    assert.deepEqual(numbers(plan()), ["10.0.2.2", "10.0.2.3", "10.0.2.15"]);
    const env = { SLIRP_CIDR: "10.9.0.0/16" };
    assert.deepEqual(numbers(plan({ env })), ["10.9.0.2", "10.9.0.3", "10.9.0.15"]);
    const pod = { vmNetworkCIDR: "192.168.7.8/29" };
    assert.deepEqual(numbers(plan({ env, pod })), ["192.168.7.10", "192.168.7.11", "192.168.7.12"]);
  });

  test("IPv6 by default and as given", () => {
    const numbers = ({ subnet6 }: BindingPlan): unknown[] => [
      subnet6.gateway,
      subnet6.prefixLength,
    ];
    assert.deepEqual(numbers(plan()), [[0xfd10, 0, 2, 0, 0, 0, 0, 1], 64]);
    assert.equal(plan().isSubnet6Given, false);
    const given = plan({ pod: { vmIPv6NetworkCIDR: "fd00:1::/64" } });
    assert.deepEqual(numbers(given), [[0xfd00, 1, 0, 0, 0, 0, 0, 1], 64]);
    assert.equal(given.isSubnet6Given, true);
  });

  const network = (cidr: string, problem: string): [Wish, string] => [
    { pod: { vmNetworkCIDR: cidr } },
    `iface "net": invalid network CIDR "${cidr}": ${problem}`,
  ];
  const network6 = (cidr: string, problem: string): [Wish, string] => [
    { pod: { vmIPv6NetworkCIDR: cidr } },
    `iface "net": invalid network CIDR "${cidr}": ${problem}`,
  ];
  const unicast = "wanted a unicast network outside 0.0.0.0/8 and 127.0.0.0/8";
  const refused: readonly [Wish, string][] = [
    network("10.0.2.0/33", 'wanted an IPv4 network such as "10.0.2.0/24"'),
    network("10.0.2.0", 'wanted an IPv4 network such as "10.0.2.0/24"'),
    network("10.0.2/24", 'wanted an IPv4 network such as "10.0.2.0/24"'),
    network("fd00::/64", 'wanted an IPv4 network such as "10.0.2.0/24"'),
    network("10.0.2.0/30", "wanted a prefix from /8 to /29"),
    network("0.0.0.0/0", "wanted a prefix from /8 to /29"),
    network("127.0.0.0/8", unicast),
    network("224.0.0.0/8", unicast),
    network6("10.0.2.0/24", 'wanted an IPv6 network such as "fd10:0:2::/64"'),
    network6("fd00::/127", "wanted a prefix from /8 to /126"),
    network6("fe80::/64", "wanted a unicast network, neither link-local nor in 0000::/16"),
  ];
  for (const [wish, message] of refused) {
    test(message, () => assert.equal(error(wish), message));
  }

  test("host bits of a network count for nothing, with a warning", () => {
    const pod = { vmNetworkCIDR: "10.7.2.1/24", vmIPv6NetworkCIDR: "fd00::1/64" };
    const { subnet, subnet6, warnings } = plan({ pod });
    assert.equal(subnet.network, parseIpv4("10.7.2.0"));
    assert.deepEqual(subnet6.network, [0xfd00, 0, 0, 0, 0, 0, 0, 0]);
    assert.deepEqual(warnings, [
      'iface "net": network "10.7.2.1/24" has host bits, using "10.7.2.0/24"',
      'iface "net": network "fd00::1/64" has host bits, using "fd00::/64"',
    ]);
    assert.deepEqual(plan().warnings, []);
  });

  test("a network that overlaps the pod's, from inside or outside, is refused", () => {
    const pod = (text: string, prefixLength: number) => ({
      podNetworks: [{ address: parseIpv4(text), prefixLength }],
    });
    const what = 'iface "net": invalid network CIDR "10.0.2.0/24": overlaps the pod network';
    assert.equal(error(pod("10.0.0.0", 8)), `${what} "10.0.0.0/8"`);
    assert.equal(error(pod("10.0.2.128", 25)), `${what} "10.0.2.128/25"`);
    assert.equal(error(pod("10.0.2.7", 32)), `${what} "10.0.2.7/32"`);
    assert.equal(error(pod("10.0.3.0", 24)), "");
    assert.throws(() => plan(pod("10.0.0.0", 8)), { code: "failed-precondition" });
  });

  test("the gateway's MAC address is not the guest's to have", () => {
    assert.equal(
      error({ iface: { macAddress: "52:55:0a:00:02:02" } }),
      'iface "net": MAC address "52:55:0a:00:02:02" is the gateway\'s',
    );
  });
});

describe("ports", () => {
  const ports = (...list: readonly object[]): Wish => ({ iface: { ports: list } });

  test("none listed is none published; TCP is the default, in any case", () => {
    assert.deepEqual(plan().publish, []);
    const list = ports({ port: 80 }, { port: 443, protocol: "tcp" }, { port: 80, protocol: "Udp" });
    assert.deepEqual(
      plan(list).publish.map((each) => `${each.protocol} ${each.hostPort} ${each.guestPort}`),
      ["tcp 80 80", "tcp 443 443", "udp 80 80"],
    );
  });

  const invalid = (port: number): string =>
    `iface "net": invalid port "${port}": wanted 1 to 65535`;
  const refused: readonly (readonly [Wish, string])[] = [
    [ports({ port: 80 }, { port: 0 }), invalid(0)],
    [ports({ port: -1 }), invalid(-1)],
    [ports({ port: 70000 }), invalid(70000)],
    [ports({ name: "none" }), invalid(0)],
    [
      ports({ port: 80, protocol: "SCTP" }),
      'iface "net": invalid protocol "SCTP" of port "80": wanted "TCP" or "UDP"',
    ],
    [
      { ...ports({ port: 28500 }), env: CLIENT },
      'iface "net": port "28500/TCP" is used by the binding itself',
    ],
  ];
  for (const [wish, message] of refused) {
    test(message, () => assert.equal(error(wish), message));
  }

  test("a port that is listed twice is one forward, with a warning", () => {
    const wish = ports({ port: 80 }, { port: 5, protocol: "UDP" }, { port: 80, protocol: "TCP" });
    const { publish, warnings } = plan(wish);
    assert.deepEqual(
      publish.map(({ protocol, hostPort }) => [protocol, hostPort]),
      [
        ["tcp", 80],
        ["udp", 5],
      ],
    );
    assert.deepEqual(warnings, ['iface "net": port "80/TCP" is listed twice']);
  });

  test("the link's port is free for UDP, and where the link has none", () => {
    assert.equal(error({ ...ports({ port: 28500, protocol: "UDP" }), env: CLIENT }), "");
    assert.equal(error({ ...ports({ port: 28500 }), env: { SLIRP_LINK: "stream" } }), "");
    const elsewhere = { ...CLIENT, SLIRP_LOOPBACK_PORT: "4000" };
    assert.equal(error({ ...ports({ port: 28500 }), env: elsewhere }), "");
  });

  test("two interfaces cannot have one port", () => {
    const spec = {
      domain: {
        devices: {
          interfaces: ["a", "b"].map((name) => ({ name, slirp: {}, ports: [{ port: 80 }] })),
        },
      },
      networks: ["a", "b"].map((name) => ({ name, pod: {} })),
    };
    assert.equal(error({ spec }), 'iface "b": port "80/TCP" is already used by iface "a"');
  });
});

describe("MTU", () => {
  const mtu = (wish: Wish): number => plan(wish).mtu;
  const annotated = (value: string): Wish => ({
    metadata: { annotations: { "slirp.network.kubevirt.io/mtu": value } },
  });

  test("large for virtio, Ethernet's for others, or as asked", () => {
    assert.equal(mtu({}), 65520);
    assert.equal(mtu({ iface: { model: "e1000" } }), 1500);
    assert.equal(mtu({ env: { SLIRP_LINK: "user" } }), 1500);
    assert.equal(mtu({ env: { SLIRP_MTU: "9000" } }), 9000);
    assert.equal(mtu({ ...annotated("1280"), env: { SLIRP_MTU: "9000" } }), 1280);
    assert.equal(
      error(annotated("1")),
      'annotation "slirp.network.kubevirt.io/mtu" "1": wanted an integer from 576 to 65520',
    );
  });
});

describe("a plan", () => {
  test("is frozen all the way down, and the same for the same input", () => {
    for (const link of ["client", "stream", "vhost-user", "user"] as const) {
      const plans = plansOf("a-user-guide", link);
      assert.equal(plans.length, 1);
      assertFrozen(plans);
      assert.deepEqual(plansOf("a-user-guide", link), plans);
    }
  });

  test("shows nothing of the pod, sockets apart", () => {
    const vmi = readVmi(
      '{"metadata":{"name":"vm"},"spec":{"networks":[{"name":"a","pod":{}}],' +
        '"domain":{"devices":{"interfaces":[{"name":"a","slirp":{}}]}}}}',
    );
    const plansIn = (CONTAINER_NAME: string) => {
      const context = contextOf("", { CONTAINER_NAME });
      return derivePlans(vmi, MEMORY, context).map(({ attachment, ...rest }) => rest);
    };
    assert.deepEqual(plansIn("hook-sidecar-7"), plansIn("hook-sidecar-0"));
  });

  test("refusals say whose fault it is", () => {
    const thrown = (wish: Wish): string => {
      try {
        plan(wish);
      } catch (each) {
        if (each instanceof HookError) return each.code;
      }
      return "";
    };
    assert.equal(thrown({ iface: { ports: [{ port: 0 }] } }), "invalid-argument");
    const taken = { iface: { ports: [{ port: 28500 }] }, env: CLIENT };
    assert.equal(thrown(taken), "failed-precondition");
    assert.equal(thrown({ pod: { vmNetworkCIDR: "x" } }), "invalid-argument");
    assert.equal(readHookSettings({}).bindingName, "slirp");
  });
});
