/** The admin socket of a command that serves guests: where it is, and what answers there. */

import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { EventLog } from "../admin/events.ts";
import {
  makeRuntimeFolder,
  runtimeFolder,
  SIDECAR_SOCKET,
  socketOf,
  sweepInstances,
} from "../admin/instances.ts";
import { LogTail } from "../admin/log-tail.ts";
import type { AdminProgram } from "../admin/program.ts";
import { type AdminSocket, openAdminSocket } from "../admin/socket.ts";
import { type NetworkEvent, withEvents } from "../binding/events.ts";
import type { RunningNetwork } from "../binding/networks.ts";
import type { AdminPlace } from "../config/admin.ts";
import type { LevelledLogger } from "../lib/log.ts";
import { messageOf } from "../lib/message.ts";
import { standardError } from "../lib/standard-error.ts";
import { processFigures } from "../metrics/process-figures.ts";
import { hasSystemCalls, loadLibc } from "../sys/libc.ts";
import { collectGarbage, releaseProgramPagesLater } from "../sys/resident.ts";
import { ownUid } from "./program.ts";

const MS_PER_SECOND = 1000;
const US_PER_MS = 1000;
/** Without a connection, before memory is given back. */
const QUIET_ms = 2000;

export interface AdminNeeds {
  /** attach or serve. */
  readonly command: string;
  /** As it was asked for; undefined: the usual place. */
  readonly place: AdminPlace | undefined;
  readonly log: LevelledLogger;
  /** Of `ownRuntimeDir`, from before the environment was wiped. */
  readonly runtimeDir: string | undefined;
}

/**
 * What is known of a program from its start: its events, and how to name it. To be made before
 * there are networks.
 */
export class Admin {
  readonly events = new EventLog(nowOf);
  /** The program's log: lines that are events are kept. */
  readonly log: LevelledLogger;
  readonly #logTail = new LogTail();
  readonly #needs: AdminNeeds;
  readonly #started = nowOf() - Math.round(process.uptime() * MS_PER_SECOND * US_PER_MS);
  #socket: AdminSocket | undefined;
  #quiet: NodeJS.Timeout | undefined;

  constructor(needs: AdminNeeds) {
    this.#needs = needs;
    if (this.isOn) standardError().onLine = (line) => this.#logTail.take(line);
    this.log = withEvents(needs.log, (event) => {
      const { iface = "" } = event.details;
      this.events.add(iface, event);
    });
  }

  /** Whether anybody may ask. */
  get isOn(): boolean {
    return this.#needs.place !== "off";
  }

  /** Nobody has said where. */
  get hasUsualPlace(): boolean {
    return this.#needs.place === undefined;
  }

  /** Takes what happens to a network. */
  hears(network: string): (event: NetworkEvent) => void {
    return (event) => this.events.add(network, event);
  }

  /**
   * Listens from now on.
   * @param folder of a sidecar, where `kubectl exec` finds the socket
   * @throws Error where the place that was asked for cannot be had; without the usual one it goes
   * on, and says so
   */
  async open(networks: () => readonly RunningNetwork[], folder?: string): Promise<void> {
    const { place, log } = this.#needs;
    if (place === "off") return;
    try {
      const path = place?.path ?? (await this.#usualPath(folder));
      const load = async () => {
        const { adminHandler } = await import("../admin/handler.ts");
        return adminHandler(this.#program(networks));
      };
      const umask = (mask: number): number => process.umask(mask);
      const onQuiet = (): void => this.#giveBackLater();
      this.#socket = await openAdminSocket(path, { load, umask, onQuiet });
      log.debug({ path }, "admin socket ready");
    } catch (error) {
      if (place !== undefined) throw error;
      log.warn({ problem: messageOf(error) }, "no admin socket: commands cannot ask this program");
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#quiet);
    await this.#socket?.close();
    this.#socket = undefined;
  }

  /** Gives back what answering has taken, once nobody has asked for a while. */
  #giveBackLater(): void {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(async () => {
      collectGarbage();
      if (hasSystemCalls()) releaseProgramPagesLater(await loadLibc(), process.execPath);
    }, QUIET_ms);
    this.#quiet.unref();
  }

  get #name(): string {
    return `${this.#needs.command}-${process.pid}`;
  }

  async #usualPath(folder: string | undefined): Promise<string> {
    if (folder !== undefined) return join(folder, SIDECAR_SOCKET);
    const uid = ownUid();
    const usual = runtimeFolder(uid, this.#needs.runtimeDir);
    makeRuntimeFolder(usual, uid);
    await sweepInstances(usual);
    return socketOf(usual, this.#name);
  }

  #program(networks: () => readonly RunningNetwork[]): AdminProgram {
    const started = this.#started;
    const startSeconds = started / (MS_PER_SECOND * US_PER_MS);
    return {
      name: this.#name,
      version: packageJson.version,
      pid: process.pid,
      command: this.#needs.command,
      started,
      now: nowOf,
      figures: () => processFigures(process, packageJson.version, startSeconds),
      networks,
      events: this.events,
      log: this.log,
      logTail: this.#logTail,
    };
  }
}

/** Microseconds since 1970. */
function nowOf(): number {
  return Date.now() * US_PER_MS;
}
