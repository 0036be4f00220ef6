/** A guest network as a program, whose log is read, and the guest at its link. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { framed } from "../link/fake-socket.ts";
import { GATEWAY, GUEST, GUEST_MAC } from "../support/engine-settings.ts";
import { arp, ETHERTYPE_ARP, ethernet, MAC_BROADCAST } from "../support/packet.ts";

const LIMIT_MS = 20_000;
const CHILD = fileURLToPath(new URL("./binding-child.ts", import.meta.url));
const RUNTIME = "Deno" in globalThis ? ["run", "-A", "--no-check", "--no-lock"] : [];
/** What every line has, and what differs from run to run. */
const COMMON = ["timestamp", "level", "component", "pos", "msg"];

/** One line: its level, message and what else is in it. */
interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

function lineOf(text: string): Line {
  const all = JSON.parse(text) as Record<string, unknown>;
  const rest = Object.entries(all).filter(([name]) => !COMMON.includes(name));
  return {
    level: String(all["level"]),
    message: String(all["msg"]),
    fields: Object.fromEntries(rest),
  };
}

/** A guest network in a process of its own. */
export class Program {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  #said = "";
  #written = "";

  /**
   * @param options those of `attach`
   * @param prefix put before its command line
   */
  constructor(options: Readonly<Record<string, string>>, prefix: readonly string[] = []) {
    const command = [...prefix, process.execPath, ...RUNTIME, CHILD, JSON.stringify(options)];
    const [program = "", ...args] = command;
    this.#child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stdout?.on("data", (chunk: Buffer) => {
      this.#said += chunk;
    });
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.#written += chunk;
    });
    this.#ended = new Promise((resolve) => this.#child.on("close", resolve));
  }

  get lines(): Line[] {
    const whole = this.#written.slice(0, this.#written.lastIndexOf("\n") + 1);
    return whole.split("\n").filter(Boolean).map(lineOf);
  }

  async ready(): Promise<void> {
    await until(
      () => this.#said.includes("ready\n"),
      () => this.#written,
    );
  }

  /** The first line with that message, as soon as it is there. */
  async line(message: string): Promise<Line> {
    const find = () => this.lines.find((line) => line.message === message);
    await until(
      () => find() !== undefined,
      () => `"${message}" in:\n${this.#written}`,
    );
    return find() ?? assert.fail();
  }

  async end(): Promise<void> {
    this.#child.stdin?.end();
    await this.#ended;
  }

  /** Resolves to its code when it has ended by itself. */
  get ended(): Promise<number | null> {
    return this.#ended;
  }
}

export async function until(holds: () => boolean, what: () => string): Promise<void> {
  for (const end = performance.now() + LIMIT_MS; !holds(); ) {
    if (performance.now() > end) throw new Error(`Waited in vain: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A frame by which a guest is known: it asks for the gateway. */
export const QUESTION = framed(
  ethernet(
    { destination: MAC_BROADCAST, source: GUEST_MAC, type: ETHERTYPE_ARP },
    arp({ operation: 1, senderMac: GUEST_MAC, senderAddress: GUEST, targetAddress: GATEWAY }),
  ),
);

/** Runs with a program that listens at a path. */
export async function withProgram(
  more: Readonly<Record<string, string>>,
  run: (program: Program, path: string, link: string) => Promise<void>,
  prefix: readonly string[] = [],
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "slirp-worker-"));
  chmodSync(folder, 0o777);
  const path = join(folder, "vm.sock");
  const program = new Program({ listen: `unix:${path}`, ...more }, prefix);
  try {
    await program.line("limits"); // the socket is there by then
    await run(program, path, `unix:${path}`);
  } finally {
    await program.end();
    rmSync(folder, { recursive: true });
  }
}

export function peerAt(path: string): Socket {
  const peer = connect(path);
  peer.on("error", () => {}); // it may be refused
  return peer;
}
