/**
 * The program that a command is about, found by itself.
 *
 * Theory of operation
 *   A program has its socket in the runtime folder of its user, which depends on what its
 *   environment said; so all places that there can be are looked at. A sidecar has it in the hooks
 *   folder. A folder of another user's is none of ours, whoever made it: /tmp is everybody's.
 *   A socket that nobody listens at was left behind by a process that was killed; only connecting
 *   tells (`admin/instances.ts`). It is not listed, and left for the next program of its name.
 *   Names are those of the sockets' files; a sidecar's says its name itself, as does every program
 *   its process id.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { findInstances, runtimeFolder, SIDECAR_SOCKET } from "../../admin/instances.ts";
import type { Target } from "../../config/target.ts";
import { isListening } from "../../lib/unix-socket.ts";
import { userFolderOf } from "../user-folder.ts";
import { NoInstanceError, UsageError } from "./failures.ts";

const SIDECAR = "sidecar";

export interface Chosen {
  readonly name: string;
  /** Of its socket. */
  readonly path: string;
}

/** What a program says of itself. */
export interface Who {
  readonly name: string;
  readonly pid: number;
}

/** Where programs may be. */
export interface Places {
  /** Folders of sockets, ours alone. */
  readonly folders: readonly string[];
  readonly uid: number;
  /** A sidecar's socket. */
  readonly sidecar: string;
}

export interface Surroundings {
  readonly places: Places;
  /** Asks a program who it is; undefined where it does not say. */
  readonly askWho: (path: string) => Promise<Who | undefined>;
}

/** All places where programs of this user have their sockets. */
export function placesOf(
  hooksDir: string,
  { XDG_RUNTIME_DIR: runtimeDir }: Readonly<Record<string, string | undefined>>,
  uid: number,
): Places {
  const folders = [
    runtimeFolder(uid, runtimeDir),
    runtimeFolder(uid, `/run/user/${uid}`),
    runtimeFolder(uid, undefined),
  ];
  const sidecar = join(userFolderOf(hooksDir), SIDECAR_SOCKET);
  return { folders: [...new Set(folders)], uid, sidecar };
}

/** Programs that answer, by name. */
export async function findPrograms({ folders, uid, sidecar }: Places): Promise<Chosen[]> {
  const own = folders.filter((folder) => {
    return statSync(folder, { throwIfNoEntry: false })?.uid === uid;
  });
  const found = await Promise.all(own.map(findInstances));
  const programs = found.flat().map(({ name, socket }) => ({ name, path: socket }));
  if (await isListening(sidecar)) programs.push({ name: SIDECAR, path: sidecar });
  return programs;
}

/** @throws NoInstanceError, UsageError */
export async function choose(
  { admin, instance }: Target,
  { places, askWho }: Surroundings,
): Promise<Chosen> {
  if (admin !== undefined) return { name: admin, path: admin };
  const found = await findPrograms(places);
  if (instance !== undefined) return named(instance, found, askWho);
  const [only, ...others] = found;
  if (only === undefined) throw new NoInstanceError(nobodyText(places));
  if (others.length > 0) {
    throw new UsageError(
      "several programs run here, choose one by --instance NAME or --admin unix:PATH: " +
        namesOf(found),
    );
  }
  return only;
}

async function named(
  wanted: string,
  found: readonly Chosen[],
  askWho: Surroundings["askWho"],
): Promise<Chosen> {
  const byName = found.filter(({ name }) => name === wanted);
  const [first, ...others] = byName;
  if (first !== undefined && others.length === 0) return first;
  if (first !== undefined) {
    const paths = byName.map(({ path }) => path).join(", ");
    throw new UsageError(`several programs have this name, choose by --admin unix:PATH: ${paths}`);
  }
  const said = await Promise.all(found.map(({ path }) => askWho(path)));
  const place = said.findIndex((who) => who?.name === wanted || String(who?.pid) === wanted);
  const other = found[place];
  if (other !== undefined) return other;
  const there = found.length === 0 ? "none runs here" : `there are: ${namesOf(found)}`;
  throw new NoInstanceError(`no program ${JSON.stringify(wanted)}; ${there}`);
}

function namesOf(found: readonly Chosen[]): string {
  return found.map(({ name }) => name).join(", ");
}

/** What is said where none is found. */
export function nobodyText({ folders, sidecar }: Places): string {
  const looked = [...folders, sidecar].join(", ");
  return (
    `no attach, run or serve of this user runs here (looked at ${looked}); ` +
    "one of another user, or with a socket elsewhere, is found by --admin unix:PATH"
  );
}
