/**
 * Asks a resolver one question, to see whether it answers at all. By hand and not by `node:dns`,
 * whose errors differ between runtimes: Deno does not tell a closed port from a refusal.
 * Source: RFC 1035 §4.1; RFC 6761 §6.4 (`invalid` never exists).
 */
import { createSocket } from "node:dgram";
import { isIPv4 } from "node:net";

/** A header with the bit for recursion and one question, and the question: invalid, A, IN. */
const ID = [0x53, 0x42] as const;
const QUERY = Uint8Array.from([
  ...[...ID, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0],
  ...[7, ...new TextEncoder().encode("invalid"), 0, 0, 1, 0, 1],
]);
const HEADER_SIZE = 12;
const IS_RESPONSE = 0x80;

/**
 * Milliseconds until something that answers the question came; undefined = nothing did within
 * `patience_ms`. A refusal is an answer, too.
 * @param address IPv4 or IPv6, with its zone
 * @param clock milliseconds from any point in time
 */
export function askResolver(
  address: string,
  port: number,
  patience_ms: number,
  clock: () => number,
): Promise<number | undefined> {
  const began = clock();
  const socket = createSocket(isIPv4(address) ? "udp4" : "udp6");
  return new Promise<number | undefined>((resolve) => {
    const timer = setTimeout(() => resolve(undefined), patience_ms);
    const end = (result: number | undefined): void => {
      clearTimeout(timer);
      resolve(result);
    };
    socket.on("error", () => end(undefined));
    socket.on("message", (reply) => {
      if (isReply(reply)) end(clock() - began);
    });
    socket.send(QUERY, port, address, (error) => {
      if (error) end(undefined);
    });
  }).finally(() => socket.close());
}

function isReply(octets: Uint8Array): boolean {
  const [first, second, flags = 0] = octets;
  const isSameId = first === ID[0] && second === ID[1];
  return octets.length >= HEADER_SIZE && isSameId && (flags & IS_RESPONSE) !== 0;
}
