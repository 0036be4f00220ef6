/**
 * A libvirt of the test's own: Debian's libvirtd as an unprivileged session daemon, as KubeVirt
 * runs it in a launcher, with all its files in a private folder and ended by its id.
 *
 * Contract: nothing outside that folder is read or written but the programs themselves and
 * libvirt's schemas; nothing is left behind. Started by root it runs as `nobody`, so that neither
 * the system's libvirt nor its images are in reach.
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { onEnd, type Running, run, start, until, which } from "./e2e/shell.ts";

export interface Libvirt {
  /** Defines a domain, checked against libvirt's schema first. Throws with libvirt's words. */
  define(xml: string): void;
  /** Defines each of the named domains and forgets it, in one go: a call of virsh takes a while. */
  accepts(domains: readonly { readonly name: string; readonly xml: string }[]): void;
  /** Forgets a defined domain. */
  undefine(name: string): void;
  /** The defined domain as libvirt holds it. */
  dump(name: string): string;
  /** What `domxml-to-native qemu-argv` says; see `argv` for what it cannot say. */
  native(xml: string): string[];
  /**
   * The arguments with which libvirt starts QEMU for this domain, recorded by a program in QEMU's
   * place. (`domxml-to-native` turns every interface into one on a tap before it answers.) It takes
   * two seconds, nearly all of it libvirt's patience, so ask for several at once.
   */
  argv(xml: string): Promise<string[]>;
  /** Starts a domain with its processors stopped; `end` stops it, and it is forgotten. */
  startPaused(xml: string): Promise<void>;
  /** Starts a defined domain, its processors stopped until `resume`. */
  startDefined(name: string): Promise<void>;
  resume(name: string): void;
  end(name: string): void;
  /** Pulls or plugs the cable of a running domain's card, by UpdateDevice as virt-launcher does. */
  setLink(name: string, mac: string, state: "up" | "down"): void;
  /** Plugs a device into a running domain. */
  plug(name: string, device: string): Promise<void>;
  /** Asks the guest of a running domain to let a device go; it has gone when the dump lacks it. */
  unplug(name: string, device: string): void;
  /** A running domain as libvirt holds it. */
  dumpLive(name: string): string;
  /** A folder for files and sockets of domains; it belongs to the daemon's user. */
  readonly folder: string;
  /** What a command of QEMU's human monitor prints. */
  monitor(name: string, command: string): string;
  close(): Promise<void>;
}

const QEMU = "qemu-system-x86_64";
/** Debian packages of the programs. */
const PACKAGES: Readonly<Record<string, string>> = {
  libvirtd: "libvirt-daemon",
  virsh: "libvirt-clients",
  [QEMU]: "qemu-system-x86",
};
const CALL_TIMEOUT_MS = 60_000;
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 20_000;
/** Whom libvirt and its QEMUs run as where the test is root. */
const USER = "nobody";
/** Warnings and errors. */
const LOG_LEVEL = 3;

/** Why there can be no libvirt here, or false. Pass it as `skip` to `describe`. */
export function noLibvirt(): string | false {
  for (const [command, name] of Object.entries(PACKAGES)) {
    if (which(command) === undefined) return `needs ${command} (Debian package ${name})`;
  }
  return false;
}

/**
 * Starts the daemon; resolves when it answers.
 *
 * @param prefix put before its command line, as `ip netns exec NAME`
 */
export async function startLibvirt(prefix: readonly string[] = []): Promise<Libvirt> {
  const folder = mkdtempSync(join(tmpdir(), "lv-"));
  const forget = onEnd(() => rmSync(folder, { recursive: true, force: true }));
  const runtime = join(folder, "run");
  const socket = join(runtime, "libvirt", "libvirt-sock");
  mkdirSync(runtime);
  const daemon = start([...prefix, ...daemonCommand(folder, runtime)]);
  const virsh = ["virsh", "-q", "-c", `qemu:///session?socket=${socket}`];
  try {
    await until(
      () => (daemon.ended() ? "ended" : existsSync(socket) && isAnswering(virsh)),
      () => `libvirtd to answer: ${logOf(folder)}`,
      START_TIMEOUT_MS,
    );
    if (daemon.ended()) throw new Error(`libvirtd ended: ${daemon.stderr()}${logOf(folder)}`);
  } catch (error) {
    await end(daemon, folder, forget);
    throw error;
  }
  return new Session(virsh, folder, () => end(daemon, folder, forget));
}

/**
 * The daemon with an empty configuration and every folder it may look for a private one. Its log
 * goes to a file: a pipe would fill while the calls below keep Node from reading it. Names are
 * short, as libvirt makes paths of sockets from them.
 */
function daemonCommand(folder: string, runtime: string): string[] {
  const environment = {
    PATH: process.env["PATH"] ?? "",
    HOME: folder,
    XDG_RUNTIME_DIR: runtime,
    XDG_CONFIG_HOME: join(folder, "c"),
    XDG_CACHE_HOME: join(folder, "cache"),
    XDG_DATA_HOME: join(folder, "data"),
    LIBVIRT_LOG_OUTPUTS: `${LOG_LEVEL}:file:${join(folder, "log")}`,
  };
  const settings = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const daemon = [which("libvirtd") ?? "libvirtd", "--config", "/dev/null"];
  const command = ["env", "-i", ...settings, ...daemon];
  if (process.getuid?.() !== 0) return command;
  const [user, group] = libvirtUser();
  for (const path of [folder, runtime]) {
    chownSync(path, user, group);
    chmodSync(path, 0o700);
  }
  return ["setpriv", `--reuid=${user}`, `--regid=${group}`, "--clear-groups", ...command];
}

/** Ids of the user that libvirt runs as where the test is root. */
export function libvirtUser(): [user: number, group: number] {
  const ask = (flag: string): number => {
    const { stdout } = spawnSync("id", [flag, USER], { encoding: "utf8" });
    return Number.parseInt(stdout, 10);
  };
  return [ask("-u"), ask("-g")];
}

function isAnswering(virsh: readonly string[]): boolean {
  const [file = "", ...args] = virsh;
  return spawnSync(file, [...args, "version"], { timeout: CALL_TIMEOUT_MS }).status === 0;
}

function logOf(folder: string): string {
  const file = join(folder, "log");
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

async function end(daemon: Running, folder: string, forget: () => void): Promise<void> {
  daemon.signal("SIGTERM");
  await daemon.outcome(STOP_TIMEOUT_MS);
  rmSync(folder, { recursive: true, force: true });
  forget();
}

class Session implements Libvirt {
  readonly #virsh: readonly string[];
  readonly folder: string;
  readonly #recorder: string;
  #count = 0;
  readonly close: () => Promise<void>;

  constructor(virsh: readonly string[], folder: string, close: () => Promise<void>) {
    this.#virsh = virsh;
    this.folder = folder;
    this.#recorder = join(folder, "recorder");
    this.close = close;
    writeFileSync(this.#recorder, recorderScript(join(folder, "run")), { mode: 0o755 });
  }

  define(xml: string): void {
    this.#call(["define", "--validate", this.#file(xml)]);
  }

  accepts(domains: readonly { readonly name: string; readonly xml: string }[]): void {
    const commands = domains.map(({ name, xml }, i) => {
      const file = this.#file(xml, `domain-${i}`);
      return `define --validate ${file}; undefine --nvram ${name}`;
    });
    const [file = "", ...rest] = this.#virsh;
    const options = { encoding: "utf8", timeout: CALL_TIMEOUT_MS } as const;
    const { stderr, error } = spawnSync(file, [...rest, commands.join("; ")], options);
    // The code is that of the last command; each that fails says so.
    if (error !== undefined || stderr !== "") {
      throw new Error(`virsh define: ${error?.message ?? stderr.trim()}`);
    }
  }

  undefine(name: string): void {
    this.#call(["undefine", "--nvram", name]);
  }

  dump(name: string): string {
    return this.#call(["dumpxml", "--inactive", name]);
  }

  native(xml: string): string[] {
    return wordsOf(this.#call(["domxml-to-native", "qemu-argv", "--xml", this.#file(xml)]));
  }

  async argv(xml: string): Promise<string[]> {
    this.#count += 1;
    const name = `recorded-${this.#count}`;
    const file = this.#file(withEmulator(withName(xml, name), this.#recorder), name);
    const { stderr } = await run([...this.#virsh, "create", file], CALL_TIMEOUT_MS);
    // libvirt complains of a QEMU that ended at once; without a record the complaint is another.
    const record = join(this.folder, "run", name);
    if (!existsSync(record)) throw new Error(`virsh create: ${stderr.trim()}`);
    return readFileSync(record, "utf8").split("\0").slice(0, -1);
  }

  async startPaused(xml: string): Promise<void> {
    // Not by `#call`: a test may have to accept QEMU's connection meanwhile.
    const command = [...this.#virsh, "create", "--paused", this.#file(xml)];
    const { code, stderr } = await run(command, CALL_TIMEOUT_MS);
    if (code !== 0) throw new Error(`virsh create: ${stderr.trim()}`);
  }

  async startDefined(name: string): Promise<void> {
    const { code, stderr } = await run([...this.#virsh, "start", "--paused", name]);
    if (code !== 0) throw new Error(`virsh start: ${stderr.trim()}`);
  }

  resume(name: string): void {
    this.#call(["resume", name]);
  }

  setLink(name: string, mac: string, state: "up" | "down"): void {
    this.#call(["domif-setlink", name, mac, state]);
  }

  async plug(name: string, device: string): Promise<void> {
    const file = this.#file(device, "device");
    const { code, stderr } = await run([...this.#virsh, "attach-device", "--live", name, file]);
    if (code !== 0) throw new Error(`virsh attach-device: ${stderr.trim()}`);
  }

  unplug(name: string, device: string): void {
    this.#call(["detach-device", "--live", name, this.#file(device, "device")]);
  }

  end(name: string): void {
    this.#call(["destroy", name]);
  }

  dumpLive(name: string): string {
    return this.#call(["dumpxml", name]);
  }

  monitor(name: string, command: string): string {
    return this.#call(["qemu-monitor-command", name, "--hmp", command]);
  }

  #call(args: readonly string[]): string {
    const [file = "", ...rest] = this.#virsh;
    const options = { encoding: "utf8", timeout: CALL_TIMEOUT_MS } as const;
    const { status, stdout, stderr, error } = spawnSync(file, [...rest, ...args], options);
    if (status === 0) return stdout;
    throw new Error(`virsh ${args.join(" ")}: ${error?.message ?? stderr.trim()}`);
  }

  /** Leaves a domain in a file: virsh cannot open the pipe that a child of Node's gets. */
  #file(xml: string, name = "domain"): string {
    const file = join(this.folder, `${name}.xml`);
    writeFileSync(file, xml);
    return file;
  }
}

/**
 * In QEMU's place: answers libvirt's question of what it can do, and records every other start in a
 * file of the domain's name, which comes first: `-name guest=NAME,…`.
 */
function recorderScript(folder: string): string {
  return `#!/bin/sh
case " $* " in *" -machine none"*) exec ${which(QEMU) ?? QEMU} "$@" ;; esac
name=\${2#guest=}
printf '%s\\0' "$@" >"${folder}/\${name%%,*}"
exit 1
`;
}

/** Under another name, and without the UUID that belongs to the old one. */
function withName(xml: string, name: string): string {
  return xml
    .replace(/<name>[^<]*<\/name>/, `<name>${name}</name>`)
    .replaceAll(/\s*<uuid>[^<]*<\/uuid>|\s*<entry name=(["'])uuid\1>[^<]*<\/entry>/g, "");
}

function withEmulator(xml: string, path: string): string {
  const plain = xml.replaceAll(/\s*<emulator>[^<]*<\/emulator>/g, "");
  return plain.replace("<devices>", `<devices><emulator>${path}</emulator>`);
}

/** Splits libvirt's shell line (`VARIABLE=value … program -option 'a value' …`). */
function wordsOf(line: string): string[] {
  const words = line.trim().match(/(?:[^\s'\\]|'[^']*'|\\[\s\S])+/g) ?? [];
  const plain = words.map((word) =>
    word.replaceAll(/'([^']*)'|\\([\s\S])/g, (_, quoted?: string, escaped?: string) => {
      return quoted ?? (escaped === "\n" ? "" : (escaped ?? ""));
    }),
  );
  const program = plain.findIndex((word) => word.endsWith(QEMU));
  return plain.slice(program + 1).filter((word) => word !== "");
}

/**
 * What a plain machine needs before it can define a domain that KubeVirt has made: no KVM for
 * everybody, so QEMU's own emulation; and KubeVirt writes empty elements into `sysinfo` that
 * libvirt takes but its schema, against which the rest is checked, does not know.
 */
export function definable(xml: string): string {
  return xml
    .replace(/(<domain\b[^>]*?\stype=)(["'])kvm\2/, "$1$2qemu$2")
    .replaceAll(/\s*<(bios|baseBoard|chassis)><\/\1>/g, "");
}

/**
 * As above, and what it needs before it can start one: nothing that lives in files of a launcher's
 * container (disks, firmware, channels, serial ports with their logs, the screen's socket); no
 * cards on tap devices (KubeVirt's placeholders, which it never starts either, and other
 * bindings'), since each would open /dev/net/tun; no huge pages and no placement on processors and
 * memory nodes that the machine has none of.
 */
export function startable(xml: string): string {
  const files = "disk|loader|nvram|channel|serial|console|graphics";
  const gone = `${files}|hugepages|allocation|cputune|numatune`;
  return definable(xml)
    .replaceAll(/\s*<interface type=(["'])ethernet\1>[\s\S]*?<\/interface>/g, "")
    .replaceAll(new RegExp(`\\s*<(?:${gone})\\b[^>]*/>`, "g"), "")
    .replaceAll(new RegExp(`\\s*<(${gone})\\b[\\s\\S]*?</\\1>`, "g"), "");
}

/** What a domain is booted from without a disk. */
export interface DirectBoot {
  readonly kernel: string;
  readonly initrd: string;
  readonly arguments: string;
  /** Path of the unix socket where its serial console listens. */
  readonly console: string;
}

/** As above, booted from a kernel of ours and with a console to type into. */
export function bootable(xml: string, boot: DirectBoot): string {
  const direct =
    `<kernel>${boot.kernel}</kernel><initrd>${boot.initrd}</initrd>` +
    `<cmdline>${boot.arguments}</cmdline>`;
  const serial =
    `<serial type="unix"><source mode="bind" path="${boot.console}"/>` +
    '<target port="0"/></serial>';
  return startable(xml)
    .replace("</os>", `${direct}</os>`)
    .replace("</devices>", `${serial}</devices>`);
}
