/** struct sockaddr_in and sockaddr_in6 in engine memory, for the fake hosts of tests. */
import { ip, ip6, ip6Text, ipText } from "./packet.ts";

const AF_INET = 2;
const AF_INET6 = 10;

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** Reads a name of `length` octets; throws when it is neither of them. */
export function readName(view: DataView, at: number, length: number): Endpoint {
  const family = view.getUint16(at, true);
  const port = view.getUint16(at + 2);
  if (family === AF_INET && length === 16) {
    return { address: ipText(view.getUint32(at + 4)), port };
  }
  if (family !== AF_INET6 || length !== 28) {
    throw new Error(`wanted a socket address, not family "${family}" of ${length} octets`);
  }
  const octets = new Uint8Array(view.buffer, view.byteOffset + at + 8, 16);
  return { address: ip6Text(octets), port };
}

/** Writes a name and returns its length. */
export function writeName(view: DataView, at: number, name: Endpoint): number {
  const { address, port } = name;
  view.setUint16(at + 2, port);
  if (!address.includes(":")) {
    view.setUint16(at, AF_INET, true);
    view.setUint32(at + 4, ip(address));
    view.setBigUint64(at + 8, 0n);
    return 16;
  }
  view.setUint16(at, AF_INET6, true);
  view.setUint32(at + 4, 0);
  ip6(address).forEach((octet, i) => {
    view.setUint8(at + 8 + i, octet);
  });
  view.setUint32(at + 24, 0);
  return 28;
}
