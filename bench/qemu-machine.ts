/**
 * One machine of `npm run bench -- --qemu`: a guest, the program behind its card, and what is
 * measured of both.
 */
import { join } from "node:path";
import { type Attached, GATEWAY } from "../test/support/e2e/program.ts";
import type { Running } from "../test/support/e2e/shell.ts";
import type { Namespace } from "../test/support/e2e/world.ts";
import {
  DHCP_COMMAND,
  type GuestOptions,
  type QemuGuest,
  startGuest,
  vhostUserGuest,
} from "../test/support/qemu.ts";
import { cpuSeconds } from "./measure.ts";
import { startCounting } from "./probe.ts";
import { type Kind, type Metric, MTUS, type Mtu, type Sample } from "./qemu-plan.ts";

const IPERF_PORT = 5201;
const RR_PORT = 5301;
const GRACE_MS = 60_000;
const LOOPBACK_PORT_FIRST = 28_600;
const WITHOUT_MSIX = "vectors=0";

export interface Machine {
  readonly kind: Kind;
  readonly mtu: Mtu;
  readonly guest: QemuGuest;
  /** Undefined where the network is QEMU's own. */
  readonly program: Attached | undefined;
}

/** What the machines of a run have in common. */
export interface Setting {
  readonly host: Namespace;
  /** Where sockets are; its user is not root. */
  readonly folder: string;
  /** Programs that the guest gets. */
  readonly programs: readonly string[];
  readonly msix: boolean;
}

interface Wiring {
  /** How the program gets at the guest; undefined: there is none. */
  readonly link?: readonly string[];
  readonly guest: Pick<GuestOptions, "netdev" | "properties" | "args">;
}

function wiring({ folder, msix }: Setting, kind: Kind, mtu: Mtu): Wiring {
  const properties = [`host_mtu=${mtu}`, ...(msix ? [] : [WITHOUT_MSIX])].join(",");
  const path = join(folder, `${kind}-${mtu}.sock`);
  const port = LOOPBACK_PORT_FIRST + MTUS.indexOf(mtu);
  switch (kind) {
    case "vhost-user":
      return { link: ["--vhost-user", path], guest: vhostUserGuest(path, [`host_mtu=${mtu}`]) };
    case "client": {
      const netdev = `socket,id=n,connect=127.0.0.1:${port}`;
      return { link: ["--listen", `tcp:127.0.0.1:${port}`], guest: { netdev, properties } };
    }
    case "stream": {
      const netdev = `stream,id=n,server=off,addr.type=unix,addr.path=${path}`;
      return { link: ["--listen", `unix:${path}`], guest: { netdev, properties } };
    }
    case "user":
      return { guest: { netdev: "user,id=n", properties } };
  }
}

/** Boots a guest and waits until it is online. */
export async function boot(setting: Setting, kind: Kind, mtu: Mtu): Promise<Machine> {
  const { host, programs } = setting;
  const { link, guest: card } = wiring(setting, kind, mtu);
  const args = ["--mtu", String(mtu), "--host-loopback", "--no-ipv6"];
  const program = link && (await startCounting(host, [...link, ...args]));
  const guest = await startGuest({ ...card, programs, prefix: host.argv([]) });
  await guest.must(DHCP_COMMAND);
  await guest.must(`ip link set dev eth0 mtu ${mtu}`);
  return { kind, mtu, guest, program };
}

type Figures = Pick<Sample, "value" | "work">;

async function iperf(
  host: Namespace,
  guest: QemuGuest,
  seconds: number,
  more: string,
): Promise<Figures> {
  const argv = ["iperf3", "-s", "-1", "-p", String(IPERF_PORT), "--forceflush"];
  const server: Running = host.start(argv);
  try {
    await server.waitFor(/listening on/, GRACE_MS);
    const line = `iperf3 -c ${GATEWAY} -p ${IPERF_PORT} -t ${seconds} -J ${more}`;
    const report = JSON.parse(await guest.must(line, seconds * 1000 + GRACE_MS));
    const { bits_per_second, bytes } = report.end.sum_received;
    return { value: Number(bits_per_second) / 1e9, work: (Number(bytes) * 8) / 1e9 };
  } finally {
    server.signal("SIGKILL");
    await server.outcome(GRACE_MS);
  }
}

async function exchange(guest: QemuGuest, seconds: number): Promise<Figures> {
  const line = `rr tcp ${GATEWAY} ${RR_PORT} ${seconds}`;
  const { per_second } = JSON.parse(await guest.must(line, seconds * 1000 + GRACE_MS));
  return { value: Number(per_second), work: Number(per_second) * seconds };
}

/** Measures once; the program's processor time is taken over the whole command. */
export async function measure(
  host: Namespace,
  { guest, program }: Machine,
  metric: Metric,
  seconds: number,
): Promise<Sample> {
  const used_s = (): number => (program === undefined ? 0 : cpuSeconds(program.running.pid));
  const before_s = used_s();
  const figures =
    metric === "rr"
      ? await exchange(guest, seconds)
      : await iperf(host, guest, seconds, metric === "dn1" ? "-R" : "");
  return { ...figures, cpu_s: used_s() - before_s };
}
