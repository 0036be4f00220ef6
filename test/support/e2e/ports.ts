/** Published ports of a running program: asked for by its admin socket, and used from the host. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AdminCalls, type AdminClient, adminClient } from "../../../src/admin/client.ts";
import type { PublishedPort } from "../../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";
import { script } from "./peers.ts";
import { type Running, until } from "./shell.ts";
import type { Namespace } from "./world.ts";

const USE_LIMIT_ms = 30_000;

export interface Use {
  readonly protocol: "tcp" | "udp";
  readonly host: string;
  readonly port: number;
  readonly size: number;
}

interface Report {
  readonly code: string;
  readonly same: boolean;
}

/** A place for an admin socket, and who asks there. */
export class Asker {
  readonly #folder = mkdtempSync(join(tmpdir(), "slirp-publish-"));
  #client: AdminClient | undefined;

  get path(): string {
    return join(this.#folder, "admin.sock");
  }

  /** Arguments of the program. */
  get args(): readonly string[] {
    return ["--admin", `unix:${this.path}`];
  }

  get calls(): AdminCalls {
    this.#client ??= adminClient(this.path);
    return this.#client.calls;
  }

  async add(rule: string, network = ""): Promise<readonly PublishedPort[]> {
    return (await this.calls.addPublished({ network, rule })).ports;
  }

  async remove(rule: string, network = ""): Promise<readonly PublishedPort[]> {
    return (await this.calls.removePublished({ network, rule })).ports;
  }

  async list(): Promise<readonly PublishedPort[]> {
    return (await this.calls.listPublished({})).ports;
  }

  /** Resolves as soon as all ports answer: a guest may have to be asked for first. */
  async listening(): Promise<void> {
    await until(
      async () => (await this.list()).every(({ isListening }) => isListening),
      "published ports to listen",
    );
  }

  close(): void {
    this.#client?.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Echoes at a port of the guest, on all of its addresses. */
export async function servePort(guest: Namespace, port: number): Promise<void> {
  await guest.start(script("port-user.mjs", "serve", `${port}`)).waitFor(/listening/);
}

/** Uses ports from the host, several at once. */
export class PortUser {
  readonly #running: Running;
  #latest = 0;

  constructor(host: Namespace) {
    this.#running = host.start(script("port-user.mjs", "use"));
  }

  async use(use: Use): Promise<Report> {
    this.#latest += 1;
    const id = this.#latest;
    this.#running.write(`${JSON.stringify({ id, ...use })}\n`);
    const [line] = await this.#running.waitFor(new RegExp(`^.*"id":${id},.*$`, "m"), USE_LIMIT_ms);
    const { code, same } = JSON.parse(line) as Report;
    return { code, same };
  }

  /** It comes back as it was sent. */
  async works(use: Use): Promise<void> {
    assert.deepEqual(await this.use(use), { code: "", same: true }, JSON.stringify(use));
  }

  /** The kernel refuses it. */
  async refused(use: Use): Promise<void> {
    const wanted = { code: "ECONNREFUSED", same: false };
    assert.deepEqual(await this.use(use), wanted, JSON.stringify(use));
  }
}
