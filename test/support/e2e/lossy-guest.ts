/**
 * A guest behind a bad cable: guest ── veth ── [lossy-link] ── tap ── program.
 *
 * The program's tap is made in a namespace between, without addresses; the guest has its address on
 * its end of a veth pair. Both ends of the cable keep their offloads.
 */

import { join } from "node:path";
import type { CableCounts } from "./lossy-link.ts";
import { type Program, ROOT, startProgram } from "./program.ts";
import type { Running } from "./shell.ts";
import { createGuest, createNamespace, type Namespace } from "./world.ts";

export type LossyGuest = {
  readonly guest: Namespace;
  readonly program: Program;
  readonly link: Running;
  /** Ends the cable, which reports what it did to how many frames. */
  counts(): Promise<CableCounts>;
  remove(): Promise<void>;
};

export type LossyOptions = {
  readonly mtu: number;
  readonly percent: number;
  readonly seed: number;
  /** IPv6 beside IPv4; default none. */
  readonly ipv6?: boolean;
};

/**
 * Builds the chain; the guest is configured by hand, as there is no tap for `--configure` in it.
 */
export async function createLossyGuest(
  host: Namespace,
  { mtu, percent, seed, ipv6 = false }: LossyOptions,
): Promise<LossyGuest> {
  const guest = createGuest(ipv6);
  const middle = createNamespace("middle");
  middle.must("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1");
  middle.must("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1");
  const program = await startProgram({ host, netns: middle.path, mtu, configure: false });
  middle.must("ip", "link", "set", "tap0", "mtu", String(mtu), "up");
  middle.must(
    "ip",
    "link",
    "add",
    "cable",
    "mtu",
    String(mtu),
    "type",
    "veth",
    "peer",
    "name",
    "eth0",
  );
  middle.must("ip", "link", "set", "eth0", "netns", guest.name);
  middle.must("ip", "link", "set", "cable", "up");
  guest.must("ip", "link", "set", "eth0", "mtu", String(mtu), "up");
  guest.must("ip", "addr", "add", `${program.guestAddress}/24`, "dev", "eth0");
  guest.must("ip", "route", "add", "default", "via", "10.0.2.2");
  if (ipv6) {
    guest.must("ip", "addr", "add", "fd10:0:2::2/120", "dev", "eth0", "nodad");
    guest.must("ip", "route", "add", "default", "via", "fd10:0:2::1");
  }
  const link = middle.start([
    join(ROOT, "node_modules/.bin/bun"),
    join(ROOT, "test/support/e2e/lossy-link.ts"),
    "tap0",
    "cable",
    String(percent),
    String(seed),
  ]);
  await link.waitFor(/listening/);
  return {
    guest,
    program,
    link,
    counts: async () => {
      link.closeInput();
      return JSON.parse((await link.outcome(10_000)).stdout.trim().split("\n").at(-1) ?? "{}");
    },
    remove: async () => {
      await program.stop();
      guest.remove();
      middle.remove();
    },
  };
}
