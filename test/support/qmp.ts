/**
 * QEMU's machine protocol: commands to a QEMU that listens on a unix socket for it, one at a time.
 *
 * Source: QEMU's documentation, interop/qmp-spec.
 */
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { until } from "./e2e/shell.ts";

type Answer = Readonly<Record<string, unknown>>;

const ANSWER_LIMIT_MS = 60_000;
/** Where QEMU has the first card that was given on its command line. */
export const CARD = "/machine/peripheral-anon/device[0]/virtio-backend";

/** Arguments of QEMU that has it listen at `path`. */
export function qmpArguments(path: string): string[] {
  return ["-qmp", `unix:${path},server=on,wait=off`];
}

export class Qmp {
  readonly #socket: Socket;
  readonly #answers: Answer[] = [];
  #hasEnded = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    createInterface({ input: socket }).on("line", (line) => {
      const answer = JSON.parse(line) as Answer;
      if (!("event" in answer)) this.#answers.push(answer);
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#hasEnded = true;
    });
  }

  /** Connects to a QEMU that is about to listen at `path`. */
  static async open(path: string): Promise<Qmp> {
    const socket = await until(() => dial(path), `QEMU to listen at ${path}`);
    const qmp = new Qmp(socket);
    await qmp.#answer("its greeting");
    await qmp.ask("qmp_capabilities");
    return qmp;
  }

  /** What a command returns. Throws with QEMU's words where it fails. */
  async ask(execute: string, words: Answer = {}): Promise<Answer> {
    this.#socket.write(`${JSON.stringify({ execute, arguments: words })}\n`);
    const { error, return: result } = await this.#answer(execute);
    if (error !== undefined) throw new Error(`QEMU's ${execute}: ${JSON.stringify(error)}`);
    return (result ?? {}) as Answer;
  }

  /** What a line of the human monitor prints. */
  async monitor(line: string): Promise<string> {
    const words = { "command-line": line };
    this.#socket.write(
      `${JSON.stringify({ execute: "human-monitor-command", arguments: words })}\n`,
    );
    const { return: result } = await this.#answer(line);
    return String(result);
  }

  close(): void {
    this.#socket.destroy();
  }

  #answer(what: string): Promise<Answer> {
    return until(
      () => {
        const answer = this.#answers.shift();
        if (answer === undefined && this.#hasEnded) throw new Error(`QEMU has ended: ${what}`);
        return answer;
      },
      `QEMU's answer to ${what}`,
      ANSWER_LIMIT_MS,
    );
  }
}

function dial(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => resolve(socket));
    socket.once("error", () => resolve(undefined));
  });
}

/** Flags and index of the rings of a card that vhost-user serves, out of guest memory. */
export async function ringsOf(qmp: Qmp): Promise<string> {
  const lines: string[] = [];
  for (const queue of [0, 1]) {
    const ring = await qmp.ask("x-query-virtio-vhost-queue-status", { path: CARD, queue });
    for (const part of ["avail", "used"]) {
      const words = await qmp.monitor(`xp /2hx ${ring[`${part}-phys`]}`);
      lines.push(`queue ${queue}, ${part}: ${words.trim()}`);
    }
  }
  return lines.join("\n");
}
