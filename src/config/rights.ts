/**
 * Who the program is once it runs, and whether its system call filter is loaded: what `attach` and
 * `serve` were asked for.
 */
import { ConfigError } from "./errors.ts";
import { RUN } from "./headings.ts";
import { negatedFlag, type Values, value } from "./option.ts";

/** A user and a group, by number. */
export interface UserChoice {
  readonly uid: number;
  readonly gid: number;
}

/** Ids of the kernel are 32 bits wide, and the last one means none. */
const ID_MAX = 0xffff_fffe;
export const ROOT_ID = 0;
/** The kernel's own number for those it knows nothing of (fs.overflowuid), in all distributions. */
export const NOBODY_ID = 65534;
const USER_FORM = "UID[:GID]";

const NAMES: Readonly<Record<string, number>> = { root: ROOT_ID, nobody: NOBODY_ID };

export const RIGHTS_OPTIONS = {
  /** Undefined = nobody where it was started as root, else as started. */
  user: value({
    name: "user",
    argument: USER_FORM,
    description:
      "who to be once it runs, by numbers, root or nobody; without any capability in any case " +
      "(default: nobody for root if that will do, else as started)",
    heading: RUN,
    parse: parseUser,
  }),
  /** Load the filter. */
  seccomp: negatedFlag({
    name: "no-seccomp",
    description: "load no filter of system calls",
    heading: RUN,
  }),
};

export type RightsOptions = Values<typeof RIGHTS_OPTIONS>;

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
