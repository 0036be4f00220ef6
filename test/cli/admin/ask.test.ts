/**
 * Commands as processes, before a service of the test's own: exit codes, what is said, a reader
 * that leaves, signals, a program that ends in the middle.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { AdminService } from "../../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";
import { type AdminHandler, type AdminSocket, openAdminSocket } from "../../../src/admin/socket.ts";
import { ownCommand } from "../../../src/cli/program.ts";
import { type Outcome, type Running, start } from "../../support/e2e/shell.ts";

const LIMIT = { timeout: 60_000 };
const FLOW_COUNT = 20_000;

const folder = mkdtempSync(join(tmpdir(), "slirp-ask-"));
const socket = join(folder, "slirp-binding", "fake.sock");
const open = new Set<Socket>();
let server: AdminSocket;

const SERVICE: Partial<ServiceImpl<typeof AdminService>> = {
  getInstance: () => ({ name: "fake", pid: 1, command: "attach", version: "0" }),
  listFlows: ({ filter, pageToken }) => {
    if (filter.includes("7")) throw new ConnectError("this filter is bad", Code.InvalidArgument);
    const from = Number(pageToken);
    const flows = Array.from({ length: 4000 }, (_, i) => ({ id: from + i + 1, network: "tap0" }));
    const next = from + flows.length;
    return { flows, nextPageToken: next < FLOW_COUNT ? String(next) : "" };
  },
  async *watchFlows(_request, { signal }) {
    yield { flows: [{ id: 1 }], isComplete: true };
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  },
  listPublished: () => {
    throw new ConnectError("the network does not answer", Code.Unavailable);
  },
};

before(async () => {
  mkdirSync(join(folder, "slirp-binding"), { mode: 0o700 });
  const handler = connectNodeAdapter({
    routes: (router) => router.service(AdminService, SERVICE),
  });
  const handle: AdminHandler = (request, response) => {
    open.add(request.socket);
    handler(request, response);
  };
  const umask = (mask: number): number => process.umask(mask);
  server = await openAdminSocket(socket, { load: async () => handle, umask, onQuiet: () => {} });
});
after(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

function begin(args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
  const surroundings = { XDG_RUNTIME_DIR: folder, SLIRP_HOOKS_DIR: folder, ...env };
  return start([...ownCommand(), ...args], { env: surroundings });
}

async function outcome(...args: readonly string[]): Promise<Outcome> {
  return begin(args).outcome();
}

/** With standard output into a command of the shell. */
async function piped(args: string, into: string): Promise<Outcome> {
  const script = `"$@" ${args} | ${into}; echo "codes \${PIPESTATUS[*]}"`;
  const env = { XDG_RUNTIME_DIR: folder };
  return start(["bash", "-c", script, "bash", ...ownCommand()], { env }).outcome();
}

describe("commands that ask", { concurrency: 2 }, () => {
  test("answer with code 0, all of it, however slowly it is read", LIMIT, async () => {
    const slow = "{ read -r line; sleep 0.2; cat; } | wc -l";
    const { stdout, stderr } = await piped("flows --json", slow);
    assert.equal(stdout, `${FLOW_COUNT - 1}\ncodes 0 0 0\n`, stderr);
  });

  test("end quietly where the reader leaves", LIMIT, async () => {
    const { stdout, stderr } = await piped("flows --json", "head -n 1 | wc -l");
    assert.match(stdout, /^1\ncodes 0 /);
    assert.equal(stderr, "");
  });

  test("end quietly at SIGINT and SIGTERM where they would go on", LIMIT, async () => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const running = begin(["flows", "--watch"]);
      await running.waitFor(/open/);
      process.kill(running.pid, signal);
      const { code, stderr } = await running.outcome();
      assert.deepEqual([code, stderr], [0, ""], signal);
    }
  });

  test("tell plainly what was refused, with code 1", LIMIT, async () => {
    const { code, stderr } = await outcome("publish");
    assert.deepEqual([code, stderr], [1, "slirp-binding: the network does not answer\n"]);
    const old = await outcome("drops");
    assert.equal(old.code, 1);
    assert.match(old.stderr, /^slirp-binding: it is of a version that cannot do this\n$/);
  });

  test("tell plainly what cannot be meant, with code 2, here and there", LIMIT, async () => {
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [["flows", "tcp", "prt", "3"], /^slirp-binding: parse FILTER "tcp prt 3": .*"prt"\n$/],
      [["flows", "port", "7"], /^slirp-binding: this filter is bad\n$/],
      [["flows", "--sort", "size"], /^slirp-binding: parse --sort "size": /],
      [["top"], /^slirp-binding: top is for a terminal; /],
    ];
    for (const [args, words] of cases) {
      const { code, stderr, stdout } = await outcome(...args);
      assert.deepEqual([code, stdout], [2, ""], args.join(" "));
      assert.match(stderr, words);
    }
  });

  test("say with code 3 that there is nobody, and where they looked", LIMIT, async () => {
    const nobody = join(folder, "nobody");
    const env = { XDG_RUNTIME_DIR: nobody, SLIRP_HOOKS_DIR: nobody };
    const { code, stderr } = await begin(["stats", "--instance", "x"], env).outcome();
    assert.equal(code, 3);
    assert.match(stderr, /^slirp-binding: no program "x"; none runs here\n$/);
    const gone = await outcome("stats", "--admin", `unix:${join(folder, "gone.sock")}`);
    assert.equal(gone.code, 3);
    assert.match(gone.stderr, /gone\.sock does not answer: there is no such socket\n$/);
  });

  test("say with code 3 that the program has ended in the middle", LIMIT, async () => {
    const running = begin(["flows", "--watch"]);
    await running.waitFor(/open/);
    for (const each of open) each.destroy();
    const { code, stderr } = await running.outcome();
    assert.equal(code, 3, stderr);
    assert.match(stderr, /^slirp-binding: fake does not answer: it has ended\n$/);
  });

  test("write a file of the capture that is refused never", LIMIT, async () => {
    const file = join(folder, "x.pcapng");
    const { code } = await outcome("capture", "-w", file);
    assert.equal(code, 1);
    assert.throws(() => readFileSync(file));
  });
});
