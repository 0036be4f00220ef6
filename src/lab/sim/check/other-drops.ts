/** Counters of drops that are not of frames from the guest. */

import type { DropName } from "../../../engine/stats.ts";

/** Drops that are not of frames from the guest. */
export const OTHER_DROPS: ReadonlySet<DropName> = new Set<DropName>([
  "dropUdpFiltered",
  "dropTxFull",
  "dropLink",
  "dropNeighbor",
  "dropDatagramTooBig",
  "dropReplyFlood",
  "dropDnsAnswer",
  "dropDnsRetry",
]);
