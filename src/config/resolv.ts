/**
 * resolv.conf: which resolvers and search list the host uses, read the way glibc reads it
 * (resolv.conf(5)), and read again when the file changes.
 *
 * Rules: a comment starts with `;` or `#` in the first column; a keyword starts there too and ends
 * at a space or tab; of several `domain` and `search` lines the last wins; unknown keywords are
 * ignored. As in glibc, three name servers are kept in all, of either version of IP. Nothing is
 * made up: without a usable line the list is empty, and the guest's questions are answered
 * SERVFAIL.
 *
 * Nothing here watches or waits: the caller polls `readIfChanged`, which costs one `stat` while the
 * file stays the same. The file belongs to the host, yet may be half written or absurd, so a bad
 * one never throws.
 */
import { readFileSync, statSync } from "node:fs";
import { isIpv6, readIpv4 } from "./address.ts";
import { quote } from "./errors.ts";

export const RESOLV_CONF_PATH = "/etc/resolv.conf";

/** Name servers kept (MAXNS of glibc, and the room the engine has). */
export const NAMESERVER_COUNT_MAX = 3;

/** Anything larger is not a resolv.conf. */
const FILE_SIZE_MAX = 1 << 20;

/** What a resolv.conf says, frozen. */
export interface ResolvConf {
  /** IPv4 and IPv6 addresses, the latter with their zone, at most three, in order. */
  readonly nameservers: readonly string[];
  /** Domains as written; not yet validated. */
  readonly search: readonly string[];
  /** Words of all `options` lines, in order: `ndots:5`, `edns0`. */
  readonly options: readonly string[];
  /** What was ignored and why, one line each, for the log. */
  readonly warnings: readonly string[];
}

/** A state of the file. Two calls that return the same object saw the same file. */
export interface ResolvSnapshot {
  readonly conf: ResolvConf;
  /** Changes when the file does: device, inode, modification time and size, or why it is unread. */
  readonly stamp: string;
  /** The file may be there: who reads it has no right to. */
  readonly isForbidden: boolean;
}

/** Reads the text of a resolv.conf. Never throws; what cannot be used is told in `warnings`. */
export function parseResolvConf(text: string): ResolvConf {
  const nameservers: string[] = [];
  const options: string[] = [];
  const warnings: string[] = [];
  let search: readonly string[] = [];
  for (const line of text.split("\n")) {
    const match = /^(nameserver|domain|search|options)[ \t]+(.*)$/.exec(line.replace(/\r$/, ""));
    const words = match?.[2]?.split(/[ \t]+/).filter((word) => word !== "") ?? [];
    const value = match?.[1] === "nameserver" ? words[0]?.split(/[;#]/)[0] : words[0];
    if (value === undefined || value === "") continue;
    switch (match?.[1]) {
      case "nameserver":
        if (readIpv4(value) !== undefined || isIpv6(value)) nameservers.push(value);
        else warnings.push(`ignore name server ${quote(value)}: not an IP address`);
        break;
      case "domain":
        search = [value];
        break;
      case "search":
        search = words;
        break;
      default:
        options.push(...words);
    }
  }
  for (const surplus of nameservers.splice(NAMESERVER_COUNT_MAX)) {
    warnings.push(`ignore name server ${quote(surplus)}: only ${NAMESERVER_COUNT_MAX} are used`);
  }
  if (nameservers.length === 0) {
    warnings.push("find no name server: DNS questions of the guest are answered SERVFAIL");
  }
  return freezeConf({ nameservers, search, options, warnings });
}

/**
 * The present state of the file at `path`: `last` itself when nothing changed since, so that `===`
 * tells. Links are followed, hence a swapped link (a Kubernetes volume update) counts as a change.
 * A missing or unreadable file is a state too, with empty lists and a warning.
 */
export function readIfChanged(path: string, last?: ResolvSnapshot): ResolvSnapshot {
  let stamp: string;
  let text: string;
  try {
    const stat = statSync(path, { bigint: true });
    stamp = `${stat.dev}:${stat.ino}:${stat.mtimeNs}:${stat.size}`;
    if (last?.stamp === stamp) return last;
    // Reading a pipe or device could block for ever.
    if (!stat.isFile()) return unread(path, stamp, "not a regular file");
    if (stat.size > FILE_SIZE_MAX) return unread(path, stamp, "larger than 1 MiB");
    text = readFileSync(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return last?.stamp === code ? last : unread(path, code, code);
  }
  return Object.freeze({ conf: parseResolvConf(text), stamp, isForbidden: false });
}

/**
 * What the answer of a process that reads the file for us says (`binding/resolv-reader.ts`): lines
 * of the file, then what came of it as a line of its own.
 * @returns undefined where it cannot read the file either
 */
export function confOfAnswer(path: string, answer: string): ResolvConf | undefined {
  const at = answer.lastIndexOf("\n") + 1;
  switch (answer.slice(at)) {
    case "ok":
      return parseResolvConf(answer.slice(0, at));
    case "gone":
      return unread(path, "", "ENOENT").conf;
    case "kind":
      return unread(path, "", "not a regular file").conf;
    case "large":
      return unread(path, "", "larger than 64 KiB").conf;
    default:
      return undefined;
  }
}

/** Index of the interface a zone names, by number or name; undefined = the host has none such. */
export function scopeOfZone(zone: string): number | undefined {
  if (/^[1-9][0-9]{0,8}$/.test(zone)) return Number(zone);
  if (!/^[\w.-]{1,15}$/.test(zone) || zone === "." || zone === "..") return undefined;
  try {
    return Number(readFileSync(`/sys/class/net/${zone}/ifindex`, "utf8")) || undefined;
  } catch {
    return undefined; // no such interface, or no sysfs
  }
}

function unread(path: string, stamp: string, reason: string): ResolvSnapshot {
  const warning = `read ${quote(path)}: ${reason}, DNS questions are answered SERVFAIL`;
  const conf = freezeConf({
    nameservers: [],
    search: [],
    options: [],
    warnings: [warning],
  });
  return Object.freeze({ conf, stamp, isForbidden: reason === "EACCES" || reason === "EPERM" });
}

function freezeConf(conf: ResolvConf): ResolvConf {
  for (const list of Object.values(conf)) Object.freeze(list);
  return Object.freeze(conf);
}
