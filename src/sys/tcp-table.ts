/** Owners of sockets, by the tables of TCP in /proc/net. */

import { ENOENT } from "./errno.ts";

/** What follows a socket's ends: state, queues, timer, retransmits, user, timeout, inode. */
const FIELDS = /^(\S+) \S+ \S+ \S+ +(\d+) +\d+ (\d+)/;

/**
 * Looks for a socket in a table of /proc/net.
 * @param ends its two ends, `ADDRESS:PORT ADDRESS:PORT`, of IPv4; the IPv6 table writes them longer
 * @returns its owner, or -ENOENT
 */
export function ownerInTable(table: string, ends: string, states: readonly number[]): number {
  const [local = "", remote = ""] = ends.split(" ");
  const none = "0".repeat(24);
  const mapped = `${none.slice(8)}FFFF0000`;
  const forms = [
    `: ${ends} `,
    `: ${mapped}${local} ${mapped}${remote} `,
    `: ${none}${local} ${none}${remote} `,
  ];
  for (const form of forms) {
    const at = table.indexOf(form);
    if (at < 0) continue;
    const found = FIELDS.exec(table.slice(at + form.length));
    if (found === null) continue;
    const [state, uid, inode] = found.slice(1) as [state: string, uid: string, inode: string];
    if (states.includes(Number(`0x${state}`)) && Number(inode) !== 0) return Number(uid);
  }
  return -ENOENT;
}
