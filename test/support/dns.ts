/** DNS messages and resolvers for tests of the engine. */
import { ECONNREFUSED, type HostSocket } from "./datagram-host.ts";
import type { DatagramWorld } from "./datagram-world.ts";
import { RESOLVER } from "./engine-settings.ts";
import { hex } from "./hex.ts";
import { concat, ip, pattern, u16 } from "./packet.ts";

export const SECOND_RESOLVER = "198.18.0.54";
export const THIRD_RESOLVER = "198.18.0.55";
export const RESOLVERS = [ip(RESOLVER), ip(SECOND_RESOLVER), ip(THIRD_RESOLVER)];

export const QUESTION = hex("03 777777 07 6578616d706c65 03 636f6d 00 0001 0001");
/** An OPT record that offers 4096 octets, with an option nobody knows. */
const EDNS = hex("00 0029 1000 00000000 0008 fde9 0004 deadbeef");

/** A query with RD set. */
export function query(id: number, question = QUESTION, extra = EDNS): Uint8Array {
  const additional = extra.length > 0 ? 1 : 0;
  return concat(u16(id), hex("0100 0001 0000 0000"), u16(additional), question, extra);
}

export function answer(id: number, body = pattern(40)): Uint8Array {
  return concat(u16(id), hex("8180 0001 0001 0000 0000"), QUESTION, body);
}

/** A failure as a resolver writes it, with an extended error (RFC 8914) in its OPT record. */
export function failure(id: number, code: number, question = QUESTION): Uint8Array {
  const extended = hex("00 0029 1000 00000000 0006 000f 0002 0016");
  return concat(
    u16(id),
    Uint8Array.of(0x81, 0x80 | code),
    hex("0001 0000 0000 0001"),
    question,
    extended,
  );
}

/** Addresses that anything was sent to, in order. */
export function asked(world: DatagramWorld): string[] {
  return world.host.deliveries.map(({ address }) => address);
}

/** The last of them. */
export function lastAsked(world: DatagramWorld): string {
  return asked(world).at(-1) ?? "";
}

/** The open socket that is connected to this resolver. */
export function socketTo(world: DatagramWorld, address: string): HostSocket {
  const found = world.host.live.findLast((socket) => socket.address === address);
  if (found === undefined) throw new Error(`wanted a socket to "${address}"`);
  return found;
}

/** The resolver's host says that nobody listens. */
export function unreachable(socket: HostSocket, payload: Uint8Array): void {
  const { address, port } = socket;
  const error = { errno: ECONNREFUSED, type: 3, code: 3, offender: address };
  socket.queueError({ ...error, address, port, payload });
}
