/**
 * Two networks plugged into each other: what is dialled on `guest` arrives at the upstream of
 * `network` as a connection to 127.0.0.1, and the other way round.
 */
import { readFileSync } from "node:fs";
import { createNetwork, type Network, type Upstream } from "../../../src/network/index.ts";

const ENGINE = new URL("../../../dist/engine.wasm", import.meta.url);

export interface BackToBack {
  /** Has the upstream. */
  readonly network: Network;
  /** Is its guest. */
  readonly guest: Network;
  dispose(): void;
}

export async function backToBack(
  upstream: Upstream,
  guestUpstream?: Upstream,
): Promise<BackToBack> {
  const engine = await WebAssembly.compile(readFileSync(ENGINE));
  const common = { ipv4: "10.0.2.0/24", ipv6: false, hostLoopback: true } as const;
  const guest = await createNetwork({
    engine,
    ...(guestUpstream === undefined ? {} : { upstream: guestUpstream }),
    settings: { ...common, gatewayMac: "52:55:00:00:00:01" },
  });
  const network = await createNetwork({
    engine,
    upstream,
    settings: {
      ...common,
      ...{ gateway: "10.0.2.15", guest: "10.0.2.2", gatewayMac: "52:55:00:00:00:02" },
    },
  });
  guest.link.onFrame = (frame) => network.link.receive(frame);
  network.link.onFrame = (frame) => guest.link.receive(frame);
  guest.link.onRoom = () => network.link.resume();
  network.link.onRoom = () => guest.link.resume();
  const dispose = (): void => {
    guest.dispose();
    network.dispose();
  };
  return { network, guest, dispose };
}
