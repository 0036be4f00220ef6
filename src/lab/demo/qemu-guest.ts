/**
 * The guest that is a real Linux: Debian's kernel under QEMU, plugged in as libvirt would do it
 * from the domain, told by its serial console what to do.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import type { DemoGuest, Lease, Transfer } from "./guest.ts";
import { DHCP_COMMAND, packagedProgram, readAnswer } from "./guest-image.ts";
import { guestMissing, qemuCommand } from "./guest-machine.ts";
import type { PluggedLink } from "./machine.ts";

/** Debian's busybox has one without UDP, and slow. */
const NETCAT = "nc.traditional";
const ECHO_TRIES = 3;
const BOOT_LIMIT_MS = 180_000;
const LINE_LIMIT_MS = 180_000;
const SBIN = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** Why there can be no such guest here, or undefined when there can. */
export function qemuMissing(): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), ...SBIN];
  return guestMissing((name) => folders.some((folder) => existsSync(join(folder, name))));
}

export interface QemuGuestOptions {
  readonly link: PluggedLink;
  /** Folder for kernel and file system; undefined = the user's. */
  readonly cache: string | undefined;
}

export class QemuGuest implements DemoGuest {
  readonly name = "Linux under QEMU";
  /** nc sends no more in one piece. */
  readonly echoSizes: readonly number[] = [1, 1473, 8192];
  readonly #options: QemuGuestOptions;
  #child: ChildProcess | undefined;
  #console = "";
  #complaints = "";
  #wake: () => void = () => {};
  #isOver = false;
  #dns = "";
  #argv: readonly string[] = [];

  constructor(options: QemuGuestOptions) {
    this.#options = options;
  }

  async prepare(): Promise<string> {
    const { link, cache = defaultCache() } = this.#options;
    const { mac } = link;
    const netdev = netdevOf(link);
    const programs = [packagedProgram(cache, "netcat-traditional", `bin/${NETCAT}`)];
    this.#argv = qemuCommand({ cache, netdev, mac, properties: "host_mtu=65520", programs });
    return `in ${cache}`;
  }

  async attach(): Promise<string> {
    const [program = "", ...args] = this.#argv;
    if (this.#isOver) throw new Error("interrupted");
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child = child;
    child.stdout.on("data", (chunk: Buffer) => {
      this.#console += chunk.toString("latin1");
      this.#wake();
    });
    child.stderr.on("data", (chunk: Buffer) => {
      this.#complaints += chunk.toString();
    });
    child.stdin.on("error", () => {});
    const end = (): void => {
      this.#isOver = true;
      this.#wake();
    };
    child.once("error", (error) => {
      this.#complaints += error.message;
      end();
    });
    child.once("exit", end);
    await this.#answer(BOOT_LIMIT_MS);
    const release = (await this.#must("uname -sr")).trim();
    const { link } = this.#options;
    return `${release}, -netdev ${netdevOf(link).split(",", 1)[0]}, MAC ${link.mac}`;
  }

  /** Waits for the end of what the console was told. */
  async #answer(limit_ms: number): Promise<{ code: string; output: string }> {
    const deadline_ms = performance.now() + limit_ms;
    for (;;) {
      const answer = readAnswer(this.#console);
      if (answer !== undefined) {
        this.#console = this.#console.slice(answer.size);
        return answer;
      }
      if (this.#isOver) throw new Error(`QEMU has ended: ${this.#complaints.trim()}`);
      const left_ms = deadline_ms - performance.now();
      if (left_ms <= 0) throw new Error(`the guest did not answer; it said: ${this.#console}`);
      await this.#more(left_ms);
    }
  }

  /** Resolves when the console says more, QEMU ends or the time is over. */
  #more(limit_ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, limit_ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #run(line: string): Promise<{ code: string; output: string }> {
    this.#child?.stdin?.write(`${line}\n`);
    return this.#answer(LINE_LIMIT_MS);
  }

  async #must(line: string): Promise<string> {
    const { code, output } = await this.#run(line);
    if (code !== "0") throw new Error(`the guest's "${line}" gave ${code}: ${output.trim()}`);
    return output;
  }

  async dhcp(): Promise<Lease> {
    await this.#must(DHCP_COMMAND);
    const state = await this.#must("ip addr show eth0; ip route; cat /etc/resolv.conf");
    const find = (pattern: RegExp): string => pattern.exec(state)?.[1] ?? "";
    this.#dns = find(/nameserver (\S+)/);
    return {
      address: find(/ inet ([\d.]+)\//),
      prefixLength: Number(find(/ inet [\d.]+\/(\d+)/)),
      gateway: find(/default via (\S+)/),
      dns: this.#dns,
      mtu: Number(find(/ mtu (\d+)/)),
    };
  }

  async resolve(name: string): Promise<string> {
    // The code is no help: it asks for an IPv6 address too.
    const { output } = await this.#run(`nslookup ${name} ${this.#dns}`);
    const address = /Name:.*\nAddress(?: 1)?:\s*([\d.]+)/.exec(output)?.[1];
    if (address === undefined) throw new Error(`no address for "${name}": ${output.trim()}`);
    return address;
  }

  async ping(address: string, count: number): Promise<readonly number[]> {
    const output = await this.#must(`ping -c ${count} -A -w 10 ${address}`);
    const times = [...output.matchAll(/time=([\d.]+) ms/g)].map((match) => Number(match[1]));
    if (times.length < count) throw new Error(`${times.length} of ${count} replies`);
    return times;
  }

  async echo(address: string, port: number, sizes: readonly number[]): Promise<void> {
    for (const size of sizes) {
      const line =
        `head -c ${size} /dev/urandom >/tmp/sent; ` +
        `${NETCAT} -u -w 1 ${address} ${port} </tmp/sent | cmp - /tmp/sent`;
      let code = "";
      for (let tries = 0; tries < ECHO_TRIES && code !== "0"; tries += 1) {
        code = (await this.#run(line)).code;
      }
      if (code !== "0") throw new Error(`a datagram of ${size} octets did not come back`);
    }
  }

  async download(address: string, port: number): Promise<Transfer> {
    await this.#must(`wget -q -O /tmp/content http://${address}:${port}/content`);
    return { sha256: await this.#sum() };
  }

  async #sum(): Promise<string> {
    return (await this.#must("sha256sum /tmp/content")).slice(0, 64);
  }

  async upload(address: string, port: number): Promise<Transfer & { readonly answer: string }> {
    // By hand, as busybox' wget sends text only.
    const head = "PUT /content HTTP/1.0\\r\\nContent-Length: %s\\r\\n\\r\\n";
    const line =
      `(printf '${head}' $(stat -c %s /tmp/content); cat /tmp/content) | ` +
      `${NETCAT} ${address} ${port} | tail -n 1`;
    const answer = (await this.#must(line)).trim();
    return { sha256: await this.#sum(), answer };
  }

  async serve(port: number, text: string): Promise<void> {
    const script = [
      "mkdir -p /tmp/www/cgi-bin",
      `printf '#!/bin/sh\\necho; echo "${text} $REMOTE_ADDR"\\n' >/tmp/www/cgi-bin/index.cgi`,
      "chmod +x /tmp/www/cgi-bin/index.cgi",
      `httpd -p ${port} -h /tmp/www`,
    ];
    await this.#must(script.join(" && "));
  }

  async remove(): Promise<void> {
    this.#isOver = true;
    this.#wake();
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }
}

/** As libvirt makes it of the domain. */
function netdevOf(link: PluggedLink): string {
  if (link.kind === "client") return `socket,id=n,connect=${link.host}:${link.port}`;
  return `stream,id=n,server=off,addr.type=unix,addr.path=${link.path}`;
}

function defaultCache(): string {
  const base = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  return join(base, "slirp-binding", "qemu");
}
