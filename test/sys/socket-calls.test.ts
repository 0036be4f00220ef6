/**
 * What the kernel is asked for each socket, with a descriptor and errors of the smallest numbers: 0
 * is a descriptor like any other, and EPERM an error.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";
import type { Libc } from "../../src/sys/libc.ts";
import * as socket from "../../src/sys/socket.ts";
import { type NotedCall, play, systemTest } from "./support.ts";

const FLAGS = 0x80800;
const EPERM = 1;

type Refusals = Partial<Record<keyof Libc, number>>;

/** A kernel that gives 0 for all, but for what it refuses; and the options that were set. */
function kernel(sys: Libc, { setsockopt = 0, ...others }: Refusals = {}) {
  const options: number[][] = [];
  const { told, calls } = play(sys, {
    ...{ socket: 0, bind: 0, listen: 0, connect: 0, shutdown: 0, close: 0, socketpair: 0 },
    setsockopt: (_fd, level, name, value, length) => {
      const octets = new Uint8Array(sys.view(value, length));
      options.push([level, name, ...octets]);
      return setsockopt;
    },
    ...others,
  });
  return { told, calls, options };
}

const named = (calls: readonly NotedCall[]): string[] => calls.map(([name]) => String(name));

describe("socket: each step", () => {
  const openers: readonly (readonly [
    string,
    (sys: Libc) => number,
    NotedCall,
    readonly string[],
  ])[] = [
    ["TCP", socket.openTcp, ["socket", 2, 1 | FLAGS, 0], []],
    ["UDP", socket.openUdp, ["socket", 2, 2 | FLAGS, 0], []],
    ["ping", socket.openPing, ["socket", 2, 2 | FLAGS, 1], []],
    ["TCP of IPv6", socket.openTcp6, ["socket", 10, 1 | FLAGS, 0], ["setsockopt"]],
    ["UDP of IPv6", socket.openUdp6, ["socket", 10, 2 | FLAGS, 0], ["setsockopt"]],
    ["ping of IPv6", socket.openPing6, ["socket", 10, 2 | FLAGS, 58], ["setsockopt"]],
    ["UDP of both", socket.openUdpDual, ["socket", 10, 2 | FLAGS, 0], ["setsockopt"]],
    ["bound unix", (sys) => socket.bindUnix(sys, "/a"), ["socket", 1, 1 | FLAGS, 0], ["bind"]],
    [
      "listening unix",
      (sys) => socket.listenUnix(sys, "/a"),
      ["socket", 1, 1 | FLAGS, 0],
      ["bind", "listen"],
    ],
    ["unix", (sys) => socket.connectUnix(sys, "/a"), ["socket", 1, 1 | FLAGS, 0], ["connect"]],
  ];
  for (const [what, open, first, steps] of openers) {
    systemTest(`${what}: one that is refused is closed again`, [], (sys) => {
      const made = kernel(sys);
      assert.equal(open(made.told), 0);
      assert.deepEqual(made.calls[0], first);
      assert.deepEqual(named(made.calls), ["socket", ...steps]);
      const none = kernel(sys, { socket: -EPERM });
      assert.equal(open(none.told), -EPERM);
      assert.equal(none.calls.length, 1);
      for (const step of steps) {
        const { told, calls } = kernel(sys, { [step]: -EPERM });
        assert.equal(open(told), -EPERM, step);
        assert.deepEqual(calls.at(-1), ["close", 0]);
      }
    });
  }

  systemTest("IPv6 alone, or both, and names of interfaces cut to their length", [], (sys) => {
    const { told, options, calls } = kernel(sys);
    socket.openTcp6(told);
    socket.openUdpDual(told);
    assert.deepEqual(options.splice(0), [
      [41, 26, 1, 0, 0, 0],
      [41, 26, 0, 0, 0, 0],
    ]);
    calls.length = 0;
    socket.bindDevice(told, 0, "0123456789abcdefgh");
    const name = [..."0123456789abcde"].map((letter) => letter.charCodeAt(0));
    assert.deepEqual(options, [[1, 25, ...name, 0]]);
    assert.deepEqual(calls, [["setsockopt", 0, 1, 25, "@", 16]]);
  });

  systemTest("listening takes a port of before, and a backlog of its own", [], (sys) => {
    const { told, calls, options } = kernel(sys);
    assert.equal(socket.listenUnix(told, "/a"), 0);
    assert.equal(socket.listenIpv4(told, 0, 1, 2), 0);
    assert.equal(socket.startListening(told, 0), 0);
    assert.equal(socket.listenUnix(told, "/a", 3), 0);
    assert.equal(socket.listenIpv4(told, 0, 1, 2, 4), 0);
    assert.equal(socket.startListening(told, 0, 5), 0);
    const backlogs = calls.filter(([name]) => name === "listen").map(([, , backlog]) => backlog);
    assert.deepEqual(backlogs, [16, 128, 128, 3, 4, 5]);
    assert.deepEqual(options, [...Array(4)].fill([1, 2, 1, 0, 0, 0]));
    assert.equal(socket.stopListening(told, 0), 0);
    assert.deepEqual(options.at(-1), [1, 2, 0, 0, 0, 0]);
  });

  const refused: readonly (readonly [string, (sys: Libc) => number, readonly (keyof Libc)[]])[] = [
    ["listenIpv4", (sys) => socket.listenIpv4(sys, 0, 1, 2), ["setsockopt", "bind", "listen"]],
    ["startListening", (sys) => socket.startListening(sys, 0), ["setsockopt", "listen"]],
    ["stopListening", (sys) => socket.stopListening(sys, 0), ["shutdown", "setsockopt"]],
    [
      "setKeepalive",
      (sys) => socket.setKeepalive(sys, 0, 9),
      ["setsockopt", "setsockopt", "setsockopt", "setsockopt"],
    ],
    ["openMessagePair", (sys) => socket.openMessagePair(sys, { a: 0, b: 0 }), ["socketpair"]],
  ];
  for (const [what, run, steps] of refused) {
    systemTest(`${what} ends with the first step that is refused`, [], (sys) => {
      const whole = kernel(sys);
      assert.equal(run(whole.told), 0);
      assert.deepEqual(named(whole.calls), steps);
      for (const [index, step] of steps.entries()) {
        let left = steps.slice(0, index).filter((each) => each === step).length;
        const { told, calls } = play(sys, {
          ...{ setsockopt: 0, bind: 0, listen: 0, shutdown: 0, socketpair: 0 },
          [step]: () => (left-- === 0 ? -EPERM : 0),
        });
        assert.equal(run(told), -EPERM, `${step} ${index}`);
        assert.equal(calls.length, index + 1);
      }
    });
  }

  systemTest("a port in the way is tried once more, with errors as they come", [], (sys) => {
    for (const [binds, listen, shutdown, wanted] of [
      [[-EPERM], 0, 0, -EPERM],
      [[-98, -EPERM], 0, 0, -EPERM],
      [[-98, 0], -EPERM, 0, -EPERM],
      [[-98, 0], 0, -EPERM, -EPERM],
      [[-98, 0], 0, 0, 0],
    ] as const) {
      const pending = [...binds];
      const { told } = play(sys, { setsockopt: 0, listen, shutdown });
      assert.equal(
        socket.reservePort(told, 0, () => pending.shift() ?? 0),
        wanted,
      );
    }
    const { told } = play(sys, { setsockopt: -EPERM, listen: 0, shutdown: 0 });
    assert.equal(
      socket.reservePort(told, 0, () => -98),
      -EPERM,
    );
  });

  systemTest("pairs are of streams or of messages, and both ends are told", [], (sys) => {
    const { told, calls } = play(sys, {
      socketpair: (_domain, _type, _protocol, address) => {
        new Int32Array(sys.view(address, 8)).set([7, 8]);
        return 0;
      },
    });
    const pair = { a: -1, b: -1 };
    assert.equal(socket.openMessagePair(told, pair), 0);
    assert.deepEqual(pair, { a: 7, b: 8 });
    assert.deepEqual(calls, [["socketpair", 1, 5 | FLAGS, 0, "@"]]);
  });
});

describe("socket: what is asked back", () => {
  const ADDRESS = [2, 0, 0x1f, 0x90, 10, 0, 2, 15, ...Array.from({ length: 8 }, () => 0)];
  const ADDRESS6 = [
    10,
    0,
    0x1f,
    0x90,
    0,
    0,
    0,
    0,
    ...Array.from({ length: 16 }, () => 7),
    3,
    0,
    0,
    0,
  ];

  /** A kernel that names sockets so, and gives this result. */
  function naming(sys: Libc, octets: readonly number[], result = 0) {
    const name = (_fd: number, address = 0, length = 0): number => {
      assert.equal(new DataView(sys.view(length, 4)).getInt32(0, true), 128);
      assert.ok(length >= address + 128, "behind the room for a name");
      new Uint8Array(sys.view(address, 128)).set(octets);
      return result;
    };
    return play(sys, { accept4: name, getsockname: name });
  }

  systemTest("names are told of what there is, and of nothing else", [], (sys) => {
    for (const [octets, result] of [
      [ADDRESS, 0],
      [ADDRESS6, 0],
      [ADDRESS, -EPERM],
      [ADDRESS6, -EPERM],
    ] as const) {
      const { told, calls } = naming(sys, octets, result);
      const [peer, own] = [
        { address: 1, port: 1 },
        { address: 1, port: 1 },
      ];
      const peer6 = { octets: new Uint8Array(16), scope: 1, port: 1 };
      assert.equal(socket.accept(told, 0, peer, peer6), result);
      assert.equal(socket.localEndpoint(told, 0, own), result);
      assert.equal(socket.localPort(told, 0), result < 0 ? result : 8080);
      const [isFour, isSix] = [octets === ADDRESS, octets === ADDRESS6].map(
        (is) => is && result === 0,
      );
      const four = isFour ? { address: 0x0a00020f, port: 8080 } : { address: 1, port: 1 };
      assert.deepEqual([peer, own], [four, four]);
      assert.deepEqual([peer6.port, peer6.scope], isSix ? [8080, 3] : [1, 1]);
      assert.deepEqual(calls[0], ["accept4", 0, "@", "@", FLAGS]);
      assert.equal(socket.accept(told, 0), result);
    }
  });

  systemTest("options are asked for as words, and errors are theirs", [], (sys) => {
    let [value, result] = [111, 0];
    const { told, calls } = play(sys, {
      getsockopt: (_fd, _level, _name, address, length) => {
        assert.equal(new DataView(sys.view(length, 4)).getInt32(0, true), 4);
        assert.ok(Math.abs(length - address) >= 4, "two places");
        new DataView(sys.view(address, 4)).setInt32(0, value, true);
        return result;
      },
      ioctl: (_fd, _request, address) => {
        new DataView(sys.view(address, 4)).setInt32(0, value, true);
        return result;
      },
    });
    assert.equal(socket.getOption(told, 0, 1, 2), 111);
    assert.equal(socket.takeError(told, 0), -111);
    assert.equal(socket.isAtMark(told, 0), 111);
    value = 1;
    assert.equal(socket.takeError(told, 0), -1);
    value = 0;
    assert.equal(socket.takeError(told, 0), 0);
    result = -EPERM;
    for (const ask of [socket.takeError, socket.isAtMark]) assert.equal(ask(told, 0), -EPERM);
    assert.equal(socket.getOption(told, 0, 1, 2), -EPERM);
    assert.deepEqual(calls[0], ["getsockopt", 0, 1, 2, "@", "@"]);
  });

  systemTest("switches are 1 and 0, whatever is set", [], (sys) => {
    const { told, options } = kernel(sys);
    const switches = [
      socket.setNoDelay,
      ...[socket.setReceiveErrors, socket.setReceiveErrors6, socket.setReceiveAddress],
      ...[socket.setReceiveAddress6, socket.setUdpGro],
    ];
    for (const set of switches) {
      for (const on of [true, false]) {
        assert.equal(set(told, 0, on), 0);
        assert.deepEqual(options.at(-1)?.slice(2), [Number(on), 0, 0, 0], set.name);
      }
    }
    socket.setOobInline(told, 0);
    assert.deepEqual(options.at(-1), [1, 10, 1, 0, 0, 0]);
    socket.setLinger(told, 0, true, 5);
    assert.deepEqual(options.at(-1), [1, 13, 1, 0, 0, 0, 5, 0, 0, 0]);
    for (const [seconds, set] of [
      [-1, [[1, 9, 0]]],
      [0, [[1, 9, 0]]],
      [
        1,
        [
          [6, 4, 1],
          [6, 5, 1],
          [6, 6, 9],
          [1, 9, 1],
        ],
      ],
      [
        75,
        [
          [6, 4, 75],
          [6, 5, 75],
          [6, 6, 9],
          [1, 9, 1],
        ],
      ],
      [
        76,
        [
          [6, 4, 76],
          [6, 5, 75],
          [6, 6, 9],
          [1, 9, 1],
        ],
      ],
    ] as const) {
      options.length = 0;
      assert.equal(socket.setKeepalive(told, 0, seconds), 0);
      assert.deepEqual(
        options.map((option) => option.slice(0, 3)),
        set,
      );
    }
  });
});
