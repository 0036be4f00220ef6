/**
 * Users that may be at the other end of a stream link, besides the program's own.
 */
import { ConfigError, quote } from "./errors.ts";
import { integerBetween, readMany, type Settings } from "./settings.ts";

/** How they are written. */
export const PEER_UID_FORM = "UID[,UID]";
const PEER_UID_COUNT_MAX = 16;
/** The user as which KubeVirt runs QEMU. */
export const KUBEVIRT_QEMU_UID = 107;
/** (uid_t) -1 is nobody's (credentials(7)). */
const UID_MAX = 0xffff_fffe;

/** Reads `--peer-uid`; `fallback` when it was not given. Throws `ConfigError`. */
export function readPeerUids(settings: Settings, fallback: readonly number[]): readonly number[] {
  const uids = readMany(settings, "peer-uid", parseUids).flat();
  if (uids.length > PEER_UID_COUNT_MAX) {
    throw new ConfigError(
      `give ${quote("--peer-uid")} at most ${PEER_UID_COUNT_MAX} users, not ${uids.length}`,
    );
  }
  return uids.length > 0 ? uids : fallback;
}

function parseUids(text: string): number[] {
  return text.split(",").map(integerBetween(0, UID_MAX));
}
