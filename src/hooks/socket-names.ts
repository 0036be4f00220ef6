/** Names of the hook's sockets. */

/** Sidecars of one pod that can share a folder without having names. */
const NAMELESS_COUNT_MAX = 16;

/**
 * Names to try in turn for the socket in the hooks folder. A container's name is unique in its pod.
 * Launchers before v1.6 give none, and there all sidecars share a folder: the first free is taken.
 */
export function socketNames(containerName: string | undefined): readonly string[] {
  if (containerName !== undefined && containerName !== "") return [`slirp-${containerName}.sock`];
  const more = Array.from({ length: NAMELESS_COUNT_MAX - 1 }, (_, at) => `slirp-${at + 1}.sock`);
  return ["slirp.sock", ...more];
}
