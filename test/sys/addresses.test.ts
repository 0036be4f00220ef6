/** Addresses of interfaces by netlink: read whole, news heard, input of any kind survived. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe } from "node:test";
import { formatIpv6, groupsOfOctets } from "../../src/lib/addr6.ts";
import { AddressSource } from "../../src/sys/addresses.ts";
import { EPERM, EPROTO } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { openNamespace, withNamespace } from "../../src/sys/namespace.ts";
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

/** struct nlmsghdr and what is behind it. */
function message(
  type: number,
  sequence: number,
  port: number,
  rest: readonly number[],
  flags = 2,
): number[] {
  const word = (value: number): number[] => [value & 255, (value >> 8) & 255, 0, 0];
  const size = 16 + rest.length;
  return [...word(size), type, 0, flags, 0, ...word(sequence), ...word(port), ...rest];
}

/** struct ifaddrmsg of a family, and its attributes, each padded to four octets. */
function addressOf(
  family: number,
  attributes: readonly (readonly [number, readonly number[]])[],
): number[] {
  const padded = attributes.flatMap(([type, value]) => {
    const all = [4 + value.length, 0, type, 0, ...value];
    return [...all, ...Array.from({ length: -all.length & 3 }, () => 0)];
  });
  return [family, 24, 0, 0, 1, 0, 0, 0, ...padded];
}

/** A source whose kernel gives these octets one after the other, or these numbers. */
function play(
  sys: Libc,
  answers: readonly (readonly number[] | number)[],
  more: Partial<Libc> = {},
) {
  const pending = [...answers];
  const questions: number[][] = [];
  const closed: number[] = [];
  const stage = { always: -11 as readonly number[] | number, receives: 0 };
  const source = new AddressSource({
    ...sys,
    socket: (domain, type, protocol) => {
      assert.deepEqual([domain, type, protocol], [16, 3 | 0x80800, 0]);
      return 77;
    },
    bind: (_fd, address, length) => {
      const name = [16, 0, 0, 0, 0, 0, 0, 0, 0x10, 1, 0, 0];
      assert.deepEqual([...new Uint8Array(sys.view(address, length))], name);
      return 0;
    },
    getsockname: (_fd, address, lengthAddress) => {
      assert.deepEqual([...new Uint8Array(sys.view(lengthAddress, 4))], [12, 0, 0, 0]);
      new DataView(sys.view(address, 12)).setUint32(4, 7, true);
      return 0;
    },
    send: (_fd, address, length) => {
      questions.push([...new Uint8Array(sys.view(address, length))]);
      return length;
    },
    recv: (_fd, address, length, flags) => {
      assert.deepEqual([length, flags], [32768, 0x60]);
      stage.receives += 1;
      const next = pending.shift() ?? stage.always;
      if (typeof next === "number") return next;
      new Uint8Array(sys.view(address, length)).set(next);
      return next.length;
    },
    close: (fd) => closed.push(fd),
    ...more,
  });
  return Object.assign(stage, { source, questions, closed });
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
    assert.throws(() => new AddressSource({ ...sys, socket: () => -EPERM }), {
      name: "SystemError",
      message: "Open a netlink socket: not permitted (EPERM)",
    });
    const nameless = { ...sys, socket: () => 77, bind: () => 0, getsockname: () => -EPERM };
    const forgotten: number[] = [];
    const noName = { ...nameless, close: (fd: number) => forgotten.push(fd) };
    assert.throws(() => new AddressSource(noName), {
      message: "Read the name of a netlink socket: not permitted (EPERM)",
    });
    assert.deepEqual(forgotten, [77]);
    const closed: number[] = [];
    const refusing = { ...sys, bind: () => -EPERM, close: (fd: number) => closed.push(fd) };
    assert.throws(() => new AddressSource(refusing), /Subscribe to address changes/);
    assert.equal(closed.length, 1);
    sys.close(closed[0] ?? -1);
  });

  systemTest("asks for all addresses, and takes what answers that question", [], (sys) => {
    const { source, questions, closed } = play(sys, [
      message(20, 2, 7, addressOf(2, [[2, [192, 0, 2, 1]]])), // news
      -11, // nothing more to be taken away
      [
        ...message(
          20,
          1,
          7,
          addressOf(2, [
            [1, [192, 0, 2, 9]],
            [2, [192, 0, 2, 2]],
          ]),
        ),
        ...message(
          20,
          1,
          7,
          addressOf(2, [
            [2, [192, 0, 2, 3]],
            [1, [192, 0, 2, 9]],
          ]),
        ),
      ],
      message(
        20,
        1,
        7,
        addressOf(2, [
          [3, [1, 1, 1]],
          [1, [192, 0, 2, 4]],
        ]),
      ),
      message(20, 1, 7, addressOf(10, [[1, Array.from({ length: 16 }, (_, i) => i + 1)]])),
      message(20, 1, 7, addressOf(2, [[2, [192, 0, 2, 4]]])), // once more
      message(20, 1, 7, addressOf(17, [[2, [192, 0, 2, 5]]])), // of no family we know
      message(20, 1, 7, addressOf(2, [[2, [192, 0, 2]]])), // too short to be one
      message(16, 1, 7, addressOf(2, [[2, [192, 0, 2, 6]]])), // about something else
      message(3, 1, 7, [0, 0, 0, 0]),
    ]);
    const list = source.read();
    assert.ok(typeof list !== "number");
    const texts = list.addresses.map((octets) => formatIpv6(groupsOfOctets(octets)));
    const mapped = ["::ffff:c000:202", "::ffff:c000:203", "::ffff:c000:204"];
    assert.deepEqual(texts, [...mapped, "102:304:506:708:90a:b0c:d0e:f10"]);
    assert.equal(list.isStale, false);
    assert.deepEqual(questions, [
      [24, 0, 0, 0, 22, 0, 1, 3, 1, 0, 0, 0, ...Array.from({ length: 12 }, () => 0)],
    ]);
    source.close();
    source.close();
    assert.equal(closed.length, 1);
  });

  systemTest("what changes meanwhile makes the list stale", [], (sys) => {
    const end = message(3, 1, 7, [0, 0, 0, 0]);
    for (const [what, answers] of [
      ["news", [message(20, 0, 0, addressOf(2, [])), end]],
      ["an answer to another's question", [message(20, 1, 8, addressOf(2, [])), end]],
      ["a listing that was interrupted", [message(20, 1, 7, addressOf(2, []), 0x10), end]],
      ["news that were lost", [-105, end]],
    ] as const) {
      const { source } = play(sys, [-11, ...answers]);
      const list = source.read();
      assert.ok(typeof list !== "number" && list.isStale, what);
    }
  });

  systemTest("news of before the question is taken away, what was lost of it too", [], (sys) => {
    const news = message(20, 2, 7, addressOf(2, [[2, [192, 0, 2, 1]]]));
    for (const first of [news, -105, 32769, []]) {
      const { source } = play(sys, [first, news, -11, message(3, 1, 7, [])]);
      assert.deepEqual(source.read(), { addresses: [], isStale: false }, String(first));
    }
  });

  systemTest("what is no whole answer is an error", [], (sys) => {
    for (const [what, answers, wanted] of [
      ["an error of the kernel", [message(2, 1, 7, [0xff, 0xff, 0xff, 0xff])], -1],
      ["another error", [message(2, 1, 7, [0xf3, 0xff, 0xff, 0xff])], -13],
      ["an error without a number", [message(2, 1, 7, [])], -EPROTO],
      ["an error with a part of one", [message(2, 1, 7, [1, 2, 3])], -EPROTO],
      ["a message longer than what came", [[40, ...message(3, 1, 7, []).slice(1)]], -EPROTO],
      ["a message shorter than its header", [[15, ...message(3, 1, 7, []).slice(1)]], -EPROTO],
      ["nothing", [-11], -11],
      ["more than fits", [32769], -90],
    ] as const) {
      const { source } = play(sys, [-11, ...answers]);
      assert.equal(source.read(), wanted, what);
    }
    const { source } = play(sys, [-11], { send: () => -EPERM });
    assert.equal(source.read(), -EPERM);
    const endless = play(sys, [-11]);
    endless.always = message(20, 1, 7, addressOf(2, []));
    assert.equal(endless.source.read(), -EPROTO);
    assert.equal(endless.receives, 1 + 4096);
    const flood = play(sys, []);
    flood.always = message(20, 0, 0, addressOf(2, []));
    assert.equal(flood.source.read(), -EPROTO);
    assert.equal(flood.receives, 2 * 4096, "news are taken away within bounds, too");
  });

  systemTest("attributes that lead out of their message end it", [], (sys) => {
    const end = message(3, 1, 7, [0, 0, 0, 0]);
    const whole = addressOf(2, [[2, [192, 0, 2, 1]]]);
    for (const size of [0, 3, 9]) {
      const broken = [...whole];
      broken[8] = size; // of the attribute
      const { source } = play(sys, [-11, message(20, 1, 7, broken), end]);
      assert.deepEqual(source.read(), { addresses: [], isStale: false }, `${size}`);
    }
  });

  systemTest(
    "an address whose other attributes are broken is none, and messages are padded",
    [],
    (sys) => {
      const end = message(3, 1, 7, []);
      const broken = addressOf(2, [
        [2, [192, 0, 2, 1]],
        [3, [0, 0, 0, 0]],
      ]);
      broken[16] = 9; // size of the second attribute
      const short = [message(20, 1, 7, broken), message(20, 1, 7, [2, 24]), message(20, 1, 7, [])];
      const padded = [...message(16, 1, 7, [0]), 0, 0, 0, ...end];
      const { source } = play(sys, [-11, ...short, padded]);
      assert.deepEqual(source.read(), { addresses: [], isStale: false });
    },
  );

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
