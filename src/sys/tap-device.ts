/**
 * A tap made and configured in one go, in the network namespace of the calling thread.
 * Source: Documentation/networking/tuntap.rst.
 */

import { check } from "./errno.ts";
import type { Libc } from "./libc.ts";
import { TUNSETOWNER, TUNSETPERSIST } from "./linux.ts";
import { type InterfaceSetup, NetConfig } from "./netconfig.ts";
import { openTap, type Tap, type TapOptions } from "./tun.ts";

/** A tap that is ready for frames. */
export interface TapDevice extends Tap {
  readonly mtu: number;
  /** Frames the kernel queues towards us before it drops (txqueuelen). */
  readonly queueFrames: number;
}

/** Makes and configures a tap in the namespace of the calling thread. */
export function openTapHere(sys: Libc, options: TapOptions, setup: InterfaceSetup): TapDevice {
  const tap = openTap(sys, options);
  try {
    const config = new NetConfig(sys);
    try {
      config.apply(tap.name, setup);
      const mtu = config.getMtu(tap.name);
      return { ...tap, mtu, queueFrames: config.getTxQueueLength(tap.name) };
    } finally {
      config.close();
    }
  } catch (error) {
    sys.close(tap.fd);
    throw error;
  }
}

/**
 * Makes and configures a tap in the namespace of the calling thread that stays there without a
 * descriptor, for another process of this user, which needs no capability to take it.
 * @throws SystemError, RangeError
 */
export function leaveTapHere(sys: Libc, options: TapOptions, setup: InterfaceSetup): void {
  const { fd, name } = openTapHere(sys, options, setup);
  try {
    check(sys.ioctl(fd, TUNSETOWNER, sys.getuid()), `Make tap "${name}" this user's`);
    check(sys.ioctl(fd, TUNSETPERSIST, 1), `Make tap "${name}" stay`);
  } finally {
    sys.close(fd);
  }
}
