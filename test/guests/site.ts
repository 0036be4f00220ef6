/**
 * Where a guest of vhost-user lives: a host with servers, `attach`, and the folder of its sockets.
 * What is started here ends here.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { httpServer, type Server, tcpServer, udpServer } from "../support/e2e/peers.ts";
import { type Attached, startAttach } from "../support/e2e/program.ts";
import { startDns } from "../support/e2e/setup.ts";
import { type Outcome, until } from "../support/e2e/shell.ts";
import { createHost, HOST_ADDRESS, HOST_ADDRESS6, type Namespace } from "../support/e2e/world.ts";

/** Ports of the host that are published, and the guest's behind them. */
export const PUBLISHED = { tcp: 7000, udp: 7001, http: 8080 } as const;
const PUBLISH = [
  ...["--publish", `${PUBLISHED.tcp}:7000`, "--publish", `${PUBLISHED.udp}:7001/udp`],
  ...["--publish", `${PUBLISHED.http}:80`],
];

export interface Servers {
  readonly tcp: Server;
  readonly udp: Server;
  /** The same of IPv6. */
  readonly tcp6: Server;
  readonly udp6: Server;
  readonly http: Server;
}

export class Site {
  readonly host: Namespace = createHost("nameserver 127.0.0.1\n");
  readonly folder = mkdtempSync(join(tmpdir(), "slirp-site-"));
  /** Of `attach`, for a QEMU to connect to. */
  readonly socket: string;
  readonly #prefix: readonly string[];
  readonly #programs: Attached[] = [];

  /** @param prefix put before the program's command line: `setpriv …` */
  constructor(prefix: readonly string[] = []) {
    this.#prefix = prefix;
    chmodSync(this.folder, 0o755);
    const sockets = join(this.folder, "s");
    mkdirSync(sockets);
    chmodSync(sockets, 0o777); // root becomes nobody, and the socket is to be gone at the end
    this.socket = join(sockets, "vm");
  }

  /**
   * Starts servers on the host's addresses, and DNS.
   * @param like those of another host, whose ports they have
   */
  async serve(like?: Servers): Promise<Servers> {
    const { host } = this;
    await startDns(host, "127.0.0.1", "203.0.113.1");
    return {
      tcp: await tcpServer(host, HOST_ADDRESS, like?.tcp.port),
      udp: await udpServer(host, HOST_ADDRESS, like?.udp.port),
      tcp6: await tcpServer(host, HOST_ADDRESS6, like?.tcp6.port),
      udp6: await udpServer(host, HOST_ADDRESS6, like?.udp6.port),
      http: await httpServer(host, HOST_ADDRESS, like?.http.port),
    };
  }

  /** Starts the program; it listens at the socket unless it is told to connect. */
  async attach(...args: readonly string[]): Promise<Attached> {
    const link = args.includes("--vhost-user-connect") ? [] : ["--vhost-user", this.socket];
    const words = [...link, ...PUBLISH, "--log-format", "json", ...args];
    const program = await startAttach(this.host, words, this.#prefix);
    this.#programs.push(program);
    return program;
  }

  async remove(): Promise<void> {
    for (const program of this.#programs) if (!program.running.ended()) await program.stop();
    this.host.remove();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** How often the program has logged a message. */
export function logged(program: Attached, message: string): number {
  return program.running.stderr().split(`"msg":"${message}"`).length - 1;
}

/** Ends the program, which has to end well; what it has counted. */
export async function endsWell(program: Attached): Promise<Outcome> {
  const outcome = await program.stop();
  if (outcome.code !== 0) throw new Error(`attach gave ${outcome.code}: ${outcome.stderr}`);
  return outcome;
}

/** Asks the program for its counters (SIGUSR1). */
export async function countersOf(program: Attached): Promise<Readonly<Record<string, number>>> {
  const lines = (): string[] =>
    program.running
      .stderr()
      .split("\n")
      .filter((line) => line.includes('"msg":"counters"'));
  const before = lines().length;
  program.running.signal("SIGUSR1");
  const line = await until(() => lines()[before], "the program's counters");
  return JSON.parse(line) as Record<string, number>;
}
