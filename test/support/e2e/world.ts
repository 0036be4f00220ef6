/**
 * The namespaces of an end-to-end run: a host with addresses of its own and any number of guests.
 *
 * The program under test runs inside the host namespace, so nothing here can collide with the
 * machine's own network or with another run. Names carry the process id and a counter. The host has
 * loopback and 192.0.2.1/24 (RFC 5737) on a veth pair for destinations that are not loopback; its
 * default route leads to a neighbour that never answers.
 */

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { attempt, must, type Outcome, onEnd, type Running, run, start } from "./shell.ts";

/** A network namespace that `ip netns` knows by name. */
export type Namespace = {
  readonly name: string;
  readonly path: string;
  /** Command line that runs `argv` inside. */
  argv(argv: readonly string[]): string[];
  run(argv: readonly string[], limit_ms?: number): Promise<Outcome>;
  start(argv: readonly string[]): Running;
  /** Runs a set-up command at once and throws when it fails. */
  must(...argv: string[]): string;
  remove(): void;
};

export const HOST_ADDRESS = "192.0.2.1";
export const HOST_ADDRESS6 = "2001:db8::1";
/** The host has an unreachable route for it. */
export const UNREACHABLE_ADDRESS6 = "2001:db8:dead::1";
/** Nothing answers here: the host has an unreachable route for it (RFC 5737 TEST-NET-2). */
export const UNREACHABLE_ADDRESS = "198.51.100.1";
export const CONGESTION_CONTROL = "cubic";

let counter = 0;

/** Makes an empty namespace with loopback up. */
export function createNamespace(role: string): Namespace {
  counter += 1;
  const name = `slirp-${process.pid}-${counter}-${role}`;
  must(["ip", "netns", "add", name]);
  const etc = join("/etc/netns", name);
  const argv = (command: readonly string[]): string[] => ["ip", "netns", "exec", name, ...command];
  const remove = (): void => {
    forget();
    // Whatever still runs inside was started by this run: the namespace is its own.
    for (const pid of listPids(name)) {
      killQuietly(pid);
    }
    attempt(["ip", "netns", "del", name]);
    rmSync(etc, { recursive: true, force: true });
  };
  const forget = onEnd(remove);
  must(["ip", "-n", name, "link", "set", "lo", "up"]);
  return {
    name,
    path: join("/run/netns", name),
    argv,
    run: (command, limit_ms) => run(argv(command), limit_ms),
    start: (command) => start(argv(command)),
    must: (...command) => must(argv(command)),
    remove,
  };
}

function listPids(name: string): number[] {
  try {
    return must(["ip", "netns", "pids", name]).split("\n").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself meanwhile.
  }
}

/** Sets sysctls inside a namespace; a knob that this kernel lacks is passed over. */
export function setSysctls(namespace: Namespace, values: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(values)) {
    attempt(namespace.argv(["sysctl", "-qw", `${key}=${value}`]));
  }
}

/**
 * Makes a host namespace.
 * @param resolvConf content of its private /etc/resolv.conf, which `writeResolvConf` changes later
 */
export function createHost(resolvConf = "nameserver 127.0.0.1\n"): Namespace {
  const host = createNamespace("host");
  try {
    mkdirSync(join("/etc/netns", host.name), { recursive: true });
    writeResolvConf(host, resolvConf);
  } catch {
    // Without root on the machine /etc is not ours: the machine's own resolv.conf stays in force.
  }
  host.must("ip", "link", "add", "up0", "type", "veth", "peer", "name", "up1");
  host.must("ip", "link", "set", "up1", "up");
  host.must("ip", "link", "set", "up0", "up");
  host.must("ip", "addr", "add", `${HOST_ADDRESS}/24`, "dev", "up0");
  attempt(host.argv(["ip", "addr", "add", `${HOST_ADDRESS6}/64`, "dev", "up0", "nodad"]));
  attempt(host.argv(["ip", "route", "add", "unreachable", "2001:db8:dead::/48"]));
  host.must("ip", "route", "add", "default", "via", "192.0.2.254");
  host.must("ip", "route", "add", "unreachable", "198.51.100.0/24");
  setSysctls(host, {
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.tcp_congestion_control": CONGESTION_CONTROL,
  });
  allowPing(host);
  return host;
}

/** A fresh namespace allows ping sockets to nobody; a user namespace may know group 0 alone. */
function allowPing(namespace: Namespace): void {
  for (const range of ["0 0", "0 2147483647"]) {
    setSysctls(namespace, { "net.ipv4.ping_group_range": range });
  }
}

/** Makes a guest namespace: loopback only, the link is the program's business. */
export function createGuest(ipv6 = false): Namespace {
  const guest = createNamespace("guest");
  setSysctls(guest, {
    "net.ipv4.tcp_congestion_control": CONGESTION_CONTROL,
    // Router solicitations would only add noise to captures and counters.
    ...(ipv6 ? {} : { "net.ipv6.conf.default.disable_ipv6": "1" }),
  });
  allowPing(guest);
  return guest;
}

/**
 * Changes the host's resolv.conf in place: `ip netns exec` has bind-mounted this very file over
 * /etc/resolv.conf, so a rename would not be seen inside.
 */
export function writeResolvConf(host: Namespace, text: string): void {
  writeFileSync(join("/etc/netns", host.name, "resolv.conf"), text);
}
