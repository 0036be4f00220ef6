/** Tap devices and interface configuration, each in a namespace of its own. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { Block } from "../../src/sys/block.ts";
import { EAGAIN, SystemError } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6 } from "../../src/sys/linux.ts";
import { openNamespace, withNamespace } from "../../src/sys/namespace.ts";
import { NetConfig } from "../../src/sys/netconfig.ts";
import { OFFLOADS_ALL, setOffloads } from "../../src/sys/offloads.ts";
import { interfaceRequest, openTap } from "../../src/sys/tun.ts";
import { inNetns, netnsPath, play, systemTest, withNetns } from "./support.ts";

/** Runs `run` inside a fresh namespace. */
function inside(sys: Libc, run: (name: string) => void): Promise<void> {
  return withNetns((name) => {
    using network = openNamespace(sys, netnsPath(name));
    withNamespace(sys, network, () => run(name));
  });
}

const words = (text: string) => text.trim().split(/\s+/);

describe("tun", () => {
  systemTest("makes a tap that is non-blocking and has every offload", ["root", "tun"], (sys) =>
    inside(sys, (name) => {
      const tap = openTap(sys, { name: "tap0", vnetHeader: true });
      assert.equal(tap.name, "tap0");
      assert.equal(tap.vnetSize, 10);
      const least = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
      assert.equal(tap.offloads & least, least);
      assert.equal(sys.read(tap.fd, sys.scratch.address, 1), -EAGAIN);
      assert.ok(words(inNetns(name, ["ip", "-o", "link", "show", "tap0"])).includes("tap0:"));
      sys.close(tap.fd);
      assert.throws(() => inNetns(name, ["ip", "-o", "link", "show", "tap0"]));
    }),
  );

  systemTest("asks for less where the caller cannot read more", ["root", "tun"], (sys) =>
    inside(sys, () => {
      const wanted = TUN_F_CSUM | TUN_F_TSO4;
      const tap = openTap(sys, { name: "tap%d", vnetHeader: true, offloads: wanted });
      assert.equal(tap.name, "tap0");
      assert.equal(tap.offloads, wanted);
      assert.equal(setOffloads(sys, tap.fd, 0), 0);
      sys.close(tap.fd);
      const plain = openTap(sys, { name: "tap1", vnetHeader: false });
      assert.deepEqual([plain.vnetSize, plain.offloads], [0, 0]);
      sys.close(plain.fd);
    }),
  );

  systemTest("falls back offload by offload on older kernels", [], (sys) => {
    const asked: number[] = [];
    const old = {
      ...sys,
      ioctl: (_fd: number, _request: number, offloads: number) => {
        asked.push(offloads);
        return (offloads & ~(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)) === 0 ? 0 : -22;
      },
    };
    assert.equal(setOffloads(old, 3, OFFLOADS_ALL), TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6);
    assert.deepEqual(asked, [0x6f, 0xf, 0x7]);
  });

  systemTest("says who is in the way and which device is missing", ["root", "tun"], (sys) =>
    inside(sys, () => {
      const tap = openTap(sys, { name: "tap0", vnetHeader: true });
      assert.throws(() => openTap(sys, { name: "tap0", vnetHeader: true }), {
        message: 'Close the program that uses tap "tap0": device or resource is busy (EBUSY)',
      });
      sys.close(tap.fd);
      const tunPath = "/nonexistent/tun";
      assert.throws(() => openTap(sys, { name: "tap0", vnetHeader: true, tunPath }), SystemError);
    }),
  );

  systemTest("says what helps where the kernel refuses", ["tun"], (sys) => {
    const attempt = (more: Partial<Libc>) => () =>
      openTap({ ...sys, ...more }, { name: "tap0", vnetHeader: true, tunPath: "/dev/net/tun" });
    for (const [errno, message] of [
      [
        1,
        'Create tap "tap0": not permitted (EPERM); it takes CAP_NET_ADMIN in that network ' +
          "namespace: start as root or as its owner",
      ],
      [
        22,
        'Create tap "tap0": invalid argument (EINVAL); an interface of that name is there, and ' +
          "is another kind: choose another name",
      ],
      [12, 'Create tap "tap0": out of memory (ENOMEM)'],
    ] as const) {
      assert.throws(attempt({ ioctl: () => -errno }), { message });
    }
    for (const [errno, message] of [
      [
        13,
        'Open "/dev/net/tun": permission denied (EACCES); let this user read and write ' +
          '"/dev/net/tun" (chmod 666, or a group), or start as root',
      ],
      [
        1,
        'Open "/dev/net/tun": not permitted (EPERM); let this container use the device ' +
          "(--device /dev/net/tun)",
      ],
      [
        2,
        'Load the kernel module "tun" or mount "/dev/net/tun": no such file or directory ' +
          "(ENOENT); in a container: --device /dev/net/tun",
      ],
      [
        19,
        'Load the kernel module "tun" or mount "/dev/net/tun": no such device (ENODEV); ' +
          "in a container: --device /dev/net/tun",
      ],
    ] as const) {
      assert.throws(attempt({ open: () => -errno }), { message });
    }
    let calls = 0;
    const second = () => (++calls === 1 ? 0 : -22);
    assert.throws(attempt({ ioctl: second }), {
      message: 'Set the header size of tap "tap0" to 10: invalid argument (EINVAL)',
    });
  });

  systemTest("what the kernel is asked for is what it says it has", ["root", "tun"], (sys) =>
    inside(sys, () => {
      const [GETIFF, GETSIZE] = [0x800454d2, 0x800454d7];
      for (const [options, flags, size] of [
        [{ vnetHeader: true }, 0x5002, 10],
        [{ vnetHeader: false }, 0x1002, undefined],
        [{ vnetHeader: true, multiQueue: true }, 0x5102, 10],
      ] as const) {
        const tap = openTap(sys, { name: "tap0", ...options });
        const request = new Block(sys, 40);
        assert.equal(sys.ioctl(tap.fd, GETIFF, request.address), 0);
        assert.equal(new TextDecoder().decode(request.bytes.subarray(0, 5)), "tap0\0");
        assert.equal(request.view.getUint16(16, true) & 0x5fff, flags);
        if (size !== undefined) {
          assert.equal(sys.ioctl(tap.fd, GETSIZE, request.address), 0);
          assert.equal(request.getI32(0), size);
        }
        sys.close(tap.fd);
      }
    }),
  );

  systemTest("a tap is asked for by its name, and told by the kernel's", [], (sys) => {
    const requests: (readonly [number, number[]])[] = [];
    let [size, given, refused] = [0, "tap7\0\0\0\0\0\0\0\0\0\0\0\0", 0];
    const { told, calls } = play(sys, {
      open: 9,
      close: 0,
      ioctl: (_fd, request, argument) => {
        if (request === 0x400454d0) return argument === 0x6f ? -1 : 0;
        size = request === 0x400454ca ? 40 : 4;
        const octets = new Uint8Array(sys.view(argument, size));
        requests.push([request, [...octets]]);
        if (size === 40) octets.set(new TextEncoder().encode(given));
        return request === refused ? -1 : 0;
      },
    });
    const options = { name: "tap%d", vnetHeader: true, multiQueue: true };
    const tap = openTap(told, options);
    assert.deepEqual(tap, { fd: 9, name: "tap7", vnetSize: 10, offloads: 0x0f });
    const name = [..."tap%d"].map((letter) => letter.charCodeAt(0));
    const zeros = (count: number): number[] => Array.from({ length: count }, () => 0);
    assert.deepEqual(requests.splice(0), [
      [0x400454ca, [...name, ...zeros(11), 0x02, 0x51, ...zeros(22)]],
      [0x400454d8, [10, 0, 0, 0]],
    ]);
    assert.deepEqual(calls[0], ["open", "@", 0x80802, 0]);
    assert.ok(!calls.some(([call]) => call === "close"));
    given = "tap0123456789abc";
    assert.equal(openTap(told, options).name, given, "as long as there is room");
    assert.equal(openTap(told, { ...options, offloads: 3 }).offloads, 3);
    const plain = openTap(told, { name: "a", vnetHeader: false });
    assert.deepEqual([plain.vnetSize, plain.offloads], [0, 0]);
    assert.deepEqual(requests.at(-1)?.[1].slice(16, 18), [0x02, 0x10]);
    for (const request of [0x400454ca, 0x400454d8]) {
      refused = request;
      assert.throws(() => openTap(told, options), SystemError);
      assert.deepEqual(calls.at(-1), ["close", 9]);
    }
    assert.equal(setOffloads({ ...sys, ioctl: () => -1 }, 9, OFFLOADS_ALL), 0);
  });

  systemTest("names have 1 to 15 octets", [], (sys) => {
    assert.equal(interfaceRequest(sys, "0123456789abcde").bytes.length, 40);
    for (const name of ["0123456789abcdef", "ééééééé\u00e9", ".", "a\tb"]) {
      assert.throws(() => interfaceRequest(sys, name), {
        name: "RangeError",
        message: `Name the interface with 1 to 15 octets without "/", ":" or blanks: "${name}"`,
      });
    }
  });

  systemTest("refuses names no interface can have", ["root", "tun"], (sys) => {
    for (const name of ["", "a/b", "a b", "..", "sixteen-octets-x", "a:1"]) {
      assert.throws(() => openTap(sys, { name, vnetHeader: true }), RangeError);
    }
  });
});

describe("netconfig", () => {
  systemTest("configures what the kernel then shows", ["root", "tun"], (sys) =>
    inside(sys, (name) => {
      const tap = openTap(sys, { name: "tap0", vnetHeader: true });
      using config = new NetConfig(sys);
      const mac = Uint8Array.from([0x52, 0x55, 10, 0, 2, 15]);
      config.apply("tap0", {
        mtu: 65520,
        mac,
        txQueueLength: 4000,
        address: 0x0a00020f,
        prefixLength: 24,
        up: true,
        gateway: 0x0a000202,
        loopback: true,
      });
      assert.equal(config.getMtu("tap0"), 65520);
      assert.equal(config.getTxQueueLength("tap0"), 4000);
      assert.deepEqual(config.getMac("tap0"), mac);
      const address = words(inNetns(name, ["ip", "-o", "-4", "addr", "show", "tap0"]));
      assert.equal(address[address.indexOf("inet") + 1], "10.0.2.15/24");
      assert.equal(address[address.indexOf("brd") + 1], "10.0.2.255");
      assert.deepEqual(words(inNetns(name, ["ip", "route", "show", "default"])).slice(0, 5), [
        "default",
        "via",
        "10.0.2.2",
        "dev",
        "tap0",
      ]);
      assert.ok(inNetns(name, ["ip", "-o", "link", "show", "lo"]).includes("UP"));
      config.setDefaultRoute("tap0", 0x0a000202); // once more: no error
      sys.close(tap.fd);
    }),
  );

  systemTest("says what was wrong with which interface", ["root"], (sys) =>
    inside(sys, () => {
      using config = new NetConfig(sys);
      assert.throws(() => config.setMtu("tap9", 1500), {
        message: 'Set the MTU to 1500 on "tap9": no such device (ENODEV)',
      });
      assert.throws(() => config.setMtu("lo", -5), SystemError);
    }),
  );
});
