/** What a guest network of a sidecar is started with: the plan's part, and `serve`'s. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { networkOptions } from "../../src/cli/network-options.ts";
import { readServeOptions } from "../../src/config/serve.ts";
import type { BindingPlan } from "../../src/hooks/domain/plan.ts";
import { settingsOf } from "../config/support.ts";
import { plansOf } from "../support/hook-fixtures.ts";

const LINK = {
  kind: "vhost-user",
  role: "listen",
  endpoint: { kind: "unix", path: "/run/vm.sock" },
  peerUids: [5],
} as const;
const BOTH = { ipv4: true, ipv6: true };
const ASKED = readServeOptions(
  settingsOf({ pcap: "/c", record: "/r", "flows-max": "300", dns: "9.9.9.9", "peer-uid": "5" }),
  false,
);

function plan(more: Partial<BindingPlan> = {}): BindingPlan {
  const [first] = plansOf("a-user-guide", "client");
  assert.ok(first);
  return { ...first, ...more };
}

describe("networkOptions", () => {
  test("takes addresses, ports and names from the plan", () => {
    const given = plan();
    const { network, publish, dhcp, dns, boot } = networkOptions(given, BOTH, LINK, ASKED);
    assert.equal(network.subnet, given.subnet);
    assert.equal(network.subnet6, given.subnet6);
    assert.equal(network.mtu, given.mtu);
    assert.deepEqual(network.gatewayMac, [0x52, 0x55, 10, 0, 2, 2]);
    assert.deepEqual(publish, { rules: given.publish, needsEveryPort: false });
    assert.equal(dhcp, given.dhcpOptions);
    assert.equal(dns.search, given.search);
    assert.equal(boot, undefined);
  });

  test("takes everything else from what serve was asked to do", () => {
    const { link, dns, hostSide, log, limits, seed, exitFd } = networkOptions(
      plan(),
      BOTH,
      LINK,
      ASKED,
    );
    assert.equal(link, LINK);
    assert.deepEqual([dns.servers, dns.port, dns.announceIpv6], [["9.9.9.9"], 53, "auto"]);
    assert.equal(hostSide, ASKED.hostSide);
    assert.equal(log, ASKED.log);
    assert.deepEqual(limits, {
      flowsMax: 300,
      bufferMib: undefined,
      tcpIdleSeconds: 7440,
      udpTimeoutSeconds: 300,
      keepaliveSeconds: 0,
    });
    assert.deepEqual([seed, exitFd], [undefined, undefined]);
  });

  test("serves the versions of IP that the pod has, IPv6 from its smallest MTU on", () => {
    const six = (versions: typeof BOTH, mtu: number) =>
      networkOptions(plan({ mtu }), versions, LINK, ASKED).network;
    assert.equal(six({ ipv4: true, ipv6: false }, 1500).subnet6, undefined);
    assert.equal(six(BOTH, 1279).subnet6, undefined);
    assert.notEqual(six(BOTH, 1280).subnet6, undefined);
    assert.equal(six({ ipv4: false, ipv6: true }, 1500).ipv4, false);
  });

  test("gives each interface files of its own", () => {
    const files = (index: number, asked = ASKED) => {
      const { capture } = networkOptions(plan({ index }), BOTH, LINK, asked);
      return [capture.pcap, capture.record];
    };
    const { interfaceName } = plan();
    assert.deepEqual(files(0), ["/c", `/r.${interfaceName}`]);
    assert.deepEqual(files(1), ["/c.1", `/r.${interfaceName}`]);
    assert.deepEqual(files(1, readServeOptions(new Map(), false)), [undefined, undefined]);
  });

  test("has what boots from the VM's DHCP options", () => {
    const { boot } = networkOptions(plan({ tftpServerName: "192.0.2.1" }), BOTH, LINK, ASKED);
    assert.equal(boot?.nextServer, 0xc0000201);
  });
});
