/**
 * Users that may be at the other end of a link, besides the program's own.
 */
import { ConfigError, quote } from "./errors.ts";
import { LINK, NETWORK } from "./headings.ts";
import { list, type Option } from "./option.ts";
import { integerBetween } from "./settings.ts";

const PEER_UID_COUNT_MAX = 16;
/** The user as which KubeVirt runs QEMU. */
const KUBEVIRT_QEMU_UID = 107;
/** (uid_t) -1 is nobody's (credentials(7)). */
const UID_MAX = 0xffff_fffe;
const NAME = "peer-uid";

/** A row that reads all lists of users into one; `fallback` when it was not given. */
function peerUids(
  description: string,
  heading: string,
  fallback: readonly number[],
): Option<readonly number[]> {
  const lists = list({ name: NAME, argument: "UID[,UID]", description, heading, parse: parseUids });
  return {
    ...lists,
    read: (settings) => {
      const uids = lists.read(settings).flat();
      if (uids.length > PEER_UID_COUNT_MAX) {
        throw new ConfigError(
          `give ${quote(`--${NAME}`)} at most ${PEER_UID_COUNT_MAX} users, not ${uids.length}`,
        );
      }
      return uids.length > 0 ? uids : fallback;
    },
  };
}

export const ATTACH_PEERS = {
  peerUids: {
    ...peerUids(
      "user that may be at the other end of the socket, besides the program's own; root has to " +
        "be named, too",
      LINK,
      [],
    ),
    conflicts: { tap: "it is for a socket only" },
  },
};

export const SERVE_PEERS = {
  peerUids: peerUids(
    "user that may be at the other end of a link, besides the program's own " +
      `(default ${KUBEVIRT_QEMU_UID}, as which KubeVirt runs QEMU)`,
    NETWORK,
    [KUBEVIRT_QEMU_UID],
  ),
};

function parseUids(text: string): number[] {
  return text.split(",").map(integerBetween(0, UID_MAX));
}
