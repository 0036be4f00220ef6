/** Connections from outside to a published port of a test's guest. */

import type { EngineWorld } from "./engine-harness.ts";
import { GATEWAY, GUEST_MAC, ROUTER6 } from "./engine-settings.ts";
import type { FakeSocket } from "./fake-socket.ts";
import { linkOption, neighborAdvertisement } from "./packet6.ts";
import { TcpGuest } from "./tcp-guest.ts";
import { World6, type World6Options } from "./world6.ts";

const OVERRIDE = 0x20000000;
const SOLICITED = 0x40000000;

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

/** Both versions served, nobody heard of. */
export function strangers(options: World6Options = {}): World6 {
  return new World6({ guestMac: new Uint8Array(6), ...options });
}

/** The guest says where it is. */
export function speak(world: World6, ...addresses: readonly string[]): void {
  for (const address of addresses) {
    if (address.includes(":")) {
      const ends = { source: address, destination: ROUTER6 };
      const link = linkOption(2, GUEST_MAC);
      const answer = neighborAdvertisement(ends, address, SOLICITED | OVERRIDE, link);
      world.guest(world.message(address, ROUTER6, answer));
    } else world.guest(world.arp({ operation: 2, senderAddress: address, targetAddress: GATEWAY }));
  }
}

/** SYNs sent so far: to whom, and whom they seem to come from. */
export function syns(world: EngineWorld): string[] {
  return world
    .take()
    .flatMap((frame) =>
      frame.kind === "tcp" && frame.flags === "S" ? [`${frame.source} > ${frame.destination}`] : [],
    );
}
