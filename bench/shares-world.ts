/**
 * The namespaces of `npm run bench -- --shares`: outside, pod and guest.
 *
 *     outside 192.0.2.1 ---- veth ---- 192.0.2.10 pod, with the program ---- tap ---- guest
 *
 * Outside are the servers (TCP and DNS) and two more addresses, from which the crowd comes and to
 * which the guest's stuck uploads go. The guest has a server behind the pod's published port.
 *
 * All namespaces share the memory that the kernel has for TCP (net.ipv4.tcp_mem). A crowd leaves
 * thousands of sockets behind that have no owner and full buffers, and would keep trying for a
 * quarter of an hour: they are told to give up early, and whoever comes next waits for that.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Program, type ProgramKind, startProgram } from "../test/support/e2e/program.ts";
import { type Running, until } from "../test/support/e2e/shell.ts";
import {
  CONGESTION_CONTROL,
  createGuest,
  createNamespace,
  type Namespace,
  setSysctls,
  writeResolvConf,
} from "../test/support/e2e/world.ts";
import { compileTool } from "./world.ts";

export const OUTSIDE = "192.0.2.1";
export const POD = "192.0.2.10";
export const CROWD_ADDRESSES = ["192.0.2.101", "192.0.2.102"];
export const OUTSIDE_PORT = 7000;
export const PUBLISHED_PORT = 8080;
const GUEST_PORT = 80;
const DNS_PORT = 53;
const START_ms = 10_000;
/** Connections of one process: the limit of descriptors may not be above 20,000. */
export const CONNECTIONS_PER_PROCESS = 15_000;
/** A guest's servers share a port by a hash of the addresses, so one may get more than others. */
const CONNECTIONS_PER_SERVER = 10_000;

/** The command lines of bench/crowd.c and bench/beside.c. */
export interface Tools {
  readonly crowd: string;
  readonly beside: string;
}

export interface Outside {
  readonly tools: Tools;
  readonly outside: Namespace;
  readonly pod: Namespace;
  remove(): void;
}

/** A program at work, with a guest and its servers. */
export interface Inside {
  readonly guest: Namespace;
  readonly program: Program;
  remove(): Promise<void>;
}

const SYSCTLS = {
  "net.ipv4.ip_local_port_range": "10000 65535",
  "net.ipv4.tcp_congestion_control": CONGESTION_CONTROL,
  "net.core.somaxconn": "65535",
  "net.ipv4.tcp_max_syn_backlog": "65535",
  "net.ipv4.tcp_orphan_retries": "1",
};
/** Pages of TCP that a world at rest may have. */
const REST_PAGES = 2048;
const REST_ms = 300_000;

/** Makes outside and pod, which stay for the whole run. */
export async function createOutside(): Promise<Outside> {
  const tools = { crowd: compileTool("crowd"), beside: compileTool("beside") };
  const outside = createNamespace("outside");
  const pod = createNamespace("pod");
  mkdirSync(join("/etc/netns", pod.name), { recursive: true });
  writeResolvConf(pod, `nameserver ${OUTSIDE}\n`);
  pod.must("ip", "link", "add", "eth0", "type", "veth", "peer", "out0", "netns", outside.name);
  for (const [namespace, link, addresses] of [
    [pod, "eth0", [POD]],
    [outside, "out0", [OUTSIDE, ...CROWD_ADDRESSES]],
  ] as const) {
    for (const address of addresses) {
      namespace.must("ip", "addr", "add", `${address}/24`, "dev", link);
    }
    namespace.must("ip", "link", "set", link, "up");
    setSysctls(namespace, SYSCTLS);
  }
  pod.must("ip", "route", "add", "default", "via", OUTSIDE);
  await listening(outside.start([tools.crowd, "serve", "0.0.0.0", String(OUTSIDE_PORT)]));
  await listening(outside.start([tools.beside, "names", OUTSIDE, String(DNS_PORT)]));
  return {
    tools,
    outside,
    pod,
    remove: () => {
      outside.remove();
      pod.remove();
    },
  };
}

async function listening(running: Running): Promise<void> {
  await running.waitFor(/listening/, START_ms);
}

/** Waits until the kernel has its memory for TCP back. Source: proc(5), /proc/net/sockstat. */
async function atRest(): Promise<void> {
  const pages = (): number => {
    const text = readFileSync("/proc/net/sockstat", "latin1");
    return Number(/^TCP: .* mem (\d+)$/m.exec(text)?.[1]);
  };
  await until(() => pages() <= REST_PAGES, "sockets of earlier crowds to end", REST_ms);
}

/** Starts a program with a guest, whose servers take up to `connections`. */
export async function createInside(
  world: Outside,
  kind: ProgramKind,
  mtu: number,
  connections: number,
): Promise<Inside> {
  await atRest();
  const guest = createGuest();
  setSysctls(guest, SYSCTLS);
  const folder = mkdtempSync(join(tmpdir(), "slirp-shares-"));
  const apiSocket = join(folder, "api");
  try {
    const program = await startProgram({
      kind,
      host: world.pod,
      netns: guest.path,
      mtu,
      publish: [`${PUBLISHED_PORT}:${GUEST_PORT}`],
      apiSocket,
      // All programs have all the descriptors there are, whatever the shell's soft limit is.
      prefix: ["sh", "-c", 'ulimit -n "$(ulimit -Hn)"; exec "$@"', "sh"],
    });
    if (kind === "slirp4netns") {
      await publishBySlirp(apiSocket, program.guestAddress);
    }
    for (let room = 0; room < connections; room += CONNECTIONS_PER_SERVER) {
      await listening(guest.start([world.tools.crowd, "serve", "0.0.0.0", String(GUEST_PORT)]));
    }
    await reachable(world, guest);
    return {
      guest,
      program,
      remove: async () => {
        await program.stop();
        guest.remove();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    guest.remove();
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Source: slirp4netns(1), "API socket". */
async function publishBySlirp(path: string, guestAddress: string): Promise<void> {
  const request = {
    execute: "add_hostfwd",
    arguments: {
      proto: "tcp",
      host_addr: "0.0.0.0",
      host_port: PUBLISHED_PORT,
      guest_addr: guestAddress,
      guest_port: GUEST_PORT,
    },
  };
  const answer = await new Promise<string>((resolve, reject) => {
    let text = "";
    const socket = connect(path, () => socket.end(JSON.stringify(request)));
    socket.on("data", (part) => {
      text += part;
    });
    socket.on("error", reject);
    socket.on("end", () => resolve(text));
  });
  if (answer.includes("error")) {
    throw new Error(`slirp4netns publishes no port: ${answer}`);
  }
}

/** Waits until something comes both ways; the guest asks first: pasta has to learn its MAC. */
async function reachable({ tools, outside }: Outside, guest: Namespace): Promise<void> {
  for (const [from, address, port] of [
    [guest, OUTSIDE, OUTSIDE_PORT],
    [outside, POD, PUBLISHED_PORT],
  ] as const) {
    const argv = [tools.beside, "get", address, String(port), "0", "1", "1"];
    const works = async (): Promise<boolean> => JSON.parse((await from.run(argv)).stdout).ok;
    await until(works, `port ${port} of ${address} to answer`, START_ms);
  }
}
