/**
 * A real Linux guest under QEMU (TCG, no KVM needed), and a shell on the serial console that the
 * test types into. Boots in a few seconds. What it boots from: `src/lab/demo/guest-image.ts`.
 *
 * Kernel and busybox stay in `build/qemu` for the next run.
 */

import { join } from "node:path";
import { type CardModel, readAnswer } from "../../src/lab/demo/guest-image.ts";
import { guestMissing, qemuCommand } from "../../src/lab/demo/guest-machine.ts";
import { ROOT } from "./e2e/program.ts";
import { type Running, start, until, which } from "./e2e/shell.ts";

export type { CardModel } from "../../src/lab/demo/guest-image.ts";
export { DHCP_COMMAND, guestImage, KERNEL_ARGUMENTS } from "../../src/lab/demo/guest-image.ts";

export interface GuestOptions {
  readonly model?: CardModel;
  /** What follows `-netdev`, with the id `n`. */
  readonly netdev: string;
  readonly mac?: string;
  /** Further properties of the card: `host_mtu=9000`. */
  readonly properties?: string;
  /** Put before QEMU's command line, as `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
  /** Programs of this machine that the guest gets too, with their libraries, by name. */
  readonly programs?: readonly string[];
  /** Further arguments of QEMU. */
  readonly args?: readonly string[];
}

/** The serial console of a guest: what it prints, whole, and where to type. */
export interface GuestConsole {
  write(text: string): void;
  stdout(): string;
  stderr(): string;
  /** Whether the machine is off. */
  ended(): boolean;
}

export const GUEST_MAC = "52:54:00:12:34:56";
/** Where kernel, busybox and what is built of them are kept. */
export const CACHE = join(ROOT, "build/qemu");
export const BOOT_LIMIT_MS = 180_000;
const RUN_LIMIT_MS = 60_000;
/** Of a guest that shares its memory. */
const SHARED_MIB = 320;

/** Why there can be no such guest here, or undefined when there can. */
export function qemuMissing(): string | undefined {
  return guestMissing((program) => which(program) !== undefined);
}

/**
 * A guest whose card is served by vhost-user at a socket, which QEMU connects to, and does so again
 * when the other end has gone. Without MSI-X: QEMU 7.2 dies of it where it emulates the processor
 * and another process the card (a null pointer in virtio-pci).
 * @param card further properties of the card
 * @param memory further properties of the memory: `seal=off`
 * @param socket how QEMU gets to the socket: `server=on` listens
 */
export function vhostUserGuest(
  path: string,
  card: readonly string[] = [],
  memory: readonly string[] = [],
  socket = "reconnect=1",
  size_mib = SHARED_MIB,
): Pick<GuestOptions, "netdev" | "properties" | "args"> {
  const shared = ["memory-backend-memfd", "id=m", `size=${size_mib}M`, "share=on", ...memory];
  return {
    netdev: "vhost-user,id=n,chardev=c",
    properties: ["vectors=0", ...card].join(","),
    args: [
      ...["-m", String(size_mib)],
      ...["-object", shared.join(","), "-machine", "memory-backend=m"],
      ...["-chardev", `socket,id=c,path=${path},${socket}`],
    ],
  };
}

/** Starts a guest's QEMU; its shell may be a while, or come from another machine. */
export function startMachine(options: GuestOptions): QemuGuest {
  const { prefix = [], ...machine } = options;
  const command = qemuCommand({ cache: CACHE, mac: GUEST_MAC, ...machine });
  return new QemuGuest(start([...prefix, ...command]));
}

/** Starts a guest and waits for its shell. */
export async function startGuest(options: GuestOptions): Promise<QemuGuest> {
  const guest = startMachine(options);
  try {
    await guest.answer(BOOT_LIMIT_MS);
  } catch (error) {
    guest.running.signal("SIGKILL");
    throw error;
  }
  return guest;
}

/** A guest whose shell waits for commands, at the other end of a console. */
export class GuestShell {
  readonly #console: GuestConsole;
  /** Answers are told apart by counting them: the output of the console is kept whole. */
  #seen = 0;

  constructor(console: GuestConsole) {
    this.#console = console;
  }

  /** What was printed up to the next answer, and the answer; the first one is "ready". */
  async answer(limit_ms: number): Promise<{ code: string; output: string }> {
    const from = this.#console;
    const rest = (): string => from.stdout().slice(this.#seen);
    const answer = await until(
      () => readAnswer(rest()) ?? (from.ended() ? "ended" : undefined),
      () => `an answer of the guest; it said: ${rest()}`,
      limit_ms,
    );
    if (answer === "ended") throw new Error(`QEMU has ended: ${rest()}${from.stderr()}`);
    this.#seen += answer.size;
    return answer;
  }

  /** Runs a line of shell; its output, both streams, and its exit code. */
  async run(line: string, limit_ms = RUN_LIMIT_MS): Promise<{ code: number; output: string }> {
    this.#console.write(`${line}\n`);
    const { code, output } = await this.answer(limit_ms);
    return { code: Number(code), output };
  }

  /** The same, for what has to succeed. */
  async must(line: string, limit_ms?: number): Promise<string> {
    const { code, output } = await this.run(line, limit_ms);
    if (code !== 0) throw new Error(`The guest's "${line}" gave ${code}: ${output}`);
    return output;
  }
}

/** A guest in a QEMU of its own. */
export class QemuGuest extends GuestShell {
  readonly running: Running;

  constructor(running: Running) {
    super(running);
    this.running = running;
  }

  /** Pulls the power plug. */
  async kill(): Promise<void> {
    this.running.signal("SIGKILL");
    await this.running.outcome();
  }
}
