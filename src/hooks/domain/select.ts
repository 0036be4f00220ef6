/**
 * Selects our interfaces of a VMI: those whose network binding plugin has our registered name, and
 * those with the old `slirp: {}`. All must be on the pod network, the only one that the sidecar's
 * sockets reach. The error texts are those of the historical sidecar.
 */
import { quote } from "../../config/errors.ts";
import { unsupported } from "./errors.ts";
import type { Vmi, VmiInterface, VmiNetwork } from "./vmi.ts";

interface Selected {
  readonly iface: VmiInterface;
  readonly network: VmiNetwork;
}

const STATE_ABSENT = "absent";

/**
 * The interfaces to attach, in the VMI's order; those with state `absent` are left out, so the
 * answer may be empty. Throws `HookError` when the VMI has none for us.
 */
export function selectInterfaces(vmi: Vmi, bindingName: string): Selected[] {
  const podNetwork = vmi.networks.find((network) => network.isPod);
  if (podNetwork === undefined) throw unsupported("pod network not found");
  const own = vmi.interfaces.filter((each) => isOwn(each, bindingName));
  if (own.length === 0) {
    const iface = quote(podNetwork.name);
    const isThere = vmi.interfaces.some(({ name }) => name === podNetwork.name);
    if (!isThere) throw unsupported(`iface ${iface} not found`);
    throw unsupported(
      `iface ${iface} is not set with ${bindingName} network binding plugin ` +
        "or slirp binding method",
    );
  }
  return own
    .map((iface) => ({ iface, network: networkOf(vmi, iface, podNetwork) }))
    .filter(({ iface }) => iface.state !== STATE_ABSENT);
}

function isOwn(iface: VmiInterface, bindingName: string): boolean {
  return iface.bindingName === bindingName || iface.isLegacySlirp;
}

function networkOf(vmi: Vmi, iface: VmiInterface, podNetwork: VmiNetwork): VmiNetwork {
  const network = vmi.networks.find(({ name }) => name === iface.name);
  if (network === undefined) {
    throw unsupported(`iface ${quote(iface.name)}: network ${quote(iface.name)} not found`);
  }
  if (!network.isPod) {
    throw unsupported(
      `iface ${quote(iface.name)}: network ${quote(network.name)} is not the pod network, ` +
        `which is ${quote(podNetwork.name)}`,
    );
  }
  return network;
}
