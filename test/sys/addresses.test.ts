/** Addresses of interfaces by netlink: read whole, news heard, input of any kind survived. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe } from "node:test";
import { formatIpv6, groupsOfOctets } from "../../src/lib/addr6.ts";
import { AddressSource } from "../../src/sys/addresses.ts";
import { EPERM, EPROTO, SystemError } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { openNamespace, withNamespace } from "../../src/sys/netns.ts";
import { becomesReady, inNetns, netnsPath, systemTest, withNetns } from "./support.ts";

const POLLIN = 1;

function textsOf(source: AddressSource): string[] {
  const list = source.read();
  assert.ok(typeof list !== "number", `read returned ${list}`);
  return list.addresses.map((octets) => formatIpv6(groupsOfOctets(octets))).sort();
}

/** A source in another namespace. */
function openIn(sys: Libc, name: string): AddressSource {
  using network = openNamespace(sys, netnsPath(name));
  return withNamespace(sys, network, () => new AddressSource(sys));
}

describe("sys/addresses", () => {
  systemTest("addresses of all interfaces, and word of each change", ["root"], (sys) =>
    withNetns(async (name) => {
      const ip = (...args: string[]) => inNetns(name, ["ip", ...args]);
      inNetns(name, ["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0"]);
      inNetns(name, ["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=0"]);
      ip("link", "add", "v0", "type", "veth", "peer", "name", "v1");
      ip("addr", "add", "192.0.2.10/24", "dev", "v0");
      // Of a point-to-point link the far end's address is not ours.
      ip("addr", "add", "198.51.100.1", "peer", "198.51.100.2", "dev", "v1");
      const source = openIn(sys, name);
      assert.deepEqual(textsOf(source), ["::ffff:c000:20a", "::ffff:c633:6401"]);
      ip("addr", "add", "2001:db8:9::10/64", "dev", "v0", "nodad");
      await becomesReady(sys, source.fd, POLLIN);
      assert.ok(textsOf(source).includes("2001:db8:9::10"));
      ip("addr", "del", "192.0.2.10/24", "dev", "v0");
      await becomesReady(sys, source.fd, POLLIN);
      assert.deepEqual(textsOf(source), ["2001:db8:9::10", "::ffff:c633:6401"]);
      source.close();
      source.close();
    }),
  );

  systemTest("a thousand addresses, and news that nobody has read", ["root"], (sys) =>
    withNetns((name) => {
      inNetns(name, ["ip", "link", "set", "lo", "up"]);
      const source = openIn(sys, name);
      const lines = Array.from({ length: 1000 }, (_, i) => {
        return `addr add 10.${i >> 8}.${i & 255}.1/32 dev lo`;
      });
      const command = ["netns", "exec", name, "ip", "-batch", "-"];
      execFileSync("ip", command, { input: lines.join("\n") });
      const texts = textsOf(source);
      assert.equal(texts.filter((text) => text.startsWith("::ffff:a")).length, 1000);
      assert.ok(texts.includes("::ffff:a03:e701"));
      source.close();
    }),
  );

  systemTest("what the kernel refuses is told", [], (sys) => {
    assert.throws(() => new AddressSource({ ...sys, socket: () => -EPERM }), SystemError);
    const closed: number[] = [];
    const refusing = { ...sys, bind: () => -EPERM, close: (fd: number) => closed.push(fd) };
    assert.throws(() => new AddressSource(refusing), /Subscribe to address changes/);
    assert.equal(closed.length, 1);
    sys.close(closed[0] ?? -1);
  });

  systemTest("messages that make no sense are refused, not believed", [], (sys) => {
    const source = new AddressSource(sys);
    source.close();
    for (let seed = 1; seed <= 2000; seed += 1) {
      let calls = 0;
      let state = seed;
      const noise = (view: DataView, size: number): void => {
        for (let i = 0; i + 4 <= size; i += 4) {
          state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
          view.setUint32(i, state % 5 === 0 ? state : state % 64, true);
        }
      };
      const odd: Libc = {
        ...sys,
        send: () => 24,
        recv: (_fd, address, length) => {
          calls += 1;
          if (calls === 1 || calls > 5) return -11;
          const size = (seed * 8) % 512;
          noise(new DataView(sys.view(address, length)), size);
          return size;
        },
      };
      const each = new AddressSource(odd);
      const list = each.read();
      assert.ok(typeof list !== "number" || list === -EPROTO || list < 0);
      each.close();
    }
  });
});
