/** Connections from outside to a published port of a test's guest. */
import type { EngineWorld } from "./engine-harness.ts";
import type { FakeSocket } from "./fake-host.ts";
import { TcpGuest } from "./tcp-guest.ts";

export interface Arrival {
  readonly guest: TcpGuest;
  readonly socket: FakeSocket;
}

/** A connection of `peer` to the guest's port 80, established; undefined when it is refused. */
export function arrive(world: EngineWorld, peer: string, peerPort: number): Arrival | undefined {
  const socket = world.inboundTcp(80, peer, peerPort);
  if (socket === undefined) return undefined;
  const guest = new TcpGuest(world, { port: 80, peer, peerPort });
  world.run();
  const resets = world.frames.splice(0, world.frames.length - 1); // of whoever gave way
  guest.expect({ flags: "S" });
  guest.send({ flags: "SA" });
  guest.expect({ flags: "A" });
  world.frames.push(...resets);
  return { guest, socket };
}

/** Connections of one address, from port 1000 on; those that are refused are left out. */
export function crowd(world: EngineWorld, peer: string, count: number): Arrival[] {
  return Array.from({ length: count }, (_, i) => arrive(world, peer, 1000 + i)).filter(
    (arrival) => arrival !== undefined,
  );
}
