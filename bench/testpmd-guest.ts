/**
 * dpdk-testpmd as the guest of a vhost-user link: DPDK's virtio driver in an ordinary process, so
 * the other end of the rings is as fast as the machine and no processor is emulated.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { type Outcome, type Running, start, until, which } from "../test/support/e2e/shell.ts";
import type { MemoryKind } from "./testpmd-plan.ts";

export const GUEST_ADDRESS = "10.0.2.15";
export const GUEST_PORT = 9100;
const GUEST_MAC = "52:54:00:12:34:56";
const GATEWAY_MAC = "52:55:0a:00:02:02";
const GATEWAY = "10.0.2.2";
const TESTPMD = "dpdk-testpmd";
/** Ends with its main thread on the first core, and the one that polls on the second. */
const CORES = "0,1";
const MEMORY_MIB = 256;
const BUFFERS = 8192;
const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 10_000;

/** What testpmd does with frames: sends its own, counts, or sends back what it gets. */
export type Mode = "txonly" | "rxonly" | "5tswap";

export interface TestpmdOptions {
  readonly socket: string;
  readonly mode: Mode;
  /** Octets of the frames it makes. */
  readonly size: number;
  /** Port of the gateway's that they are sent to. */
  readonly port: number;
  readonly memory: MemoryKind;
  /** The library made of bench/sealed.c. */
  readonly sealed: string;
  /** Folder for its files. */
  readonly folder: string;
}

/** Frames that passed the card, as testpmd counts them. */
export interface Totals {
  readonly received: number;
  readonly sent: number;
}

/** Why it cannot be had, or undefined. */
export function testpmdMissing(): string | undefined {
  return which(TESTPMD) === undefined ? `needs ${TESTPMD} (Debian package dpdk-dev)` : undefined;
}

function commandLine({ socket, mode, size, port, folder }: TestpmdOptions): string[] {
  const card = `net_virtio_user0,path=${socket},mac=${GUEST_MAC},queues=1`;
  return [
    TESTPMD,
    ...["--no-huge", "-m", String(MEMORY_MIB), "--no-pci", "--no-telemetry", "-l", CORES],
    ...[`--file-prefix=${prefixOf(folder)}`, `--vdev=${card}`, "--"],
    ...["--no-numa", `--total-num-mbufs=${BUFFERS}`, `--forward-mode=${mode}`],
    ...[`--eth-peer=0,${GATEWAY_MAC}`, `--txpkts=${size}`, `--tx-ip=${GUEST_ADDRESS},${GATEWAY}`],
    // A burst to begin with tells the program where the guest is.
    ...[`--tx-udp=${GUEST_PORT},${port}`, ...(mode === "txonly" ? [] : ["--tx-first"])],
  ];
}

const prefixOf = (folder: string): string => `slirp-bench-${process.pid}-${folder.length}`;

/** A testpmd at work. */
export class Testpmd {
  readonly #running: Running;
  readonly #runtime: string;

  private constructor(running: Running, runtime: string) {
    this.#running = running;
    this.#runtime = runtime;
  }

  /**
   * Starts it and waits until it forwards, which it does not tell before it ends where its output
   * is a pipe. Throws where it does not.
   * @param hasSent whether the other end has got frames
   */
  static async start(options: TestpmdOptions, hasSent: () => Promise<boolean>): Promise<Testpmd> {
    const preload = options.memory === "sealed" ? { LD_PRELOAD: options.sealed } : {};
    const env = { RUNTIME_DIRECTORY: options.folder, ...preload };
    const running = start(commandLine(options), { env });
    const runtime = join(options.folder, "dpdk", prefixOf(options.folder));
    const testpmd = new Testpmd(running, runtime);
    try {
      await until(
        async () => running.ended() || (await hasSent()),
        `${TESTPMD} to forward`,
        START_LIMIT_MS,
      );
      if (running.ended()) throw new Error(`${TESTPMD}: ${running.stderr()}`);
      return testpmd;
    } catch (error) {
      await testpmd.stop().catch(() => undefined);
      throw error;
    }
  }

  /** Ends it; what it has counted from its start on. */
  async stop(): Promise<Totals> {
    this.#running.write("\n");
    this.#running.closeInput();
    const outcome = await this.#running.outcome(STOP_LIMIT_MS);
    rmSync(this.#runtime, { recursive: true, force: true });
    return totalsOf(outcome);
  }
}

function totalsOf({ stdout, stderr }: Pick<Outcome, "stdout" | "stderr">): Totals {
  const totals = readTotals(stdout);
  if (totals === undefined) throw new Error(`${TESTPMD} told no statistics: ${stderr}`);
  return totals;
}

/** The sums that testpmd prints when it ends. */
export function readTotals(text: string): Totals | undefined {
  const sums = text.slice(text.lastIndexOf("Accumulated forward statistics"));
  const received = sums.match(/RX-packets: (\d+)/)?.[1];
  const sent = sums.match(/TX-packets: (\d+)/)?.[1];
  if (received === undefined || sent === undefined) return undefined;
  return { received: Number(received), sent: Number(sent) };
}
