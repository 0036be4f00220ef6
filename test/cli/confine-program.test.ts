/** What a program has left that gives up its rights, and what it says of that. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { describe } from "node:test";
import { fileURLToPath } from "node:url";
import { ownCommand } from "../../src/cli/program.ts";
import { SYSTEM_CALLS } from "../support/system-calls.ts";
import { systemTest } from "../sys/support.ts";
import { withProgram } from "./support.ts";

const CHILD = fileURLToPath(new URL("confine-child.ts", import.meta.url));
const BUN = fileURLToPath(new URL("../../node_modules/.bin/bun", import.meta.url));
const CONTAIN = fileURLToPath(new URL("../support/contain.ts", import.meta.url));
const DEFAULTS = { user: undefined, seccomp: true };
const READ_ALL = "0000000000000004"; // CAP_DAC_READ_SEARCH
const NONE = "0000000000000000";

/** What the child says of itself. */
interface Left {
  readonly variables: readonly string[];
  /** Its log, without what there is to say about pings. */
  readonly lines: readonly string[];
  readonly pings: readonly string[];
  readonly problem: string;
  readonly starts: number;
  /** Of its environment as the kernel shows it. */
  readonly environment: string;
  /** Where its descriptors 5, which it was given, and 9 lead. */
  readonly targets: readonly string[];
  /** The kernel's word on descriptor 3 when a reader is started. */
  readonly marks: string;
  /** A line of its /proc/PID/status, and of what a reader would have. */
  status(name: string): string | undefined;
  narrowed(name: string): string | undefined;
  /** What went to its descriptor 3. */
  readonly ready: string;
}

async function leftOf(told: object, before = 'exec "$@"'): Promise<Left> {
  let left: Left | undefined;
  await withProgram(async (program) => {
    const command = [...ownCommand().slice(0, -1), CHILD];
    program.start([JSON.stringify({ options: DEFAULTS, ...told })], before, command);
    const { code, stdout, stderr } = await program.outcome();
    assert.equal(code, 0, stderr);
    const { status, narrowed, lines, ...rest } = JSON.parse(stdout);
    const isOfPing = (line: string): boolean => line.includes("ping");
    const lineIn = (text: string) => (name: string) =>
      new RegExp(`^${name}:\\s*(.*)$`, "m").exec(text)?.[1];
    const ready = readFileSync(program.path("ready"), "utf8");
    left = {
      ...rest,
      lines: lines.filter((line: string) => !isOfPing(line)),
      pings: lines.filter(isOfPing),
      status: lineIn(status),
      narrowed: lineIn(narrowed),
      ready,
    };
  });
  assert.ok(left);
  return left;
}

describe("a program that gives up its rights", () => {
  systemTest("is nobody, without capabilities, behind the filter", ["root"], async () => {
    const open = 'exec "$@" 5</etc/passwd 9</etc/passwd';
    const { status, lines, problem, variables, environment, targets, ready } = await leftOf(
      {},
      open,
    );
    assert.equal(problem, "");
    assert.match(
      lines[0] ?? "",
      /^info {2}privileges dropped, seccomp filter loaded user=65534:65534 system_calls=\d\d+$/,
    );
    assert.equal(lines.length, 1);
    for (const name of ["Uid", "Gid"]) assert.equal(status(name), "65534\t".repeat(4).trim());
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
      assert.equal(status(set), NONE);
    }
    assert.deepEqual([status("NoNewPrivs"), status("Seccomp")], ["1", "2"]);
    assert.deepEqual([variables, environment], [["PATH"], ""]);
    assert.equal(targets[0], "/etc/passwd");
    assert.notEqual(targets[1], "/etc/passwd");
    assert.equal(ready, "1");
  });

  systemTest("stays who it is where it has to, and says why", ["root"], async () => {
    const options = { seccomp: false };
    const { status, lines } = await leftOf({ options, root: "it is so" });
    assert.deepEqual(lines, ['info  privileges dropped user=0:0 reason="it is so"']);
    assert.equal(status("Uid"), "0\t0\t0\t0");
    assert.deepEqual([status("CapEff"), status("Seccomp")], [NONE, "0"]);
  });

  systemTest("becomes whom it is told to", ["root"], async () => {
    const options = { seccomp: false, user: { uid: 107, gid: 36 } };
    const { status, lines } = await leftOf({ options });
    assert.deepEqual(lines, ["info  privileges dropped user=107:36"]);
    assert.deepEqual([status("Uid"), status("Gid")], ["107\t107\t107\t107", "36\t36\t36\t36"]);
  });

  systemTest("says what it cannot give up", ["root"], async () => {
    const options = { seccomp: true, user: { uid: 107, gid: 36 } };
    const { problem, lines, ready } = await leftOf({ options, folders: ["/nowhere/at/all"] });
    const reason = 'let user 107:36 write to folder "/nowhere/at/all"';
    assert.equal(problem, `Error: Drop privileges: ${reason}`);
    assert.deepEqual([lines, ready], [[], ""]);
  });

  systemTest(
    "that may not change remains as it is, and has nobody read for it",
    ["root"],
    async () => {
      const nobody = "setpriv --reuid=1234 --regid=1234 --clear-groups --bounding-set=-all";
      const { status, lines, starts } = await leftOf({}, `exec ${nobody} "$@"`);
      assert.match(lines[0] ?? "", /^info {2}.* user=1234:1234 system_calls=\d+$/);
      assert.equal(status("Uid"), "1234\t1234\t1234\t1234");
      assert.equal(starts, 0);
    },
  );

  systemTest("has a reader started before, that may read and nothing else", ["root"], async () => {
    const { starts, narrowed, marks } = await leftOf({});
    assert.equal(starts, 1);
    assert.equal(narrowed("CapBnd"), READ_ALL);
    assert.match(marks, /^flags:\s*\d*[2367]\d{6}$/m, "closed when a program is started");
    assert.equal(narrowed("Uid"), "0\t0\t0\t0");
  });

  systemTest("goes on without a filter where there can be none", ["root"], async () => {
    if (process.arch !== "x64") return; // the container's filter is made for no other
    const names = Object.keys(SYSTEM_CALLS).filter((name) => name !== "seccomp");
    const profile = {
      ...{ defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 1, architectures: [] },
      syscalls: [{ names, action: "SCMP_ACT_ALLOW" }],
    };
    const file = join(mkdtempSync(join(tmpdir(), "slirp-cli-")), "profile.json");
    writeFileSync(file, JSON.stringify(profile));
    const contain = [BUN, CONTAIN, "--bare", "--seccomp", file, "--"].join(" ");
    const { lines, status, problem } = await leftOf({}, `exec ${contain} "$@"`);
    rmSync(dirname(file), { recursive: true });
    assert.equal(problem, "");
    assert.match(lines[0] ?? "", /^warn {2}no seccomp filter problem=".+"$/);
    assert.equal(lines[1], "info  privileges dropped user=0:0");
    assert.equal(status("CapEff"), NONE);
  });

  systemTest("says that a host forbids pings, and to whom", ["root"], async () => {
    const of = (range: string): string => {
      const file = "/proc/sys/net/ipv4/ping_group_range";
      return `exec unshare -n sh -c 'echo "${range}" >${file}; exec "$@"' sh "$@"`;
    };
    const { pings } = await leftOf({}, of("1 0"));
    assert.deepEqual(pings, [
      "warn  guests cannot ping beyond the gateway: the host forbids ping sockets " +
        'remedy="let group 65534 into it: ' +
        String.raw`sysctl net.ipv4.ping_group_range=\"65534 65534\""`,
    ]);
    assert.deepEqual((await leftOf({}, of("65534 65534"))).pings, []);
  });
});
