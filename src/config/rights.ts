/**
 * Who the program is once it runs, and whether its system call filter is loaded: what `attach` and
 * `serve` were asked for.
 */
import { ConfigError } from "./errors.ts";
import { readFlag, readOne, type Settings } from "./settings.ts";

/** A user and a group, by number. */
export interface UserChoice {
  readonly uid: number;
  readonly gid: number;
}

export interface RightsOptions {
  /** Undefined = nobody where it was started as root, else as started. */
  readonly user: UserChoice | undefined;
  /** Load the filter. */
  readonly seccomp: boolean;
}

/** Ids of the kernel are 32 bits wide, and the last one means none. */
const ID_MAX = 0xffff_fffe;
export const ROOT_ID = 0;
/** The kernel's own number for those it knows nothing of (fs.overflowuid), in all distributions. */
export const NOBODY_ID = 65534;
export const USER_FORM = "UID[:GID]";

const NAMES: Readonly<Record<string, number>> = { root: ROOT_ID, nobody: NOBODY_ID };

/** Reads who to be. Throws `ConfigError`. */
export function readRights(settings: Settings): RightsOptions {
  return {
    user: readOne(settings, "user", undefined, parseUser),
    seccomp: !readFlag(settings, "no-seccomp"),
  };
}

function parseUser(text: string): UserChoice {
  const [user = "", group = user, ...rest] = text.split(":");
  const [uid, gid] = [parseId(user), parseId(group)];
  if (uid === undefined || gid === undefined || rest.length > 0) {
    throw new ConfigError(`wanted ${USER_FORM} in numbers, "root" or "nobody"`);
  }
  return { uid, gid };
}

function parseId(text: string): number | undefined {
  const id = Object.hasOwn(NAMES, text) ? NAMES[text] : /^[0-9]{1,10}$/.test(text) ? +text : -1;
  return id === undefined || id < 0 || id > ID_MAX ? undefined : id;
}
