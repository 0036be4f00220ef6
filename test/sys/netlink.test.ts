/** Requests of routing netlink, octet by octet, and what is made of the kernel's answer. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import type { Libc } from "../../src/sys/libc.ts";
import { addAddress6, addDefaultRoute6, setLinkWord } from "../../src/sys/netlink.ts";
import { play, systemTest } from "./support.ts";

const OCTETS = Array.from({ length: 16 }, (_, i) => 0xf0 + i);

/** A kernel that answers with this errno; and what it was sent. */
function kernel(sys: Libc, errno = 0, socket = 77) {
  const sent: number[][] = [];
  const { told, calls } = play(sys, {
    socket,
    send: (_fd, address, length) => {
      sent.push([...new Uint8Array(sys.view(address, length))]);
      return length;
    },
    recv: (_fd, address) => {
      const answer = new DataView(sys.view(address, 36));
      answer.setUint16(4, 2, true);
      answer.setInt32(16, errno, true);
      return 36;
    },
    close: 0,
  });
  return { told, calls, sent };
}

describe("netlink", () => {
  const requests: readonly (readonly [string, (sys: Libc) => number, readonly number[]])[] = [
    [
      "a word of an interface",
      (sys) => setLinkWord(sys, 5, 13, 77),
      [
        ...[40, 0, 0, 0, 19, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ...[0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ...[8, 0, 13, 0, 77, 0, 0, 0],
      ],
    ],
    [
      "an address of IPv6, good at once",
      (sys) => addAddress6(sys, 5, OCTETS, 64),
      [
        ...[44, 0, 0, 0, 20, 0, 5, 4, 0, 0, 0, 0, 0, 0, 0, 0],
        ...[10, 64, 2, 0, 5, 0, 0, 0],
        ...[20, 0, 1, 0, ...OCTETS],
      ],
    ],
    [
      "a default route of IPv6",
      (sys) => addDefaultRoute6(sys, 5, OCTETS),
      [
        ...[56, 0, 0, 0, 24, 0, 5, 4, 0, 0, 0, 0, 0, 0, 0, 0],
        ...[10, 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0],
        ...[20, 0, 5, 0, ...OCTETS],
        ...[8, 0, 4, 0, 5, 0, 0, 0],
      ],
    ],
  ];
  for (const [what, ask, octets] of requests) {
    systemTest(`${what} is asked for and the verdict read`, [], (sys) => {
      for (const errno of [0, -1, -17]) {
        const { told, calls, sent } = kernel(sys, errno);
        assert.equal(ask(told), errno);
        assert.deepEqual(sent, [octets]);
        assert.deepEqual(calls, [
          ["socket", 16, 3 | 0x80000, 0],
          ["send", 77, "@", octets.length, 0],
          ["recv", 77, "@", 256, 0],
          ["close", 77],
        ]);
      }
      assert.equal(ask(kernel(sys, -13, 0).told), -13, "descriptor 0 is one");
    });
  }

  systemTest("each call that fails ends it, with the socket closed", [], (sys) => {
    for (const [name, closes] of [
      ["socket", 0],
      ["send", 1],
      ["recv", 1],
    ] as const) {
      const { told, calls } = play(kernel(sys).told, { [name]: -1, close: 0 });
      assert.equal(setLinkWord(told, 5, 13, 77), -1, name);
      assert.equal(calls.filter(([call]) => call === "close").length, closes);
    }
  });
});
