/**
 * Two networks back to back: each is the guest of the other. `caller` dials, `server` has services
 * at its own loopback, which its gateway's address leads to.
 */
import {
  createNetworkSync,
  type Network,
  type NetworkSettings,
  type Service,
  type Upstream,
  withServices,
} from "../../src/network/index.ts";
import { NO_UPSTREAM } from "../../src/network/no-upstream.ts";
import { engineModule } from "./engine-binary.ts";

export interface TwoNetworks {
  readonly caller: Network;
  readonly server: Network;
  dispose(): void;
}

/** A service of the server's: at its loopback. */
export type LocalService = Pick<Service, "port" | "serve">;

export function twoNetworks(
  services: readonly LocalService[],
  settings: NetworkSettings = {},
  upstream: Upstream = NO_UPSTREAM,
  isLost: (frame: number) => boolean = () => false,
): TwoNetworks {
  const engine = engineModule("simd");
  const local = services.map((service) => ({ ...service, address: "127.0.0.1" }));
  const caller = createNetworkSync({ engine, settings: { ipv6: false, ...settings } });
  const server = createNetworkSync({
    engine,
    upstream: withServices(local, upstream),
    settings: {
      ipv6: false,
      gateway: "10.0.2.15",
      guest: "10.0.2.2",
      gatewayMac: "52:55:00:00:00:0f",
      hostLoopback: true,
      ...settings,
    },
  });
  plug(caller, server, isLost);
  plug(server, caller, isLost);
  const dispose = (): void => {
    caller.dispose();
    server.dispose();
  };
  return { caller, server, dispose };
}

/** What `from` sends goes to `to`, as fast as that takes it. */
function plug(from: Network, to: Network, isLost: (frame: number) => boolean): void {
  let count = 0;
  from.link.onFrame = (frame) => {
    count += 1;
    return isLost(count) || to.link.receive(frame);
  };
  to.link.onRoom = () => from.link.resume();
}
