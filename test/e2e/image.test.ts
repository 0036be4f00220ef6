/**
 * The image: what is in it, and a sidecar's whole life in it, under all that KubeVirt and an admin
 * take away: user 107, no capability, no_new_privs, a read-only root file system, our seccomp
 * profile, 64 MiB.
 *
 * Method: buildah builds the very Containerfile on stand-ins for its bases (test/support/image.ts);
 * a stand-in for a container runtime runs the result in a network namespace (container.ts), where a
 * Linux machine under QEMU is the guest.
 *
 * Memory is limited by a control group as a runtime would (memory-limit.ts), and the image lies on
 * a disk that nobody has read (disk.ts): what the sidecar reads of its binary counts too. Where
 * there is no such group, what the kernel could not take back has the limit: anonymous and shared
 * memory.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import {
  type Container,
  giveToGroup,
  HOOKS_MOUNT,
  signal,
  startContainer,
  statusOf,
  USER,
} from "../support/container.ts";
import { type Disk, mountDisk } from "../support/disk.ts";
import { httpServer } from "../support/e2e/peers.ts";
import { DNS_ADDRESS, GATEWAY, ROOT } from "../support/e2e/program.ts";
import { sha256Of } from "../support/e2e/seeded.mjs";
import { cannotRun, startDns } from "../support/e2e/setup.ts";
import { until } from "../support/e2e/shell.ts";
import { traced } from "../support/e2e/trace.ts";
import { createHost, HOST_ADDRESS, type Namespace } from "../support/e2e/world.ts";
import { call, callback, EMPTY, INFO } from "../support/hook-client.ts";
import { fixture } from "../support/hook-fixtures.ts";
import { SOCKET_NAME } from "../support/hook-program.ts";
import { temporaryFolder } from "../support/hook-server.ts";
import { type BuiltImage, ImageStore } from "../support/image.ts";
import { limitMemory, type MemoryLimit } from "../support/memory-limit.ts";
import { fields, message } from "../support/protobuf.ts";
import { DHCP_COMMAND, type QemuGuest, qemuMissing, startGuest } from "../support/qemu.ts";

const LIMIT = { timeout: 600_000 };
const TRANSFER_LIMIT_MS = 240_000;
const MIB = 1 << 20;
const MEMORY = 64 * MIB;
const TRANSFER = 8 * MIB;
const PUBLISHED = 80;
const CASE = "a-user-guide";
const PROFILE = join(ROOT, "deploy/seccomp.json");
/** A trace is made to see what the profile has to allow: it must not be in force then. */
const TRACE = traced();

/** The user guide's VM, with a port. */
function vmi(): string {
  const root = JSON.parse(fixture(`${CASE}.vmi.json`));
  root.spec.domain.devices.interfaces[0].ports = [{ name: "http", port: PUBLISHED }];
  return JSON.stringify(root);
}

/** Regular files of an image, and its links, by path. */
function filesOf(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
    .sort();
}

/** Mounts that may be written to, by where they are. */
function writableMounts(pid: number): string[] {
  return readFileSync(`/proc/${pid}/mountinfo`, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([, , , , , options = ""]) => options.split(",").includes("rw"))
    .map(([, , , , place = ""]) => place);
}

const GLIBC = [
  ...["libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0"].map(
    (name) => `/lib/x86_64-linux-gnu/${name}`,
  ),
  "/lib64/ld-linux-x86-64.so.2",
];
const OURS = ["/usr/bin/slirp-binding", "/usr/share/slirp-binding/LICENSE"];
OURS.push("/usr/share/slirp-binding/sbom.json");

const store: { images?: ImageStore; buildBase?: string; image?: BuiltImage } = {};

function builtImage(): BuiltImage {
  assert.ok(store.image !== undefined, "the image was not built");
  return store.image;
}

describe("image", {
  skip: cannotRun("buildah", "unshare", "dnsmasq") || qemuMissing() || false,
}, () => {
  before(() => {
    store.images = new ImageStore();
    store.buildBase = store.images.buildBase();
    store.image = store.images.build(store.buildBase);
  }, LIMIT);
  after(() => store.images?.remove());

  test("holds the binary, what it loads, a licence and a list of packages", LIMIT, (context) => {
    const { root, listing } = builtImage();
    const files = filesOf(root).filter((file) => !file.startsWith("/usr/share/doc/"));
    assert.deepEqual(files, [...GLIBC, ...OURS].sort());
    for (const file of files) assert.equal(statSync(join(root, file)).mode & 0o6022, 0, file);
    const [size] = /^localhost\/slirp-test:\d+: \d+\.\d MiB$/m.exec(listing) ?? [];
    assert.ok(size !== undefined, listing);
    context.diagnostic(size);
    const sbom = JSON.parse(readFileSync(join(root, "usr/share/slirp-binding/sbom.json"), "utf8"));
    assert.equal(sbom.bomFormat, "CycloneDX");
    const names = sbom.components.map(({ name }: { name: string }) => name);
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    for (const name of [...Object.keys(dependencies), "bun"]) assert.ok(names.includes(name), name);
  });

  test("says what it is and how it is run", LIMIT, () => {
    const { config } = builtImage();
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    const { User, Entrypoint, Cmd, Labels } = config as Record<string, Record<string, unknown>>;
    assert.equal(User, `${USER}:${USER}`);
    assert.deepEqual(Entrypoint, ["/usr/bin/slirp-binding", "serve"]);
    assert.equal(Cmd, undefined);
    const label = (name: string): unknown => Labels?.[`org.opencontainers.image.${name}`];
    assert.equal(label("title"), "slirp-binding");
    assert.equal(label("version"), version);
    assert.equal(label("licenses"), "Apache-2.0");
    assert.match(String(label("description")), /KubeVirt/);
  });

  test("works on a base with a glibc of its own", LIMIT, async () => {
    const { images, buildBase = "" } = store;
    assert.ok(images !== undefined);
    const { root } = images.build(buildBase, images.glibcBase());
    assert.deepEqual(filesOf(root), [...GLIBC, ...OURS].sort());
    const hooks = temporaryFolder();
    try {
      giveToGroup(hooks);
      const container = await startContainer({ root, hooks, args: ["serve"] });
      const { running } = container;
      await until(() => readdirSync(hooks).length > 0 || running.ended(), "the hook socket");
      signal(container, "SIGTERM");
      const { code, stderr } = await running.outcome(20_000);
      assert.equal(code, 0, stderr);
    } finally {
      rmSync(hooks, { recursive: true });
    }
  });

  test("carries a machine through its life, confined, in 64 MiB", LIMIT, async (context) => {
    const sidecar = await startSidecar(builtImage());
    try {
      await isConfined(sidecar.container);
      await isAsked(sidecar);
      const guest = await bootGuest(sidecar);
      await guestIsOnline(guest, sidecar);
      await guest.kill();
      const { running } = sidecar.container;
      await until(() => /guest disconnected/.test(running.stderr()), "QEMU's end in the log");
      const memory = memoryOf(sidecar);
      await call(sidecar.path, callback("v1alpha3", "Shutdown"), EMPTY);
      const { code, stderr } = await running.outcome(20_000);
      assert.equal(code, 0, `${stderr}\n${memory}`);
      assert.deepEqual(readdirSync(sidecar.hooks), []);
      context.diagnostic(memory);
    } finally {
      await sidecar.remove();
    }
  });
});

/** How much memory it takes, in words; throws when that is too much. */
function memoryOf({ container: { pid }, limit, disk }: Sidecar): string {
  const mib = (octets: number): string => (octets / MIB).toFixed(1);
  const status = (name: string): number => 1024 * Number.parseInt(statusOf(pid, name), 10);
  const own = status("RssAnon") + status("RssShmem");
  const resident = `${mib(status("VmHWM"))} MiB resident at most, ${mib(own)} of its own`;
  assert.ok(own < MEMORY, resident);
  if (limit === undefined) return `${resident}, no control group to be had`;
  assert.equal(limit.kills(), 0, resident);
  assert.ok(limit.peak() <= MEMORY, resident);
  return (
    `${resident}; its control group of ${mib(MEMORY)} MiB took ${mib(limit.peak())} at most, ` +
    `${disk === undefined ? "without" : "with"} pages of the file, ${mib(limit.own())} of its own`
  );
}

/** The sidecar of a pod, with the pod's network and the world behind it. */
interface Sidecar {
  readonly container: Container;
  readonly pod: Namespace;
  readonly webPort: number;
  readonly hooks: string;
  readonly path: string;
  /** None where the machine gives none. */
  readonly limit: MemoryLimit | undefined;
  readonly disk: Disk | undefined;
  remove(): Promise<void>;
}

async function startSidecar(image: BuiltImage): Promise<Sidecar> {
  const pod = createHost("nameserver 127.0.0.1\nsearch cluster.local\n");
  const hooks = temporaryFolder();
  const disk = mountDisk(image.root);
  const limit = limitMemory(MEMORY);
  const containers: Container[] = [];
  const remove = async (): Promise<void> => {
    for (const each of containers) signal(each, "SIGKILL");
    pod.remove();
    rmSync(hooks, { recursive: true, force: true });
    await limit?.remove();
    disk?.remove();
  };
  try {
    giveToGroup(hooks);
    await startDns(pod, "127.0.0.1", "203.0.113.1");
    const web = await httpServer(pod, HOST_ADDRESS);
    const container = await startContainer({
      root: disk?.folder ?? image.root,
      hooks,
      args: ["serve"],
      env: {
        CONTAINER_NAME: "hook-sidecar-0",
        NETWORK_BINDING_PLUGIN_NAME: "slirp",
        SLIRP_LINK: "client", // which every card of QEMU can have
        SLIRP_PEER_UID: `${process.getuid?.()}`, // QEMU's here
        SLIRP_HOST_ADDRESS: "allow", // where the test has its servers
      },
      prefix: [...pod.argv([]), ...TRACE],
      ...(limit === undefined ? {} : { cgroup: limit.folder }),
      ...(TRACE.length > 0 ? {} : { seccomp: PROFILE }),
    });
    containers.push(container);
    const path = join(hooks, SOCKET_NAME);
    const { running } = container;
    await until(() => existsSync(path) || running.ended(), "the hook socket");
    assert.ok(!running.ended(), running.stderr());
    return { container, pod, webPort: web.port, hooks, path, limit, disk, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** The kernel's word for it that nothing is allowed but what has to be. */
async function isConfined({ pid }: Container): Promise<void> {
  const ids = Array.from({ length: 4 }, () => String(USER)).join("\t");
  assert.equal(statusOf(pid, "Uid"), ids);
  assert.equal(statusOf(pid, "Gid"), ids);
  assert.equal(statusOf(pid, "Groups").trim(), String(USER));
  for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
    assert.match(statusOf(pid, set), /^0+$/, set);
  }
  assert.equal(statusOf(pid, "NoNewPrivs"), "1");
  if (TRACE.length === 0) assert.equal(statusOf(pid, "Seccomp"), "2");
  // The program's own filter comes once its sockets are there, on top of the profile.
  const filters = TRACE.length === 0 ? "2" : "1";
  await until(() => statusOf(pid, "Seccomp_filters") === filters, "the program's own filter");
  assert.match(statusOf(pid, "NSpid"), /\t1$/);
  // What is mounted on /proc and /dev is the kernel's, and belongs to root.
  const writable = writableMounts(pid).filter((place) => !/^\/(?:proc|dev)(?:\/|$)/.test(place));
  assert.deepEqual(writable, [HOOKS_MOUNT]);
}

/** virt-launcher's calls before a start. */
async function isAsked({ path }: Sidecar): Promise<void> {
  assert.ok((await call(path, INFO)).includes("OnDefineDomain"));
}

/** Defines the domain and starts QEMU on the link that is in it. */
async function bootGuest({ path, pod }: Sidecar): Promise<QemuGuest> {
  const asked = message([1, fixture(`${CASE}.domain.xml`)], [2, vmi()]);
  const [field] = fields(await call(path, callback("v1alpha3", "OnDefineDomain"), asked));
  const domain = field?.value.toString() ?? "";
  const port = /<interface type=['"]client['"]>.*?port=['"](\d+)['"]/s.exec(domain)?.[1];
  const mac = /<interface type=['"]client['"]>.*?<mac address=['"]([^'"]+)['"]/s.exec(domain)?.[1];
  assert.ok(port !== undefined && mac !== undefined, domain);
  const netdev = `socket,id=n,connect=127.0.0.1:${port}`;
  return startGuest({ netdev, mac, prefix: pod.argv([]) });
}

/** DHCP, DNS, ping, both ways of HTTP, a connection from outside. */
async function guestIsOnline(guest: QemuGuest, { pod, webPort }: Sidecar): Promise<void> {
  await guest.must(DHCP_COMMAND);
  assert.match(await guest.must("ip addr show eth0"), / inet 10\.0\.2\.15\/24 /);
  assert.match((await guest.run(`nslookup who.test ${DNS_ADDRESS}`)).output, /203\.0\.113\.1/);
  for (const address of [GATEWAY, HOST_ADDRESS]) {
    const answer = await guest.must(`ping -c 3 -A -w 30 ${address}`);
    assert.match(answer, /3 packets received, 0% packet loss/);
  }
  const url = `http://${HOST_ADDRESS}:${webPort}/7/${TRANSFER}`;
  await guest.must(`wget -q -O /tmp/data ${url}`, TRANSFER_LIMIT_MS);
  const sum = sha256Of(7, TRANSFER);
  assert.ok((await guest.must("sha256sum /tmp/data", TRANSFER_LIMIT_MS)).startsWith(sum));
  // By hand, as busybox' wget sends text only.
  const head = `PUT / HTTP/1.0\\r\\nContent-Length: ${TRANSFER}\\r\\n\\r\\n`;
  const upload = `(printf '${head}'; cat /tmp/data) | nc ${HOST_ADDRESS} ${webPort} | tail -n 1`;
  const report = JSON.parse(await guest.must(upload, TRANSFER_LIMIT_MS)) as unknown;
  assert.deepEqual(report, { count: TRANSFER, sha256: sum });
  await guest.must("mkdir -p /tmp/www && echo from the guest >/tmp/www/page && httpd -h /tmp/www");
  const outside = `http://${HOST_ADDRESS}:${PUBLISHED}/page`;
  const page = await pod.run(["curl", "-sS", "--max-time", "30", outside]);
  assert.equal(page.stdout, "from the guest\n", page.stderr);
}
