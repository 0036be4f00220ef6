/** What a guest says against what was seen of it: every difference, and what mends it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Finding } from "../../src/doctor/finding.ts";
import { compareGuest, type SeenGuest } from "../../src/doctor/guest-compare.ts";
import type { GuestReport } from "../../src/doctor/guest-report.ts";

const GUEST: GuestReport = {
  dev: "eth0",
  address: "10.0.2.15",
  gateway: "10.0.2.2",
  gatewayMac: "52:55:0a:00:02:02",
  mtu: 1500,
  dns: ["10.0.2.3"],
  sent: 1000,
  received: 900,
};
const SEEN: SeenGuest = {
  isUp: true,
  hasGuest: true,
  address: "10.0.2.15",
  gateway: "10.0.2.2",
  gatewayMac: "52:55:0a:00:02:02",
  dns: "10.0.2.3",
  mtu: 1500,
  received: 1000,
  sent: 900,
  offers: 1,
  acknowledgments: 1,
  drops: {},
};

const differing = (guest: Partial<GuestReport>, seen: Partial<SeenGuest> = {}): Finding[] =>
  compareGuest({ ...GUEST, ...guest }, { ...SEEN, ...seen }).filter(
    ({ severity }) => severity !== "ok",
  );

interface Case {
  readonly guest?: Partial<GuestReport>;
  readonly seen?: Partial<SeenGuest>;
  readonly check: string;
  readonly severity: Finding["severity"];
  /** In what is so, and why it matters. */
  readonly words: RegExp;
  readonly mend?: RegExp;
}

const CASES: Readonly<Record<string, Case>> = {
  "a network that is down": {
    seen: { isUp: false },
    ...{ check: "network", severity: "error", words: /does not answer/, mend: /log/ },
  },
  "no guest": {
    seen: { hasGuest: false },
    ...{ check: "network", severity: "error", words: /no guest is attached/, mend: /domiflist/ },
  },
  "another address than the lease": {
    guest: { address: "10.0.2.99" },
    ...{
      check: "lease",
      severity: "warning",
      words: /has 10\.0\.2\.99, its lease is 10\.0\.2\.15/,
    },
    mend: /ip addr replace 10\.0\.2\.15 dev eth0/,
  },
  "no address, and none asked for": {
    guest: { address: undefined },
    seen: { offers: 0, acknowledgments: 0 },
    ...{ check: "lease", severity: "error", words: /never asked by DHCP/, mend: /dhclient eth0/ },
  },
  "no address, though one was given": {
    guest: { address: undefined, dev: undefined },
    seen: { offers: 7, acknowledgments: 3 },
    ...{ check: "lease", severity: "error", words: /3 leases were given and 7 offered/ },
    mend: /udhcpc -i IFACE/,
  },
  "another gateway": {
    guest: { gateway: "10.0.2.1" },
    ...{ check: "gateway", severity: "error", words: /leads to 10\.0\.2\.1, not 10\.0\.2\.2/ },
    mend: /ip route replace default via 10\.0\.2\.2 dev eth0/,
  },
  "no gateway": {
    guest: { gateway: undefined },
    ...{ check: "gateway", severity: "error", words: /leads to nowhere/, mend: /ip route/ },
  },
  "a gateway that is somebody else": {
    guest: { gatewayMac: "52:54:00:00:00:01" },
    ...{ check: "neighbor", severity: "error", words: /somebody else/, mend: /ip neigh flush/ },
  },
  "a gateway without MAC": {
    guest: { gatewayMac: undefined },
    ...{ check: "neighbor", severity: "warning", words: /ARP/, mend: /ping -c 1 10\.0\.2\.2/ },
  },
  "an MTU that is too large": {
    guest: { mtu: 9000 },
    seen: { drops: { oversized: 12 } },
    ...{ check: "mtu", severity: "error", words: /9000, this network's 1500; .*: 12 so far/ },
    mend: /ip link set eth0 mtu 1500/,
  },
  "another resolver": {
    guest: { dns: ["192.0.2.1"] },
    ...{ check: "dns", severity: "warning", words: /asks 192\.0\.2\.1, not/, mend: /nameserver/ },
  },
  "no resolver": {
    guest: { dns: [] },
    ...{ check: "dns", severity: "warning", words: /no resolver/, mend: /nameserver 10\.0\.2\.3/ },
  },
  "a resolver in the guest": {
    guest: { dns: ["127.0.0.53"] },
    ...{ check: "dns", severity: "note", words: /a resolver of its own/ },
  },
  "frames that come out nowhere": {
    seen: { received: 0 },
    ...{ check: "sent", severity: "error", words: /sent 1000 frames, 0 came/, mend: /domiflist/ },
  },
  "fewer frames than it sent": {
    seen: { received: 900 },
    ...{ check: "sent", severity: "note", words: /sent 1000 frames, 900 came/ },
  },
  "frames that it does not get": {
    seen: { sent: 2000 },
    ...{
      check: "received",
      severity: "warning",
      words: /2000 frames.*got 900/,
      mend: /ethtool -S/,
    },
  },
  "checksums that nobody fills in": {
    seen: { drops: { tcp_checksum: 5, udp_checksum: 2, ip_checksum: 0 } },
    ...{ check: "checksums", severity: "error", words: /tcp_checksum 5, udp_checksum 2;/ },
    mend: /ethtool -K eth0 tx off/,
  },
  "addresses that are not its own": {
    seen: { drops: { ip_source: 4 } },
    ...{ check: "source", severity: "warning", words: /ip_source 4/, mend: /SNAT --to-source/ },
  },
};

describe("doctor/guest-compare", () => {
  test("where both say the same all is well", () => {
    assert.deepEqual(differing({}), []);
    assert.equal(compareGuest(GUEST, SEEN).length, 10);
  });

  test("what the guest does not count, and what is not served, is not compared", () => {
    const silent = { address: undefined, gateway: undefined, gatewayMac: undefined };
    const none = { address: "", gateway: "", dns: "" };
    const guest = { ...silent, mtu: undefined, sent: undefined, received: undefined };
    assert.deepEqual(differing(guest, none), []);
  });

  for (const [what, { guest = {}, seen = {}, ...wanted }] of Object.entries(CASES)) {
    test(what, () => {
      const { check, severity, words, mend } = wanted;
      const [found, ...more] = differing(guest, seen);
      assert.deepEqual([found?.check, found?.severity, more], [check, severity, []]);
      assert.match(`${found?.what}; ${found?.why}`, words);
      if (mend === undefined) assert.equal(found?.mend, undefined);
      else assert.match(found?.mend ?? "", mend);
    });
  }
});
