/**
 * The data plane of `serve`: from the plans of the hooks to guest networks that run.
 *
 * One network for each interface whose link ends here (`client`: a loopback port, `stream` and
 * `vhost-user`: a socket in `userdata/` of the hooks folder, the only place where virt-launcher
 * takes no file for a hook socket). Interfaces with the link `user` are QEMU's own affair.
 *
 * The code behind it is loaded with the first plan, so that the hook socket is there sooner.
 */

import { networkInterfaces } from "node:os";
import { join } from "node:path";
import type { Network, Networks, RunningNetwork } from "../binding/networks.ts";
import type { ResolvReader } from "../binding/resolv-reader.ts";
import { quote } from "../config/errors.ts";
import type { ServeOptions } from "../config/serve.ts";
import { type DataPlane, startQemuDataPlane } from "../hooks/data-plane.ts";
import type { Attachment } from "../hooks/domain/attachment.ts";
import { HookError } from "../hooks/domain/errors.ts";
import type { BindingPlan } from "../hooks/domain/plan.ts";
import { LOOPBACK } from "../lib/addr.ts";
import { messageOf } from "../lib/message.ts";
import { holdMemoryGroup } from "../sys/cgroup.ts";
import { hasSystemCalls } from "../sys/libc.ts";
import type { Admin } from "./admin.ts";
import { logCounters } from "./counters.ts";
import { type IpVersions, podVersionsOf } from "./hook-context.ts";
import { networkOptions, type ServeLink } from "./network-options.ts";
import { drawSeed, ownUid } from "./program.ts";
import { makeUserFolder, removeUserFolder } from "./user-folder.ts";

/** Who hears of networks, and where their log lines go. */
type Watcher = Pick<Admin, "log" | "hears" | "isOn">;

/** Those whose other end is here. */
type DataPlaneAttachment = Exclude<Attachment, { readonly kind: "user" }>;

/** A data plane that can be asked how it is. */
export interface ServeDataPlane extends DataPlane {
  /** Interfaces that have a guest at the other end of their link. */
  readonly attached: readonly string[];
  /** Whether a guest that is there shows in `attached`: not where QEMU has its frames itself. */
  readonly seesGuests: boolean;
  /** The guest networks that there are, by the names of their interfaces. */
  readonly networks: readonly RunningNetwork[];
  /** Logs the counters of every network. */
  logCounters(): void;
}

/** What a runtime can do: one without system calls leaves the frames to QEMU. */
export function startDataPlane(
  options: ServeOptions,
  admin: Watcher,
  resolvReader: ResolvReader,
): ServeDataPlane {
  if (!hasSystemCalls()) {
    const none = { attached: [], networks: [], seesGuests: false, logCounters: () => {} };
    return { ...startQemuDataPlane(), ...none };
  }
  return new WorkerDataPlane(options, admin, resolvReader);
}

class WorkerDataPlane implements ServeDataPlane {
  readonly autoLink: "vhost-user" | "client";
  seesGuests = true;
  readonly #options: ServeOptions;
  readonly #admin: Watcher;
  readonly #resolvReader: ResolvReader;
  #networks: Networks | undefined;
  readonly #uid = ownUid();
  readonly #memoryGroup = holdMemoryGroup();
  /** Interfaces that are wanted: they share what there is. */
  #count = 1;
  /** Gives back pages of the program file when there has been no call for a while. */
  #releaseLater: () => void = () => {};
  /** In use, so ours to remove at the end, if nobody else has put something there. */
  #folder: string | undefined;

  constructor(options: ServeOptions, admin: Watcher, resolvReader: ResolvReader) {
    this.#options = options;
    this.autoLink = options.hooksDir === undefined ? "client" : "vhost-user";
    this.#admin = admin;
    this.#resolvReader = resolvReader;
  }

  async prepare(plans: readonly BindingPlan[]): Promise<void> {
    const versions = podVersionsOf(networkInterfaces());
    const wanted = plans.flatMap((plan) => this.#networkOf(plan, versions));
    this.#count = wanted.length;
    this.seesGuests = plans.length === wanted.length;
    if (wanted.length === 0 && this.#networks === undefined) return;
    this.#networks ??= await this.#load();
    try {
      await this.#networks.prepare(wanted);
      this.#releaseLater();
    } catch (error) {
      throw new HookError("failed-precondition", messageOf(error));
    }
  }

  get memoryLimit(): number | undefined {
    return this.#memoryGroup?.limit;
  }

  get attached(): readonly string[] {
    return this.#networks?.attached ?? [];
  }

  get networks(): readonly RunningNetwork[] {
    return this.#networks?.all ?? [];
  }

  async idle(): Promise<void> {
    await this.#networks?.idle();
  }

  async close(): Promise<void> {
    await this.#networks?.close();
    if (this.#folder === undefined) return;
    removeUserFolder(this.#folder);
    this.#folder = undefined;
  }

  logCounters(): void {
    for (const { name, binding } of this.networks) {
      logCounters(this.#admin.log, binding, { iface: name });
    }
  }

  async #load(): Promise<Networks> {
    const [{ Networks }, { startBinding }, { loadLibc }, resident] = await Promise.all([
      import("../binding/networks.ts"),
      import("../binding/binding.ts"),
      import("../sys/libc.ts"),
      import("../sys/resident.ts"),
    ]);
    const sys = await loadLibc();
    // Calls come in a row when a machine starts; none of them is to wait for pages.
    this.#releaseLater = () => resident.releaseProgramPagesLater(sys, process.execPath);
    // What the start has needed, before the engine's needs come.
    resident.releaseProgramPages(sys, process.execPath);
    return new Networks({
      log: this.#admin.log,
      clock: () => performance.now(),
      after: (pause_ms, run) => {
        const timer = setTimeout(run, pause_ms);
        return () => clearTimeout(timer);
      },
      start: ({ name, options }, onPeers) =>
        startBinding(options, {
          seed: drawSeed(),
          program: process.execPath,
          uid: this.#uid,
          memoryGroup: this.#memoryGroup,
          resolvReader: this.#resolvReader,
          helper: [],
          networks: this.#count,
          onPeers,
          log: this.#admin.log,
          onEvent: this.#admin.hears(name),
          isWatched: this.#admin.isOn || this.#options.metrics !== undefined,
        }),
    });
  }

  #networkOf(plan: BindingPlan, versions: IpVersions): Network[] {
    const { interfaceName: name, attachment } = plan;
    if (attachment.kind === "user") return [];
    const link = this.#linkOf(name, attachment);
    return [{ name, options: networkOptions(plan, versions, link, this.#options) }];
  }

  #linkOf(interfaceName: string, attachment: DataPlaneAttachment): ServeLink {
    const common = { role: "listen", peerUids: this.#options.peerUids } as const;
    if (attachment.kind === "client") {
      const endpoint = { kind: "tcp", address: LOOPBACK, port: attachment.port } as const;
      return { kind: "stream", endpoint, ...common };
    }
    const { kind, file } = attachment;
    const folder = this.#userFolder(`iface ${quote(interfaceName)}`, kind);
    return { kind, endpoint: { kind: "unix", path: join(folder, file) }, ...common };
  }

  #userFolder(iface: string, kind: string): string {
    const { hooksDir } = this.#options;
    if (hooksDir === undefined) {
      const problem = `${iface}: link ${quote(kind)} needs a hooks folder`;
      throw new HookError("failed-precondition", problem);
    }
    try {
      this.#folder = makeUserFolder(hooksDir);
    } catch (error) {
      throw new HookError("failed-precondition", `${iface}: ${messageOf(error)}`);
    }
    return this.#folder;
  }
}
