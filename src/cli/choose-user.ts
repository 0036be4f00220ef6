/** Which user the program is to be from now on. */

import { statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { quote } from "../config/errors.ts";
import { NOBODY_ID, ROOT_ID, type UserChoice } from "../config/rights.ts";
import { canBe, maySwitch } from "../sys/privileges.ts";
import type { Rights } from "../sys/rights.ts";

/** What the rest of the run needs of the user it is to be. */
export interface UserNeeds {
  /** Folders in which files are made and removed later. */
  readonly folders: readonly string[];
  /** Why root has to stay, if it does. */
  readonly root?: string;
}

/** Who to be, and why it is still root; undefined = as before. */
interface Choice {
  readonly user: UserChoice | undefined;
  readonly reason?: string;
}

const NOBODY: UserChoice = Object.freeze({ uid: NOBODY_ID, gid: NOBODY_ID });
const STICKY = 0o1000;

/** Who to be from now on. Throws where that cannot be what was asked for. */
export function chooseUser(asked: UserChoice | undefined, now: Rights, needs: UserNeeds): Choice {
  if (asked !== undefined) {
    if (isUser(now, asked)) return { user: undefined };
    const name = `${asked.uid}:${asked.gid}`;
    if (!maySwitch(now)) throw new Error(`start as root to become user ${name}`);
    if (!canBe(asked)) throw new Error(`this user namespace has no user ${name}`);
    const folder = needs.folders.find((each) => !mayChange(each, asked));
    if (folder !== undefined) throw new Error(`let user ${name} write to folder ${quote(folder)}`);
    return { user: asked };
  }
  if (now.uids[0] !== ROOT_ID || !maySwitch(now)) return { user: undefined };
  if (needs.root !== undefined) return { user: undefined, reason: needs.root };
  if (!canBe(NOBODY)) return { user: undefined, reason: "user namespace without nobody" };
  const candidates = [NOBODY, ...needs.folders.flatMap(nobodyInGroupOf)];
  const user = candidates.find((each) => needs.folders.every((folder) => mayChange(folder, each)));
  if (user !== undefined) return { user };
  const folder = needs.folders.find((each) => !mayChange(each, NOBODY));
  return { user: undefined, reason: `folder ${quote(folder ?? "")} is not for nobody` };
}

function isUser({ uids, gids, groups }: Rights, { uid, gid }: UserChoice): boolean {
  const others = uid === ROOT_ID ? [] : groups.filter((group) => group !== gid);
  return uids.every((id) => id === uid) && gids.every((id) => id === gid) && !others.length;
}

/** The kubelet gives folders to the group of the pod. */
function nobodyInGroupOf(folder: string): UserChoice[] {
  const gid = statSync(folder, { throwIfNoEntry: false })?.gid ?? ROOT_ID;
  return gid === ROOT_ID ? [] : [{ uid: NOBODY_ID, gid }];
}

/** Whether a user may make files in a folder, and remove there what is root's. */
function mayChange(folder: string, user: UserChoice): boolean {
  const place = resolve(folder);
  const stat = statSync(place, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isDirectory() || (stat.mode & STICKY) !== 0) return false;
  if (!grants(stat, user, 0o3)) return false;
  for (let above = dirname(place); ; above = dirname(above)) {
    if (!grants(statSync(above), user, 0o1)) return false;
    if (above === dirname(above)) return true;
  }
}

/** Whether the mode gives these bits, of 4 for reading, 2 for writing, 1 for passing through. */
function grants(
  { mode, uid, gid }: { mode: number; uid: number; gid: number },
  user: UserChoice,
  bits: number,
): boolean {
  const shift = uid === user.uid ? 6 : gid === user.gid ? 3 : 0;
  return ((mode >> shift) & bits) === bits;
}
