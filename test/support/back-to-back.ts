/**
 * Two networks at the two ends of one cable. Each is the other's guest: the near one has the
 * gateway's address 10.0.2.2, the far one 10.0.2.15, and each leads what is for its own address to
 * its upstream's 127.0.0.1. So a connection that the near one dials is opened by the far one's
 * upstream, and the other way round.
 */
import { createNetworkSync, type Network } from "../../src/network/index.ts";
import type { NetworkSettings } from "../../src/network/settings.ts";
import type { Upstream } from "../../src/network/upstream.ts";
import { engineModule } from "./engine-binary.ts";

export const NEAR_ADDRESS = "10.0.2.2";
export const FAR_ADDRESS = "10.0.2.15";
export const INSIDE = "127.0.0.1";

export interface BackToBack {
  readonly near: Network;
  readonly far: Network;
  dispose(): void;
}

interface Ends {
  readonly near?: Upstream;
  readonly far?: Upstream;
  readonly settings?: NetworkSettings;
}

export function backToBack({ near, far, settings = {} }: Ends): BackToBack {
  const make = (upstream: Upstream | undefined, own: NetworkSettings): Network =>
    createNetworkSync({
      engine: engineModule("simd"),
      ...(upstream && { upstream }),
      settings: { ipv6: false, hostLoopback: true, dns: "10.0.2.4", ...settings, ...own },
    });
  const [one, other] = [
    make(near, { gateway: NEAR_ADDRESS, guest: FAR_ADDRESS }),
    make(far, { gateway: FAR_ADDRESS, guest: NEAR_ADDRESS }),
  ];
  plug(one, other);
  plug(other, one);
  const dispose = (): void => {
    one.dispose();
    other.dispose();
  };
  return { near: one, far: other, dispose };
}

function plug(from: Network, to: Network): void {
  from.link.onFrame = (frame) => to.link.receive(frame);
  to.link.onRoom = () => from.link.resume();
}
