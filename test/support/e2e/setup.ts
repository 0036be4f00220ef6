/**
 * What every end-to-end test file starts from: whether it can run here, and one host with one
 * guest.
 */

import { accessSync, constants } from "node:fs";
import process from "node:process";
import {
  missing,
  type Program,
  type ProgramOptions,
  programKind,
  startProgram,
} from "./program.ts";
import { until, which } from "./shell.ts";
import { createGuest, createHost, type Namespace } from "./world.ts";

/** Debian packages of the commands that the tests call. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: "iproute2",
  curl: "curl",
  ping: "iputils-ping",
  traceroute: "traceroute",
  dhclient: "isc-dhcp-client",
  iperf3: "iperf3",
  radvdump: "radvdump",
  tcpdump: "tcpdump",
  udhcpc: "udhcpc",
  dnsmasq: "dnsmasq-base",
  tshark: "tshark",
  setpriv: "util-linux",
  unshare: "util-linux",
  ethtool: "ethtool",
  socat: "socat",
};

/** Why the tests cannot run here, or false. Pass it as `skip` to `describe`. */
export function cannotRun(...commands: readonly string[]): string | false {
  if (process.getuid?.() !== 0) {
    return "needs root: it makes network namespaces";
  }
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
  } catch {
    return "needs /dev/net/tun";
  }
  const absent = ["ip", "curl", ...commands].find((command) => which(command) === undefined);
  if (absent !== undefined) {
    return `needs ${absent} (Debian package ${PACKAGES[absent] ?? absent})`;
  }
  return missing() ?? false;
}

/** The reason to leave out a test of something that the peer standing in does not have. */
export function oursOnly(): string | false {
  return programKind() === "ours" ? false : `${programKind()} has no such thing`;
}

/** One host, one guest and the program between them. */
export type World = {
  readonly host: Namespace;
  readonly guest: Namespace;
  readonly program: Program;
  remove(): Promise<void>;
};

/** Makes a world. On failure nothing is left behind. */
export async function createWorld(
  options: Partial<ProgramOptions> & { readonly ipv6?: boolean } = {},
  resolvConf?: string,
): Promise<World> {
  const host = createHost(resolvConf);
  const guest = createGuest(options.ipv6);
  try {
    const program = await startProgram({ host, netns: guest.path, ...options });
    return {
      host,
      guest,
      program,
      remove: async () => {
        await program.stop();
        guest.remove();
        host.remove();
      },
    };
  } catch (error) {
    guest.remove();
    host.remove();
    throw error;
  }
}

/** Waits until no socket of the host namespace is connected to or from this port. */
export async function untilNoConnections(host: Namespace, port: number): Promise<void> {
  let open: string[] = [];
  await until(
    async () => {
      open = await connectionsOf(host, port);
      return open.length === 0;
    },
    () =>
      `connections of port ${port} to end; open: ${open.length}\n${open.slice(0, 8).join("\n")}`,
    20_000,
  );
}

/** The connections of a port in a namespace, a line of `ss` each. */
export async function connectionsOf(namespace: Namespace, port: number): Promise<string[]> {
  const filter = `( sport = :${port} or dport = :${port} )`;
  const listing = await namespace.run(["ss", "-Hanto", filter]);
  return listing.stdout
    .split("\n")
    .filter((line) => line !== "" && !/LISTEN|TIME-WAIT|UNCONN/.test(line));
}

/** A DNS server in the host namespace with one name and one long record set. */
export async function startDns(
  host: Namespace,
  listen: string,
  ...addresses: readonly string[]
): Promise<void> {
  const texts = Array.from({ length: 16 }, (_, index) => {
    const text = `${index}`.padStart(3, "0").padEnd(200, "x");
    return `--txt-record=long.test,${text}`;
  });
  const running = host.start([
    "dnsmasq",
    "--no-daemon",
    "--conf-file=/dev/null",
    "--no-resolv",
    "--no-hosts",
    "--user=root",
    "--pid-file=",
    "--bind-interfaces",
    "--edns-packet-max=4096",
    `--listen-address=${listen}`,
    ...addresses.map((address) => `--address=/who.test/${address}`),
    ...texts,
  ]);
  await until(async () => {
    if (running.ended()) {
      throw new Error(`dnsmasq ended: ${running.stderr()}`);
    }
    const source = listen.includes(":") ? `[${listen}]` : listen;
    const sockets = await host.run(["ss", "-Hltn", `src ${source} and sport = :53`]);
    return sockets.stdout.includes(":53");
  }, "dnsmasq to listen");
}
