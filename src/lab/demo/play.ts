/**
 * The play: virt-launcher's calls, then what a guest does with its network, step by step. Every
 * step checks what it shows; the first that fails ends the play.
 */
import { rmSync, statSync } from "node:fs";
import type { DemoOptions } from "../../config/demo.ts";
import { contentSum } from "./content.ts";
import { differenceOf } from "./diff.ts";
import type { DemoGuest } from "./guest.ts";
import { Launcher } from "./launcher.ts";
import { linkOf, type PluggedLink, userGuideMachine } from "./machine.ts";
import { mayPing, type Place, pingGroups } from "./place.ts";
import type { Screen } from "./screen.ts";
import { freePort, Servers } from "./servers.ts";
import { Sidecar } from "./sidecar.ts";

const MIB = 1 << 20;
const NAME = "files.demo.test";
const GREETING = "hello from the guest to";
const PING_COUNT = 3;
const SEED_DOWN = 1;
/** Seed of what the guest makes for the upload. */
export const SEED_UP = 2;
const INBOUND_LIMIT_MS = 15_000;
const ANY_ADDRESS = "0.0.0.0";
const LOOPBACK = "127.0.0.1";
/** Octets of each frame in the capture: all headers, and a look at the content. */
const SNAP = 256;

/** What the play is made with. */
export interface Stage {
  readonly options: DemoOptions;
  readonly place: Place;
  readonly pcap: string;
  readonly screen: Screen;
  /** The guest at the end of this link. */
  readonly guestAt: (link: PluggedLink) => DemoGuest;
}

/** One performance. `clear` may be called at any time, also in the middle of `run`. */
export class Play {
  readonly #stage: Stage;
  #servers: Servers | undefined;
  #sidecar: Sidecar | undefined;
  #guest: DemoGuest | undefined;
  #isCleared = false;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** @throws what the first failed step throws; it has had its line by then */
  async run(): Promise<void> {
    const { options, place } = this.#stage;
    const servers = await Servers.start({
      address: place.address,
      zone: new Map([[NAME, place.reached]]),
      size: options.sizeMib * MIB,
      seed: SEED_DOWN,
    });
    this.#servers = servers;
    if (this.#isCleared) return servers.close();
    const published = await freePort(ANY_ADDRESS);
    const launcher = await this.#startSidecar(servers);
    const link = await this.#define(launcher, published);
    const guest = this.#stage.guestAt(this.#localLink(link));
    this.#guest = guest;
    await this.#small(guest, servers);
    await this.#transfers(guest, servers);
    await this.#inbound(guest, published);
    await this.#end(guest, launcher);
  }

  async #startSidecar(servers: Servers): Promise<Launcher> {
    const { options, place, pcap, screen } = this.#stage;
    let path = "";
    await screen.step("sidecar started", async () => {
      const resolver = ["--dns", LOOPBACK, "--dns-port", String(servers.resolverPort)];
      const capture = ["--pcap", pcap, "--pcap-snap", String(SNAP)];
      const args = ["--link", options.link, "--cidr", place.cidr, ...resolver, ...capture];
      // The servers of the guest's world are this machine's own.
      args.push(...(place.isLoopback ? ["--host-loopback"] : ["--host-address", "allow"]));
      const loopbackPort = await freePort(LOOPBACK);
      if (this.#isCleared) throw new Error("interrupted");
      this.#sidecar = new Sidecar({ args, loopbackPort });
      path = await this.#sidecar.socket();
      return { text: `process ${this.#sidecar.pid}, socket ${path}` };
    });
    return new Launcher(path);
  }

  async #define(launcher: Launcher, published: number): Promise<PluggedLink> {
    const { screen } = this.#stage;
    await screen.step("Info", async () => {
      const { name, hookPoints, versions } = await launcher.info();
      check(hookPoints.includes("OnDefineDomain"), "OnDefineDomain is not among the hook points");
      return { text: `"${name}": ${hookPoints.join(", ")}; ${versions.join(", ")}` };
    });
    const machine = userGuideMachine(published);
    const links: PluggedLink[] = [];
    for (const [index, domain] of machine.domains.entries()) {
      let changes: readonly string[] = [];
      await screen.step(`OnDefineDomain, call ${index + 1}`, async () => {
        const answer = await launcher.onDefineDomain(domain, machine.vmi);
        const { added, removed, lines } = differenceOf(domain, answer);
        links.push(linkOf(answer));
        const isSame = JSON.stringify(links.at(-1)) === JSON.stringify(links[0]);
        check(isSame, "the answer names another link than the one before");
        if (index === 0) changes = lines;
        const again = index === 0 ? "" : ", the same link";
        return { text: `${added} lines added, ${removed} removed${again}` };
      });
      for (const line of changes) screen.change(line);
    }
    const [link] = links;
    if (link === undefined) throw new Error("No domain was defined");
    return link;
  }

  /** The domain has paths as the pod sees them. */
  #localLink(link: PluggedLink): PluggedLink {
    if (link.kind === "client" || this.#sidecar === undefined) return link;
    return { ...link, path: this.#sidecar.localPath(link.path) };
  }

  async #small(guest: DemoGuest, servers: Servers): Promise<void> {
    const { screen, place } = this.#stage;
    if (this.#isCleared) throw new Error("interrupted");
    if (guest.prepare !== undefined) {
      await screen.step("guest's kernel", async () => ({ text: (await guest.prepare?.()) ?? "" }));
    }
    await screen.step("guest attached", async () => ({ text: await guest.attach() }));
    let gateway = "";
    await screen.step("DHCP", async () => {
      const lease = await guest.dhcp();
      gateway = lease.gateway;
      const mtu = lease.mtu === undefined ? "" : `, MTU ${lease.mtu}`;
      const { address, prefixLength, dns } = lease;
      return { text: `${address}/${prefixLength}, gateway ${gateway}, DNS ${dns}${mtu}` };
    });
    await screen.step("DNS", async () => {
      const address = await guest.resolve(NAME);
      check(address === place.reached, `${NAME} is "${address}", not "${place.reached}"`);
      check(servers.questions > 0, "our resolver was not asked");
      return { text: `${NAME} is ${address}` };
    });
    await screen.step("ping", async () => {
      const words = [`${gateway} ${times(await guest.ping(gateway, PING_COUNT))}`];
      const groups = [process.getegid?.() ?? -1, ...(process.getgroups?.() ?? [])];
      if (place.isLoopback || !mayPing(pingGroups(), groups)) {
        words.push("beyond it only where net.ipv4.ping_group_range allows");
      } else words.push(`${place.address} ${times(await guest.ping(place.address, PING_COUNT))}`);
      return { text: words.join("; ") };
    });
    await screen.step("UDP echo", async () => {
      const sizes = guest.echoSizes;
      await guest.echo(place.reached, servers.echoPort, sizes);
      return { text: `${sizes.join(", ")} octets came back equal` };
    });
  }

  async #transfers(guest: DemoGuest, servers: Servers): Promise<void> {
    const { screen, place, options } = this.#stage;
    const total = options.sizeMib * MIB;
    const timed = async (work: () => Promise<string>) => {
      const began_ms = performance.now();
      const text = await work();
      return { text, rate_bits: (total * 8000) / (performance.now() - began_ms) };
    };
    const wanted = contentSum(SEED_DOWN, total);
    const sent = servers.sent;
    const download = async (): Promise<string> => {
      const { sha256 } = await guest.download(place.reached, servers.webPort);
      check(sha256 === wanted, `SHA-256 is ${sha256}, not ${wanted}`);
      return `SHA-256 equal (${sha256.slice(0, 8)}…)`;
    };
    const upload = async (): Promise<string> => {
      const { sha256, answer } = await guest.upload(place.reached, servers.webPort);
      check(answer === sha256, `the server's SHA-256 is "${answer}", not ${sha256}`);
      return `SHA-256 equal (${sha256.slice(0, 8)}…)`;
    };
    await screen.step(`HTTP download of ${options.sizeMib} MiB`, () => timed(download), {
      total,
      moved: () => servers.sent - sent,
    });
    await screen.step(`HTTP upload of ${options.sizeMib} MiB`, () => timed(upload), {
      total,
      moved: () => servers.received,
    });
  }

  async #inbound(guest: DemoGuest, port: number): Promise<void> {
    const { screen, place } = this.#stage;
    await screen.step("inbound, published port", async () => {
      await guest.serve(port, GREETING);
      const signal = AbortSignal.timeout(INBOUND_LIMIT_MS);
      const response = await fetch(`http://${place.address}:${port}/`, { signal });
      const text = (await response.text()).trim();
      check(text.startsWith(GREETING), `the answer is "${text}"`);
      return { text: `${place.address}:${port} → guest:${port}, answer "${text}"` };
    });
  }

  async #end(guest: DemoGuest, launcher: Launcher): Promise<void> {
    const { screen } = this.#stage;
    await screen.step("Shutdown", async () => {
      const sidecar = this.#sidecar;
      if (sidecar === undefined) throw new Error("no sidecar");
      await guest.remove();
      await launcher.shutdown();
      const how = await sidecar.ended;
      check(how === "exit code 0", `the sidecar ended: ${how}`);
      const left = sidecar.leftovers();
      check(left.length === 0, `left in the hooks folder: ${left.join(", ")}`);
      return { text: `the sidecar ended with ${how}, no socket left` };
    });
  }

  /** Last lines of the sidecar's log. */
  get log(): readonly string[] {
    return this.#sidecar?.log ?? [];
  }

  /** Ends and removes whatever is there. */
  async clear(): Promise<void> {
    this.#isCleared = true;
    this.#servers?.close();
    await this.#guest?.remove();
    await this.#sidecar?.remove();
  }
}

/** Words about a capture; an empty one is removed. */
export function describeCapture(path: string): string | undefined {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) return undefined;
  if (size === 0) {
    rmSync(path);
    return undefined;
  }
  return `${path} (${(size / 1e6).toFixed(1)} MB; ${SNAP} octets of each frame)`;
}

function times(values_ms: readonly number[]): string {
  const average = values_ms.reduce((sum, value) => sum + value, 0) / values_ms.length;
  return `${values_ms.length} replies in ${average.toFixed(2)} ms each`;
}

function check(held: boolean, words: string): void {
  if (!held) throw new Error(words);
}
