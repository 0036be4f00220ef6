/**
 * Files that traffic is written to, captures and recordings: how they are opened, and how they are
 * written by somebody who must not wait.
 *
 * Rules for opening
 *   - Only the owner can read the file (0600): it holds the guest's traffic.
 *   - No link is followed, and no file that is there already is written into. A new one is made
 *     under a name nobody has (O_EXCL) and takes the name asked for by rename, which follows
 *     nothing either; so the file can be read under its name from the first octet on.
 *   - What is there is replaced only if it is a file or a link of our own; what the link leads to
 *     stays as it is. Somebody else's, or a folder, is an error that names it. A character device
 *     (/dev/null) is written to as it is.
 *   - A FIFO that is there was put there on purpose: it is written to as it is, if it is our own.
 *     It is opened without a reader; readers may come and go (`wireshark -k -i FIFO`).
 *
 * Rules for writing
 *   A file is written by another thread of the runtime: O_NONBLOCK means nothing for files, and
 *   a disk may stall. A FIFO is written without blocking. Bun and Node do the former by the
 *   callback form of `fs.write`; in Deno that one blocks, but its own files have a `write` that
 *   does not.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  type Stats,
  unlinkSync,
  write,
  writeSync,
} from "node:fs";
import type { Outlet } from "./pump.ts";

/** Where octets go in one piece. Methods may throw; whoever writes ends then. */
export interface OutputSink {
  /** Takes all, or nothing for now: false. The octets are the caller's again afterwards. */
  write(octets: Uint8Array): boolean;
  /** Whether `write` would take that many octets; may wait a little for it. */
  isReady?(octets: number): boolean;
  /** Nobody reads for now, so nothing needs to be written. */
  readonly isPaused?: boolean;
  close(): void;
}

/** What is opened for whoever must not wait. */
export interface OpenOutput {
  readonly kind: "file" | "fifo";
  readonly outlet: Outlet;
}

export type NewOutput = Pick<OpenOutput, "outlet">;

/** A file of Deno, declared so that tsc needs no Deno types. */
interface DenoFile {
  write(octets: Uint8Array): Promise<number>;
  truncateSync(length: number): void;
  close(): void;
}
interface DenoFiles {
  openSync(path: string, options: { write: true; createNew: true; mode: number }): DenoFile;
}

const MODE = 0o600;
const { O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants;
/** Names tried for a new file before it has its own. */
const ATTEMPT_COUNT = 100;

const deno = (globalThis as unknown as { Deno?: DenoFiles }).Deno;

/** A new file that is written at once, for those who may wait. @throws {Error} */
export function openOutputFile(path: string): OutputSink {
  const present = statOf(path);
  if (present?.isFIFO() === true) throw refusal(path, "it is a FIFO");
  refuseForeign(path, present);
  const isDevice = present?.isCharacterDevice() === true;
  const fd = isDevice ? openSync(path, O_WRONLY | O_NOFOLLOW) : replaceBy(path, createFd);
  return {
    write(octets) {
      // A disk that is nearly full may take a part only.
      for (let at = 0; at < octets.length; ) at += writeSync(fd, octets, at, octets.length - at);
      return true;
    },
    close: () => closeSync(fd),
  };
}

/** A new file, or the FIFO or device that is there, for a pump. @throws {Error} */
export function openOutput(path: string): OpenOutput {
  const present = statOf(path);
  if (present?.isFIFO() === true) return { kind: "fifo", outlet: openFifo(path) };
  refuseForeign(path, present);
  if (present?.isCharacterDevice() === true) {
    return {
      kind: "file",
      outlet: new FileOutlet(nodeFile(openSync(path, O_WRONLY | O_NOFOLLOW))),
    };
  }
  const create = (name: string): NewFile => {
    return deno === undefined ? nodeFile(createFd(name)) : denoFile(name, deno);
  };
  return { kind: "file", outlet: new FileOutlet(replaceBy(path, create)) };
}

/** A file of a name that nobody has; what is there, a link too, is EEXIST. @throws {Error} */
export function openNewOutput(path: string): NewOutput {
  const file = deno === undefined ? nodeFile(createFd(path)) : denoFile(path, deno);
  return { outlet: new FileOutlet(file) };
}

/** As `openOutput`; a file of our own that is there gets another name. @throws {Error} */
export function openFreshOutput(path: string): OpenOutput {
  if (statOf(path)?.isFIFO() !== true) keepOlder(path);
  return openOutput(path);
}

/** Gives an older file of our own another name. @throws {Error} */
export function keepOlder(path: string): void {
  const present = statOf(path);
  refuseForeign(path, present);
  if (present !== undefined && !present.isCharacterDevice()) renameSync(path, `${path}.old`);
}

function statOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

function refuseForeign(path: string, present: Stats | undefined): void {
  if (present === undefined) return;
  if (present.isCharacterDevice()) return;
  if (!present.isFile() && !present.isSymbolicLink()) {
    throw refusal(path, "there is something that is no file");
  }
  refuseOwner(path, present);
}

function refuseOwner(path: string, { uid }: Stats): void {
  const own = ownUser();
  if (uid !== own) throw refusal(path, `it belongs to user ${uid}, and this is user ${own}`);
}

function refusal(path: string, reason: string): Error {
  return new Error(`Refuse to write to "${path}": ${reason}`);
}

/** The user that files are made as: the last of real, effective, saved and file system's. */
function ownUser(): number {
  const found = /^Uid:(?:\s+\d+){3}\s+(\d+)$/m.exec(readFileSync("/proc/self/status", "latin1"));
  return Number(found?.[1]);
}

/** Makes a file by `open`, which must not open what is there, and gives it the name `path`. */
function replaceBy<T>(path: string, open: (name: string) => T): T {
  for (let i = 0; ; i += 1) {
    const name = `${path}.new${i === 0 ? "" : i}`;
    let opened: T;
    try {
      opened = open(name);
    } catch (error) {
      if (codeOf(error) === "EEXIST" && i + 1 < ATTEMPT_COUNT) continue;
      throw error;
    }
    try {
      renameSync(name, path);
    } catch (error) {
      unlinkSync(name);
      throw error;
    }
    return opened;
  }
}

function createFd(name: string): number {
  return openSync(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, MODE);
}

/** The little that both kinds of files have. */
interface NewFile {
  write(octets: Uint8Array, done: (result: number | Error) => void): void;
  truncate(length: number): void;
  close(): void;
}

function nodeFile(fd: number): NewFile {
  return {
    write: (octets, done) => writeElsewhere(fd, octets, done),
    truncate: (length) => ftruncateSync(fd, length),
    close: () => closeSync(fd),
  };
}

function denoFile(name: string, files: DenoFiles): NewFile {
  const file = files.openSync(name, { write: true, createNew: true, mode: MODE });
  return {
    write: (octets, done) => file.write(octets).then(done, done),
    truncate: (length) => file.truncateSync(length),
    close: () => file.close(),
  };
}

/** Writes by a thread of the runtime. */
export function writeElsewhere(
  fd: number,
  octets: Uint8Array,
  done: (result: number | Error) => void,
): void {
  write(fd, octets, 0, octets.length, null, (error, length) => done(error ?? length));
}

class FileOutlet implements Outlet {
  readonly #file: NewFile;
  #length = 0;

  constructor(file: NewFile) {
    this.#file = file;
  }

  write(octets: Uint8Array, done: (result: number | Error) => void): void {
    this.#file.write(octets, (result) => {
      if (typeof result === "number") this.#length += result;
      done(result);
    });
  }

  cut(octets: number): void {
    try {
      this.#length -= octets;
      this.#file.truncate(this.#length);
    } catch {
      // Then the end of the file is half a record, which readers tell of.
    }
  }

  close(): void {
    try {
      this.#file.close();
    } catch {
      // The last write may have failed late; there is nothing left to do about it.
    }
  }
}

/**
 * A FIFO for writing, whether or not somebody reads: without a reader, writes fail with EPIPE. It
 * is opened once, so that it can still be written to when this process has become another user.
 */
function openFifo(path: string): Outlet {
  // With a reader, which we are as long as this one is open, the other one can be opened.
  const reader = openSync(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW);
  let fd: number;
  try {
    const opened = fstatSync(reader);
    if (!opened.isFIFO()) throw refusal(path, "it was exchanged while it was opened");
    refuseOwner(path, opened);
    fd = openSync(`/proc/self/fd/${reader}`, O_WRONLY | O_NONBLOCK);
  } finally {
    closeSync(reader);
  }
  return nonBlockingOutlet(fd);
}

/** An outlet on a descriptor of our own that does not block. */
export function nonBlockingOutlet(fd: number): Outlet {
  return {
    write(octets, done) {
      let result: number | Error;
      try {
        result = writeSync(fd, octets);
      } catch (error) {
        result = error instanceof Error ? error : new Error(String(error));
      }
      done(result);
    },
    cut: () => {},
    close: () => closeSync(fd),
  };
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
