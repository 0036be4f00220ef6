/**
 * End to end: firmware that nobody here wrote boots over the network: iPXE (BIOS), OVMF by PXE and
 * HTTP over both versions of IP, U-Boot.
 *
 * Method: a machine without disks under QEMU behind a stream socket, and the files in a folder.
 * What they load prints a line on the serial console.
 */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Attached, startAttach } from "../support/e2e/program.ts";
import { cannotRun, oursOnly, startDns } from "../support/e2e/setup.ts";
import { type Running, until } from "../support/e2e/shell.ts";
import { createHost, HOST_ADDRESS, HOST_ADDRESS6, type Namespace } from "../support/e2e/world.ts";
import {
  efiProgram,
  type Firmware,
  firmwareMissing,
  printed,
  startFirmware,
  ubootScript,
} from "../support/firmware.ts";

const LIMIT = { timeout: 300_000 };
const BOOT_LIMIT_MS = 180_000;
const FILE_SERVER = fileURLToPath(new URL("../support/e2e/file-server.mjs", import.meta.url));

class World {
  readonly host: Namespace = createHost("nameserver 127.0.0.1\n");
  readonly folder = mkdtempSync(join(tmpdir(), "slirp-boot-"));
  readonly files = join(this.folder, "tftp");
  readonly #running: Running[] = [];
  #program: Attached | undefined;

  constructor() {
    mkdirSync(this.files);
    for (const each of [this.folder, this.files]) chmodSync(each, 0o755);
    // Root becomes nobody, and the socket is to be gone at the end.
    mkdirSync(this.#socketFolder);
    chmodSync(this.#socketFolder, 0o777);
  }

  get #socketFolder(): string {
    return join(this.folder, "socket");
  }

  /** Has the guest's network, with these arguments, and the machine. */
  async boot(firmware: Firmware, args: readonly string[], isShared = false): Promise<Running> {
    const socket = join(this.#socketFolder, "vm");
    const link = isShared ? ["--vhost-user", socket] : ["--listen", `unix:${socket}`];
    const more = ["--mtu", "1500", "--log-format", "json"];
    this.#program = await startAttach(this.host, [...link, ...more, ...args]);
    const machine = startFirmware(firmware, socket, this.folder, isShared);
    this.#running.push(machine);
    return machine;
  }

  /** Serves a file by HTTP on all of the host's addresses. */
  async serve(file: string): Promise<{ readonly port: string; readonly server: Running }> {
    const server = this.host.start([process.execPath, FILE_SERVER, file]);
    this.#running.push(server);
    await until(() => server.stdout().includes("\n"), "the server's port");
    return { port: server.stdout().split("\n")[0] ?? "", server };
  }

  /** Files that were asked for by TFTP, in order. */
  get asked(): string[] {
    const lines = (this.#program?.running.stderr() ?? "").split("\n");
    return lines.flatMap((line) =>
      line.includes("TFTP request") ? String(JSON.parse(line)["file"]) : [],
    );
  }

  async remove(): Promise<void> {
    for (const each of this.#running) {
      each.signal("SIGKILL");
      await each.outcome();
    }
    await this.#program?.stop();
    this.host.remove();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Waits for a text on the console, `count` times. */
async function prints(machine: Running, text: string, count = 1): Promise<void> {
  await until(
    () => machine.ended() || printed(machine).split(text).length > count,
    () => `"${text}" on the console; it says: ${printed(machine).slice(-2000)}`,
    BOOT_LIMIT_MS,
  );
  assert.ok(!machine.ended(), machine.stderr());
}

function bootTest(name: string, firmware: Firmware, run: (world: World) => Promise<void>): void {
  const skip =
    cannotRun("qemu-system-x86_64", "dnsmasq") || oursOnly() || firmwareMissing(firmware);
  test(name, { skip, ...LIMIT }, async () => {
    const world = new World();
    try {
      await run(world);
    } finally {
      await world.remove();
    }
  });
}

describe("network boot", () => {
  bootTest("iPXE of a card loads and runs its script by TFTP", "ipxe", async (world) => {
    const script = "#!ipxe\necho ran $\u007bfilename} of $\u007bnext-server}.\n";
    writeFileSync(join(world.files, "boot.ipxe"), script);
    const files = ["--boot-file", "pxelinux.0", "--boot-file", "ipxe=boot.ipxe"];
    const machine = await world.boot("ipxe", ["--tftp", world.files, ...files]);
    await prints(machine, "ran boot.ipxe of 10.0.2.2.");
    assert.deepEqual(world.asked, ["boot.ipxe"]);
  });

  bootTest("iPXE behind vhost-user loads by TFTP, then by HTTP", "ipxe", async (world) => {
    // Its driver has one buffer for a frame, without merging or event indexes, and polls.
    const next = join(world.files, "next.ipxe");
    writeFileSync(next, `#!ipxe\necho ran the next\n#${"x".repeat(1 << 20)}\n`);
    const { port, server } = await world.serve(next);
    const url = `http://${HOST_ADDRESS}:${port}/next.ipxe`;
    writeFileSync(join(world.files, "boot.ipxe"), `#!ipxe\necho ran the first\nchain ${url}\n`);
    const files = ["--boot-file", "pxelinux.0", "--boot-file", "ipxe=boot.ipxe"];
    const machine = await world.boot("ipxe", ["--tftp", world.files, ...files], true);
    await prints(machine, "ran the first");
    await prints(machine, "ran the next");
    assert.deepEqual(world.asked, ["boot.ipxe"]);
    assert.match(server.stdout(), /GET /);
  });

  bootTest("old iPXE loads from a name with addresses of both versions", "ipxe", async (world) => {
    // It would take IPv6 where it knows a resolver of IPv6, and has no source to go with it.
    await startDns(world.host, "127.0.0.1", HOST_ADDRESS, HOST_ADDRESS6);
    const script = join(world.files, "boot.ipxe");
    writeFileSync(script, "#!ipxe\necho ran by name\n");
    const { port, server } = await world.serve(script);
    const url = `http://who.test:${port}/boot.ipxe`;
    const machine = await world.boot("ipxe", ["--boot-url", url]);
    await prints(machine, "ran by name");
    assert.match(server.stdout(), /GET ::ffff:/);
  });

  bootTest("OVMF boots by PXE and HTTP, over IPv4 and IPv6", "ovmf", async (world) => {
    const program = join(world.files, "boot.efi");
    writeFileSync(program, efiProgram("slirp-binding was here"));
    const { port, server } = await world.serve(program);
    const machine = await world.boot("ovmf", [
      ...["--tftp", world.files, "--boot-file", "bios=none,efi64=boot.efi", "--host-loopback"],
      ...["--boot-url", `http://10.0.2.2:${port}/boot.efi`],
      ...["--boot-url", `http://[fd10:0:2::1]:${port}/boot.efi`],
    ]);
    await prints(machine, "slirp-binding was here", 4);
    // Each way asks for the size first.
    assert.deepEqual(world.asked, Array<string>(4).fill("boot.efi"));
    const got = server
      .stdout()
      .split("\n")
      .filter((line) => line.startsWith("GET"));
    assert.deepEqual(got, ["GET ::ffff:127.0.0.1", "GET ::1"]);
  });

  bootTest("U-Boot loads and runs its script by TFTP", "u-boot", async (world) => {
    writeFileSync(join(world.files, "boot.scr.uimg"), ubootScript("echo slirp-binding ran it\n"));
    const machine = await world.boot("u-boot", ["--tftp", world.files]);
    await prints(machine, "slirp-binding ran it");
  });
});
