/**
 * Network namespaces: entering them, and making a tap inside one.
 *
 * A tap belongs to the namespace its clone device is used in, so somebody has to be there. Two
 * ways:
 * - direct: this thread enters the namespace, makes the tap and comes back. Needs CAP_SYS_ADMIN
 *   here, over the namespace and over the one it comes back to.
 * - helper, where that is refused: an unprivileged user may enter the user namespaces they own,
 *   but the kernel refuses that to a process with several threads (EINVAL), and every JavaScript
 *   runtime has several. So `nsenter` enters first and runs this program's helper mode there
 *   (tap-helper.ts), which passes the descriptor back.
 * Source: setns(2), ioctl_ns(2), user_namespaces(7).
 */

import { statSync } from "node:fs";
import { Fd } from "./fd.ts";
import type { Libc } from "./libc.ts";
import { NS_GET_USERNS } from "./linux.ts";
import { NamespaceRefused, NoWayBack, openNamespace, withNamespace } from "./namespace.ts";
import type { InterfaceSetup } from "./netconfig.ts";
import { openTapHere, type TapDevice } from "./tap-device.ts";
import { openTapByHelper } from "./tap-helper.ts";
import type { TapOptions } from "./tun.ts";

export interface NamespaceTapOptions {
  /** Process id, or path of a namespace file; absent: the namespace this thread is in. */
  readonly namespace?: number | string;
  readonly tap: TapOptions;
  readonly setup: InterfaceSetup;
  /**
   * Command that runs `runTapHelper` with the arguments appended to it; absent: direct way only.
   */
  readonly helper?: readonly string[];
}

/**
 * Makes and configures a tap in a namespace, by whichever way this process is allowed.
 * @throws SystemError, RangeError; Error with the helper's words where the helper failed
 */
export async function openTapInNamespace(
  sys: Libc,
  options: NamespaceTapOptions,
): Promise<TapDevice> {
  const { namespace, tap, setup } = options;
  if (namespace === undefined) return openTapHere(sys, tap, setup);
  const network = openNamespace(sys, namespace);
  try {
    try {
      return withNamespace(sys, network, () => openTapHere(sys, tap, setup));
    } catch (error) {
      if (!(error instanceof NamespaceRefused)) throw error;
      if (options.helper === undefined) throw error;
      const owner = openOwner(sys, network);
      if (owner === undefined && !(error instanceof NoWayBack)) throw error;
      try {
        return await openTapByHelper(sys, options.helper, owner, network, { tap, setup });
      } finally {
        owner?.close();
      }
    }
  } finally {
    network.close();
  }
}

/** The user namespace that owns a network namespace; undefined where it is ours or above ours. */
function openOwner(sys: Libc, network: Fd): Fd | undefined {
  const number = sys.ioctl(network.number, NS_GET_USERNS, 0);
  if (number < 0) return undefined;
  const owner = new Fd(sys, number);
  const own = statSync("/proc/self/ns/user");
  if (statSync(`/proc/self/fd/${number}`).ino !== own.ino) return owner;
  owner.close();
  return undefined;
}
