/**
 * A tap made and configured in one go, in the network namespace of the calling thread.
 */

import type { Libc } from "./libc.ts";
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
