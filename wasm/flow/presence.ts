/**
 * A word between those who hear a machine begin (`local/dhcpv4`, `local/dhcpv6`) and `guest`, which
 * acts on it with the next step.
 */
let isDoubted: bool = false;

/** What a machine says when it begins has been heard: its connections may be of an earlier life. */
export function presenceDoubt(): void {
  isDoubted = true;
}

/** Whether that was so since the last call. */
export function presenceDoubtTake(): bool {
  const was = isDoubted;
  isDoubted = false;
  return was;
}
