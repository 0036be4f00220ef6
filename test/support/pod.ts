/**
 * A pod for the sidecar: a host namespace with a server that echoes datagrams, `serve` as a program
 * in it, virt-launcher's part played by the test, and guests of `stream-guest.ts` in QEMU's place.
 */
import assert from "node:assert/strict";
import { chownSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { type Server, script, udpServer } from "./e2e/peers.ts";
import { type Outcome, onEnd, until } from "./e2e/shell.ts";
import { createHost, HOST_ADDRESS, type Namespace } from "./e2e/world.ts";
import { call, callback, type Refusal, refusal } from "./hook-client.ts";
import { fixture } from "./hook-fixtures.ts";
import { type Serve, type ServeOptions, startServe } from "./hook-program.ts";
import { fields, message } from "./protobuf.ts";
import { connectGuest, type StreamGuest, type Target } from "./stream-guest.ts";

const CASE = "a-user-guide";
const END_LIMIT_ms = 20_000;
const SHUTDOWN = callback("v1alpha3", "Shutdown");
export const ON_DEFINE = callback("v1alpha3", "OnDefineDomain");
const LINK_ANNOTATION = "slirp.network.kubevirt.io/link";
/** First port of the link `client`: the namespace is the test's own. */
export const LOOPBACK_PORT = 28500;

/** What a VMI asks for. */
export interface Machine {
  readonly link?: "client" | "stream" | "user" | "vhost-user";
  /** Fields of each interface, which are called `slirpnet`, `slirpnet1` and so on. */
  readonly interfaces?: readonly Readonly<Record<string, unknown>>[];
  /** Of the networks, in their order; one that is not there has the default. */
  readonly cidrs?: readonly string[];
}

/** JSON of the user guide's VMI with another network card, or several. */
export function vmiOf({ link, interfaces = [{}], cidrs = [] }: Machine): string {
  const root = JSON.parse(fixture(`${CASE}.vmi.json`));
  const name = (at: number): string => (at === 0 ? "slirpnet" : `slirpnet${at}`);
  root.spec.domain.devices.interfaces = interfaces.map((given, at) => ({
    name: name(at),
    binding: { name: "slirp" },
    ...given,
  }));
  root.spec.networks = interfaces.map((_, at) => {
    const cidr = cidrs[at];
    return { name: name(at), pod: cidr === undefined ? {} : { vmNetworkCIDR: cidr } };
  });
  if (link !== undefined) root.metadata.annotations[LINK_ANNOTATION] = link;
  return JSON.stringify(root);
}

export const DOMAIN = fixture(`${CASE}.domain.xml`);

/** With a `folder`, that one is the test's to make and to remove. */
export interface PodOptions extends ServeOptions {
  /** The sidecar's user and group; default the test's own. A folder made here belongs to them. */
  readonly user?: number;
  /** Version of IP that the pod has no address of; default it has both. */
  readonly without?: "ipv4" | "ipv6";
}

/** Starts all of it; `remove` ends what is left. */
async function createPod(options: PodOptions = {}): Promise<Pod> {
  const host = createHost("nameserver 127.0.0.1\n");
  try {
    const server = await udpServer(host, HOST_ADDRESS);
    const version = { ipv4: "-4", ipv6: "-6" } as const;
    if (options.without !== undefined) {
      host.must("ip", version[options.without], "addr", "flush", "dev", "up0");
    }
    const pod = new Pod(host, server, options);
    await pod.start();
    return pod;
  } catch (error) {
    host.remove();
    throw error;
  }
}

export class Pod {
  readonly host: Namespace;
  /** Echoes datagrams. */
  readonly target: Target;
  readonly folder: string;
  readonly #options: PodOptions;
  readonly #guests: StreamGuest[] = [];
  readonly #forget: () => void;
  #serve: Serve | undefined;

  constructor(host: Namespace, server: Server, options: PodOptions) {
    this.host = host;
    this.target = { address: HOST_ADDRESS, port: server.port };
    this.#options = options;
    this.folder = options.folder ?? mkdtempSync(join(tmpdir(), "hooks-"));
    this.#forget = onEnd(() => this.#drop());
    const { user } = options;
    if (user !== undefined && options.folder === undefined) chownSync(this.folder, user, user);
  }

  #drop(): void {
    if (this.#options.folder === undefined) rmSync(this.folder, { recursive: true, force: true });
  }

  /** Starts the sidecar, again where one has ended. */
  async start(): Promise<void> {
    const { folder, host } = this;
    const { user, prefix = [], args = [], ...rest } = this.#options;
    const drop = user === undefined ? [] : asUser(user);
    // Guests of this test are the test's own user's.
    const peers = user === undefined ? [] : ["--peer-uid", `${process.getuid?.()},${user}`];
    this.#serve = await startServe({
      ...rest,
      args: [...args, ...peers],
      env: {
        SLIRP_LOOPBACK_PORT: String(LOOPBACK_PORT),
        // The servers of most tests are in the pod itself; "" is the sidecar's own default.
        SLIRP_HOST_ADDRESS: "allow",
        ...rest.env,
      },
      folder,
      prefix: host.argv([...drop, ...prefix]),
    });
  }

  get serve(): Serve {
    assert.ok(this.#serve !== undefined);
    return this.#serve;
  }

  get pid(): number {
    return this.serve.running.pid;
  }

  /** OnDefineDomain; the domain that comes back. */
  async define(machine: Machine, domain = DOMAIN): Promise<string> {
    const asked = message([1, domain], [2, vmiOf(machine)]);
    const [field] = fields(await call(this.serve.path, ON_DEFINE, asked));
    return field?.value.toString() ?? "";
  }

  /** OnDefineDomain that has to fail. */
  refuses(machine: Machine): Promise<Refusal> {
    return refusal(this.serve.path, ON_DEFINE, message([1, DOMAIN], [2, vmiOf(machine)]));
  }

  /** The guests go, and the launcher says so. */
  async shutdown(): Promise<Buffer> {
    for (const guest of this.#guests) guest.close();
    return call(this.serve.path, SHUTDOWN);
  }

  /** Socket of the interface with this index, link `stream`. */
  socket(index = 0): string {
    return join(this.folder, "userdata", `stream-${index}.sock`);
  }

  /** A guest on the interface with this index, link `stream`. */
  async guest(index = 0): Promise<StreamGuest> {
    return this.#keep(await connectGuest(this.socket(index)));
  }

  /** A guest on the interface with this index, link `client`, through a relay in the pod. */
  async clientGuest(index = 0): Promise<StreamGuest> {
    const path = join(tmpdir(), `relay-${process.pid}-${this.#guests.length}.sock`);
    rmSync(path, { force: true });
    const port = String(LOOPBACK_PORT + index);
    const relay = this.host.start(script("relay.mjs", path, "127.0.0.1", port));
    await relay.waitFor(/listening/);
    const guest = await connectGuest(path);
    rmSync(path);
    return this.#keep(guest);
  }

  #keep(guest: StreamGuest): StreamGuest {
    this.#guests.push(guest);
    return guest;
  }

  /** A guest with its lease, whose datagrams go out and come back. */
  async onlineGuest(index = 0): Promise<StreamGuest> {
    const guest = await this.guest(index);
    await guest.lease();
    await guest.echo(this.target, "hello");
    return guest;
  }

  log(): string {
    return this.serve.running.stderr();
  }

  /** How often the log has this. */
  count(pattern: string): number {
    return this.log().split(pattern).length - 1;
  }

  /** Waits until the log has this so many times. */
  async logged(pattern: string, times = 1): Promise<void> {
    await until(
      () => this.count(pattern) >= times,
      () => `"${pattern}" in the log, ${times} times:\n${this.log()}`,
      END_LIMIT_ms,
    );
  }

  openDescriptors(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  /** A line of the sidecar's status, such as `VmHWM`, as a number. */
  status(name: string): number {
    const text = readFileSync(`/proc/${this.pid}/status`, "utf8");
    return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1]);
  }

  /** Waits for the sidecar's end, which is one without fault and without rests. */
  async ended(): Promise<Outcome> {
    const outcome = await this.serve.running.outcome(END_LIMIT_ms);
    assert.equal(outcome.code, 0, outcome.stderr);
    assert.deepEqual(readdirSync(this.folder), []);
    return outcome;
  }

  /** Ends everything; for the `finally` of a test. */
  async remove(): Promise<void> {
    for (const guest of this.#guests) guest.close();
    this.#serve?.running.signal("SIGINT"); // not SIGKILL, which would lose its capture
    await this.#serve?.running.outcome(END_LIMIT_ms);
    this.host.remove();
    this.#forget();
    this.#drop();
  }
}

/** Runs a command as KubeVirt runs a sidecar: another user, no capabilities, no way to get any. */
function asUser(user: number): string[] {
  const ids = [`--reuid=${user}`, `--regid=${user}`, "--clear-groups"];
  return ["setpriv", ...ids, "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"];
}

/** Runs `work` with a pod, and takes it away whatever happens. */
export async function withPod(
  options: PodOptions,
  work: (pod: Pod) => Promise<void>,
): Promise<void> {
  const pod = await createPod(options);
  try {
    await work(pod);
  } finally {
    await pod.remove();
  }
}
