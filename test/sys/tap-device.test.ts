/** A tap made and configured in one go: what is closed in the end, whatever the kernel says. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { ENODEV, EPERM } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import * as linux from "../../src/sys/linux.ts";
import { leaveTapHere, openTapHere } from "../../src/sys/tap-device.ts";
import { play, systemTest } from "./support.ts";

const TAP = { name: "tap7", vnetHeader: false };
const [TUN, CONTROL] = [70, 71];

/** A kernel with a tap of MTU 1400 and 77 frames, that refuses one request with an errno. */
function kernel(sys: Libc, refused = 0, errno = 0) {
  return play(sys, {
    open: TUN,
    socket: CONTROL,
    getuid: 1234,
    close: 0,
    ioctl: (_fd, request, address) => {
      if (request === refused) return -errno;
      const answer = request === linux.SIOCGIFMTU ? 1400 : 77;
      if (request === linux.SIOCGIFMTU || request === linux.SIOCGIFTXQLEN) {
        new DataView(sys.view(address, linux.IFREQ_SIZE)).setInt32(16, answer, true);
      }
      return 0;
    },
  });
}

describe("tap device", () => {
  systemTest("is told as the kernel has it, and the socket for that is closed", [], (sys) => {
    const { told, calls } = kernel(sys);
    assert.deepEqual(openTapHere(told, TAP, {}), {
      ...{ fd: TUN, name: "tap7", vnetSize: 0, offloads: 0 },
      ...{ mtu: 1400, queueFrames: 77 },
    });
    assert.deepEqual(calls.at(-1), ["close", CONTROL]);
    assert.equal(calls.filter(([name]) => name === "close").length, 1);
  });

  systemTest("one that cannot be configured is closed again", [], (sys) => {
    const { told, calls } = kernel(sys, linux.SIOCGIFMTU, ENODEV);
    assert.throws(() => openTapHere(told, TAP, {}), {
      message: 'Read the MTU of "tap7": no such device (ENODEV)',
    });
    assert.deepEqual(calls.slice(-2), [
      ["close", CONTROL],
      ["close", TUN],
    ]);
  });

  systemTest("one that is left here is this user's, and stays without a descriptor", [], (sys) => {
    const { told, calls } = kernel(sys);
    leaveTapHere(told, TAP, {});
    assert.deepEqual(calls.slice(-4), [
      ["getuid"],
      ["ioctl", TUN, linux.TUNSETOWNER, 1234],
      ["ioctl", TUN, linux.TUNSETPERSIST, 1],
      ["close", TUN],
    ]);
    for (const [request, what] of [
      [linux.TUNSETOWNER, 'Make tap "tap7" this user\'s'],
      [linux.TUNSETPERSIST, 'Make tap "tap7" stay'],
    ] as const) {
      const refusing = kernel(sys, request, EPERM);
      assert.throws(() => leaveTapHere(refusing.told, TAP, {}), {
        message: `${what}: not permitted (EPERM)`,
      });
      assert.deepEqual(refusing.calls.at(-1), ["close", TUN]);
    }
  });
});
