/** Interfaces as they are configured, by the word of `ip`; what the kernel refuses, in words. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { EACCES, EEXIST, EOPNOTSUPP } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import * as linux from "../../src/sys/linux.ts";
import { openNamespace, withNamespace } from "../../src/sys/namespace.ts";
import { NetConfig } from "../../src/sys/netconfig.ts";
import { setLinkWord } from "../../src/sys/netlink.ts";
import { leaveTapHere } from "../../src/sys/tap-device.ts";
import { inNetns, netnsPath, play, systemTest, withNetns } from "./support.ts";

const ADDRESS6 = [0xfd, 0x10, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x15];
const GATEWAY6 = [0xfd, 0x10, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/** Runs with an interface "v0" in a namespace of its own. */
function withInterface(
  sys: Libc,
  run: (config: NetConfig, ip: (...args: string[]) => string) => void,
): Promise<void> {
  return withNetns((name) => {
    inNetns(name, ["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0"]);
    inNetns(name, ["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=0"]);
    inNetns(name, ["ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"]);
    inNetns(name, ["ip", "link", "set", "v1", "up"]);
    using network = openNamespace(sys, netnsPath(name));
    withNamespace(sys, network, () => {
      using config = new NetConfig(sys);
      run(config, (...args) => inNetns(name, ["ip", ...args]));
    });
  });
}

describe("netconfig", () => {
  systemTest("IPv6: address without detection of doubles, default route, twice", ["root"], (sys) =>
    withInterface(sys, (config, ip) => {
      const ipv6 = { address: ADDRESS6, prefixLength: 64, gateway: GATEWAY6 };
      config.apply("v0", { up: true, ipv6 });
      const shown = ip("-6", "addr", "show", "dev", "v0");
      assert.match(shown, /inet6 fd10:0:2::15\/64 scope global nodad/);
      assert.match(
        ip("-6", "route", "show", "default"),
        /^default via fd10:0:2::1 dev v0 proto static/,
      );
      config.apply("v0", { ipv6 });
    }),
  );

  systemTest("IPv6 that is switched off is passed over", ["root"], (sys) =>
    withNetns((name) => {
      inNetns(name, ["ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"]);
      inNetns(name, ["sysctl", "-qw", "net.ipv6.conf.v0.disable_ipv6=1"]);
      using network = openNamespace(sys, netnsPath(name));
      withNamespace(sys, network, () => {
        using config = new NetConfig(sys);
        config.apply("v0", {
          up: true,
          ipv6: { address: ADDRESS6, prefixLength: 64, gateway: GATEWAY6 },
        });
      });
      assert.equal(inNetns(name, ["ip", "-6", "addr", "show", "dev", "v0"]), "");
    }),
  );

  systemTest("prefixes of every length", ["root"], (sys) =>
    withInterface(sys, (config, ip) => {
      for (const prefixLength of [32, 31, 24, 1, 0]) {
        config.setAddress("v0", 0x0a00020f, prefixLength);
        const shown = /inet (\S+)/.exec(ip("-4", "addr", "show", "dev", "v0"))?.[1];
        const wanted = prefixLength === 32 ? "10.0.2.15" : `10.0.2.15/${prefixLength}`;
        assert.equal(shown, prefixLength === 32 ? `${wanted}/32` : wanted);
      }
      config.apply("v0", { address: 0x0a000210 });
      assert.match(ip("-4", "addr", "show", "dev", "v0"), /inet 10\.0\.2\.16\/32/);
    }),
  );

  systemTest("what is not asked for stays", ["root"], (sys) =>
    withInterface(sys, (config, ip) => {
      const before = ip("-o", "link", "show");
      config.apply("v0", {});
      assert.equal(ip("-o", "link", "show"), before);
      assert.equal(ip("-4", "addr", "show"), "");
      config.apply("v0", { mtu: 1300, txQueueLength: 77, mac: Uint8Array.of(2, 1, 2, 3, 4, 5) });
      const shown = ip("link", "show", "v0");
      assert.match(shown, /mtu 1300 .* qlen 77\n.*link\/ether 02:01:02:03:04:05/);
      assert.doesNotMatch(shown, /[<,]UP[,>]/);
      assert.doesNotMatch(ip("link", "show", "lo"), /[<,]UP[,>]/);
      assert.deepEqual(config.getMac("v0"), Uint8Array.of(2, 1, 2, 3, 4, 5));
      config.apply("v0", { loopback: true, up: true });
      for (const name of ["v0", "lo"]) assert.match(ip("link", "show", name), /[<,]UP[,>]/);
    }),
  );

  systemTest("each refusal says what was tried on which interface", ["root"], (sys) =>
    withInterface(sys, (config) => {
      const gone = "no such device (ENODEV)";
      for (const [call, message] of [
        [() => config.getMtu("none"), `Read the MTU of "none": ${gone}`],
        [() => config.setMtu("none", 9), `Set the MTU to 9 on "none": ${gone}`],
        [() => config.getTxQueueLength("none"), `Read the queue length of "none": ${gone}`],
        [() => config.setTxQueueLength("none", 9), `Find the index of "none": ${gone}`],
        [() => config.getMac("none"), `Read the MAC address of "none": ${gone}`],
        [() => config.setMac("none", new Uint8Array(6)), `Set the MAC address of "none": ${gone}`],
        [() => config.setAddress("none", 1, 8), `Set the address of "none": ${gone}`],
        [() => config.setUp("none"), `Find the interface "none": ${gone}`],
        [() => config.setDefaultRoute("none", 1), `Set the default route through "none": ${gone}`],
        [
          () => config.setDefaultRoute("v0", 0x0a000202),
          'Set the default route through "v0": network is unreachable (ENETUNREACH)',
        ],
        [
          () => config.setIpv6("v0", { address: GATEWAY6, prefixLength: 200, gateway: GATEWAY6 }),
          'Set the IPv6 address of "v0": invalid argument (EINVAL)',
        ],
        [
          () =>
            config.setIpv6("v0", {
              address: ADDRESS6,
              prefixLength: 64,
              gateway: ADDRESS6.map((octet) => octet ^ 1),
            }),
          /^SystemError: Set the IPv6 default route through "v0": /,
        ],
      ] as const) {
        assert.throws(call, typeof message === "string" ? { message } : message);
      }
      assert.throws(() => new NetConfig({ ...sys, socket: () => -EEXIST }), {
        message: "Open a socket for interface configuration: exists already (EEXIST)",
      });
    }),
  );

  systemTest("routing netlink: errors of each step, and answers that are none", [], (sys) => {
    const ask = (more: Partial<Libc>) => setLinkWord({ ...sys, ...more }, 1, linux.IFLA_TXQLEN, 5);
    assert.equal(ask({ socket: () => -EOPNOTSUPP }), -EOPNOTSUPP);
    const closed: number[] = [];
    const open = { socket: () => 77, close: (fd: number) => closed.push(fd) };
    assert.equal(ask({ ...open, send: () => -EEXIST }), -EEXIST);
    assert.equal(ask({ ...open, send: () => 40, recv: () => -EEXIST }), -EEXIST);
    const answering = (type: number, size: number, errno: number) => ({
      ...open,
      send: () => 40,
      recv: (_fd: number, address: number, length: number) => {
        const view = new DataView(sys.view(address, length));
        view.setUint16(4, type, true);
        view.setInt32(16, errno, true);
        return size;
      },
    });
    assert.equal(ask(answering(2, 36, -1)), -1);
    assert.equal(ask(answering(2, 20, 0)), 0);
    assert.equal(ask(answering(2, 19, 0)), -71);
    assert.equal(ask(answering(3, 36, 0)), -71);
    assert.equal(closed.length, 6);
  });

  systemTest("IPv6 that is there already, or switched off, is no error", [], (sys) => {
    const ipv6 = { address: ADDRESS6, prefixLength: 64, gateway: GATEWAY6 };
    /** The requests that are made where the kernel answers so to each. */
    const types = (...errors: number[]): number[] => {
      const asked: number[] = [];
      const { told } = play(sys, {
        ...{ socket: 77, ioctl: 0, close: 0 },
        send: (_fd, address, length) => {
          asked.push(new DataView(sys.view(address, length)).getUint16(4, true));
          return length;
        },
        recv: (_fd, address) => {
          const answer = new DataView(sys.view(address, 36));
          answer.setUint16(4, 2, true);
          answer.setInt32(16, errors.shift() ?? -1, true);
          return 36;
        },
      });
      using config = new NetConfig(told);
      config.setIpv6("v0", ipv6);
      return asked;
    };
    const [address, route] = [20, 24];
    assert.deepEqual(types(0, 0), [address, route]);
    assert.deepEqual(types(-EEXIST, -EEXIST), [address, route]);
    for (const off of [-EACCES, -EOPNOTSUPP]) assert.deepEqual(types(off), [address]);
    assert.throws(() => types(-1), { message: /^Set the IPv6 address of "v0": not permitted/ });
    assert.throws(() => types(0, -1), { message: /^Set the IPv6 default route through "v0": not/ });
  });

  systemTest("each step is a request of its own, in the order the kernel wants", [], (sys) => {
    const requests: { request: number; octets: number[] }[] = [];
    const { told, calls } = play(sys, {
      socket: 77,
      close: 0,
      ioctl: (_fd, request, address) => {
        const size = request === linux.SIOCADDRT ? 120 : 40;
        requests.push({ request, octets: [...new Uint8Array(sys.view(address, size))] });
        if (request === linux.SIOCGIFFLAGS) {
          new DataView(sys.view(address, 40)).setUint16(16, 0x1002, true);
        }
        return 0;
      },
    });
    {
      using config = new NetConfig(told);
      config.apply("v0", {
        ...{ loopback: true, mac: Uint8Array.of(2, 1, 2, 3, 4, 5, 6, 7), mtu: 1300 },
        ...{ address: 0x0a00020f, prefixLength: 24, up: true, gateway: 0x0a000202 },
      });
    }
    assert.deepEqual(calls.at(0), ["socket", 2, 2 | linux.SOCK_CLOEXEC, 0]);
    assert.deepEqual(calls.at(-1), ["close", 77]);
    assert.ok(calls.slice(1, -1).every(([name, fd]) => name === "ioctl" && fd === 77));
    const ifreq = (name: string, ...union: number[]): number[] => {
      const octets = new Uint8Array(40);
      octets.set([...name].map((letter) => letter.charCodeAt(0)));
      octets.set(union, 16);
      return [...octets];
    };
    const route = requests.find(({ request }) => request === linux.SIOCADDRT)?.octets ?? [];
    const device = Number(new DataView(Uint8Array.from(route).buffer).getBigUint64(88, true));
    assert.ok(device > 2 ** 32);
    const wanted = new Uint8Array(120);
    wanted.set([2], 8);
    wanted.set([2, 0, 0, 0, 10, 0, 2, 2], 24);
    wanted.set([2], 40);
    wanted.set([3], 56);
    wanted.set(route.slice(88, 96), 88);
    assert.deepEqual(requests, [
      { request: linux.SIOCGIFFLAGS, octets: ifreq("lo") },
      { request: linux.SIOCSIFFLAGS, octets: ifreq("lo", 0x03, 0x10) },
      { request: linux.SIOCSIFHWADDR, octets: ifreq("v0", 1, 0, 2, 1, 2, 3, 4, 5) },
      { request: linux.SIOCSIFMTU, octets: ifreq("v0", 0x14, 5) },
      { request: linux.SIOCSIFADDR, octets: ifreq("v0", 2, 0, 0, 0, 10, 0, 2, 15) },
      { request: linux.SIOCSIFNETMASK, octets: ifreq("v0", 2, 0, 0, 0, 255, 255, 255, 0) },
      { request: linux.SIOCGIFFLAGS, octets: ifreq("v0") },
      { request: linux.SIOCSIFFLAGS, octets: ifreq("v0", 0x03, 0x10) },
      { request: linux.SIOCADDRT, octets: [...wanted] },
    ]);
  });

  systemTest("what is refused at a second step is told of that step", [], (sys) => {
    for (const [request, call, message] of [
      [
        linux.SIOCSIFNETMASK,
        (config: NetConfig) => config.setAddress("v0", 1, 24),
        'Set the prefix length of "v0" to 24: not permitted (EPERM)',
      ],
      [
        linux.SIOCSIFFLAGS,
        (config: NetConfig) => config.setUp("v0"),
        'Bring the interface "v0" up: not permitted (EPERM)',
      ],
      [
        linux.SIOCADDRT,
        (config: NetConfig) => config.setDefaultRoute("v0", 1),
        'Set the default route through "v0": not permitted (EPERM)',
      ],
    ] as const) {
      const { told } = play(sys, {
        ...{ socket: 77, close: 0 },
        ioctl: (_fd, asked) => (asked === request ? -1 : 0),
      });
      using config = new NetConfig(told);
      assert.throws(() => call(config), { message });
    }
    const { told } = play(sys, { socket: 77, close: 0, ioctl: 0, send: -1 });
    using config = new NetConfig(told);
    assert.throws(() => config.setTxQueueLength("v0", 9), {
      message: 'Set the queue length to 9 on "v0": not permitted (EPERM)',
    });
  });

  systemTest("a tap that stays is the user's", ["root", "tun"], (sys) =>
    withNetns((name) => {
      using network = openNamespace(sys, netnsPath(name));
      withNamespace(sys, network, () =>
        leaveTapHere(sys, { name: "tap7", vnetHeader: true }, { up: true }),
      );
      const shown = inNetns(name, ["ip", "tuntap", "show"]);
      assert.match(shown, /^tap7: tap vnet_hdr persist user 0\s*$/m);
    }),
  );
});
