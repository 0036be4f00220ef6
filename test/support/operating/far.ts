/**
 * What lies beyond the host: a namespace at the other end of its veth pair, which is the host's
 * default gateway and has addresses that are not of the host's network. There the host's own
 * programs are strangers, as those of the world are to a guest.
 */
import { createNamespace, HOST_ADDRESS, type Namespace } from "../e2e/world.ts";

/** Where the host's default route leads. */
export const FAR_ADDRESS = "192.0.2.254";

/** @param addresses of its own, besides the gateway's */
export function createFar(host: Namespace, ...addresses: readonly string[]): Namespace {
  const far = createNamespace("far");
  host.must("ip", "link", "set", "up1", "netns", far.path);
  far.must("ip", "addr", "add", `${FAR_ADDRESS}/24`, "dev", "up1");
  far.must("ip", "link", "set", "up1", "up");
  for (const address of addresses) far.must("ip", "addr", "add", `${address}/32`, "dev", "lo");
  far.must("ping", "-c", "1", "-W", "5", HOST_ADDRESS);
  return far;
}
