/** From the plans of the hooks to networks that listen, and what is left of them. */
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { setImmediate } from "node:timers";
import { ResolvReader } from "../../src/binding/resolv-reader.ts";
import { type ServeDataPlane, startDataPlane } from "../../src/cli/data-plane.ts";
import { readServeOptions } from "../../src/config/serve.ts";
import { HookError } from "../../src/hooks/domain/errors.ts";
import type { BindingPlan } from "../../src/hooks/domain/plan.ts";
import { settingsOf } from "../config/support.ts";
import { plansOf } from "../support/hook-fixtures.ts";
import { keepingLog, temporaryFolder } from "../support/hook-server.ts";
import { missing, systemTest } from "../sys/support.ts";

const LIMIT_ms = 20_000;

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = performance.now() + LIMIT_ms; !holds(); ) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function connected(to: number | string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = typeof to === "number" ? connect(to, "127.0.0.1") : connect(to);
    socket.once("error", reject);
    socket.once("connect", () => resolve(socket));
  });
}

/** The plan of a usual machine with a link of this kind. */
function planOf(kind: "client" | "stream" | "user" | "vhost-user", port = 0): BindingPlan {
  const [plan] = plansOf("a-user-guide", kind);
  assert.ok(plan);
  if (plan.attachment.kind !== "client") return plan;
  return { ...plan, publish: [], attachment: { ...plan.attachment, port } };
}

interface Stage {
  readonly plane: ServeDataPlane;
  readonly folder: string;
  readonly lines: readonly string[];
}

async function withPlane(
  { hasFolder = true, uids = "" },
  work: (stage: Stage) => Promise<void>,
): Promise<void> {
  const folder = temporaryFolder();
  const { log, lines } = keepingLog();
  const peers = uids === "" ? {} : { "peer-uid": uids };
  const asked = readServeOptions(settingsOf({ "log-level": "error", ...peers }), false);
  const hooksDir = hasFolder ? folder : undefined;
  const reader = new ResolvReader("/etc/resolv.conf", log);
  const watcher = { log, hears: () => () => {}, isOn: false };
  const plane = startDataPlane({ ...asked, hooksDir }, watcher, reader);
  try {
    await work({ plane, folder, lines });
  } finally {
    await plane.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function refusalOf(text: RegExp | string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof HookError);
    assert.equal(error.code, "failed-precondition");
    if (typeof text === "string") assert.equal(error.message, text);
    else assert.match(error.message, text);
    return true;
  };
}

const hasSystemCalls = missing([]) === "";
if (!hasSystemCalls) {
  test("a runtime without system calls leaves the frames to QEMU", async () => {
    await withPlane({}, async ({ plane }) => {
      assert.deepEqual([plane.autoLink, plane.attached, plane.seesGuests], ["user", [], false]);
      plane.logCounters();
      await plane.idle();
    });
  });
}

describe("the data plane", () => {
  systemTest("listens as planned, sees guests, tells counters, ends", [], () =>
    withPlane({}, async ({ plane, lines, folder }) => {
      const state = [plane.autoLink, plane.attached, plane.seesGuests];
      assert.deepEqual(state, ["vhost-user", [], true]);
      await plane.idle();
      const port = await freePort();
      const plan = planOf("client", port);
      await plane.prepare([plan]);
      await plane.prepare([plan]);
      assert.equal(plane.seesGuests, true);
      const ready = lines.filter((line) => line.includes("guest network ready"));
      const link = `iface=slirpnet link=tcp:127.0.0.1:${port}`;
      assert.deepEqual(ready, [`info  guest network ready ${link}`]);
      const guest = await connected(port);
      await until(() => plane.attached.length > 0, "the guest to be seen");
      assert.deepEqual(plane.attached, ["slirpnet"]);
      let isIdle = false;
      const idle = plane.idle().then(() => {
        isIdle = true;
      });
      plane.logCounters();
      await until(() => lines.some((line) => line.includes("counters")), "counters");
      const counters = lines.find((line) => line.includes("counters"));
      assert.match(counters ?? "", /^info {2}counters iface=slirpnet flows=0 chunks=0/);
      assert.match(counters ?? "", / connections=1\b/);
      assert.equal(isIdle, false);
      guest.destroy();
      await idle;
      await plane.close();
      await assert.rejects(connected(port));
      assert.deepEqual(readdirSync(folder), []);
    }),
  );

  systemTest("leaves what is QEMU's to it, and does not see such guests", [], () =>
    withPlane({}, async ({ plane, lines }) => {
      await plane.prepare([planOf("user")]);
      assert.deepEqual([plane.seesGuests, plane.attached], [false, []]);
      const client = planOf("client", await freePort());
      await plane.prepare([{ ...planOf("user"), interfaceName: "other" }, client]);
      assert.equal(plane.seesGuests, false);
      assert.equal(lines.filter((line) => line.includes("guest network ready")).length, 1);
      await plane.prepare([]);
      assert.equal(plane.seesGuests, true);
      plane.logCounters();
      assert.deepEqual(plane.attached, []);
    }),
  );

  systemTest("makes a folder for its sockets, and takes it away", [], () =>
    withPlane({}, async ({ plane, folder }) => {
      const before = process.umask(0o077);
      try {
        await plane.prepare([planOf("stream")]);
      } finally {
        process.umask(before);
      }
      const own = join(folder, "userdata");
      assert.equal(statSync(own).mode & 0o777, 0o770);
      assert.deepEqual(readdirSync(own), ["stream-0.sock"]);
      (await connected(join(own, "stream-0.sock"))).destroy();
      await plane.close();
      assert.equal(existsSync(own), false);
      mkdirSync(own);
      await plane.close();
      assert.equal(existsSync(own), true, "it is not its own any more");
    }),
  );

  systemTest(
    "has a vhost-user socket for the users that may be there, and sees its guest",
    [],
    async () => {
      const own = `${process.getuid?.()}`;
      for (const [uids, mode] of [
        [own, 0o600],
        [`${own},107`, 0o660],
      ] as const) {
        await withPlane({ uids }, async ({ plane, folder }) => {
          await plane.prepare([planOf("vhost-user")]);
          const path = join(folder, "userdata", "vhost-user-0.sock");
          assert.equal(statSync(path).mode & 0o777, mode);
          const guest = await connected(path);
          await until(() => plane.attached.length > 0, "the guest to be seen");
          await plane.prepare([planOf("vhost-user")]);
          await assert.rejects(
            plane.prepare([planOf("stream")]),
            refusalOf('iface "slirpnet" cannot be changed while a guest is attached to "slirpnet"'),
          );
          guest.destroy();
          await plane.idle();
          await plane.close();
          assert.deepEqual(readdirSync(folder), []);
        });
      }
    },
  );

  systemTest("keeps bits of the file system, and a folder that was there as it is", [], () =>
    withPlane({}, async ({ plane, folder }) => {
      const own = join(folder, "userdata");
      chmodSync(folder, 0o2777); // what is made in it is so, too
      await plane.prepare([planOf("stream")]);
      assert.equal(statSync(own).mode & 0o7777, 0o2770);
      await plane.prepare([]);
      chmodSync(own, 0o700);
      await plane.prepare([planOf("stream")]);
      assert.equal(statSync(own).mode & 0o777, 0o700);
      writeFileSync(join(own, "kept"), "");
      await plane.close();
      assert.deepEqual(readdirSync(own), ["kept"]);
    }),
  );

  systemTest("refuses what it cannot have", [], async () => {
    await withPlane({ hasFolder: false }, async ({ plane }) => {
      assert.equal(plane.autoLink, "client");
      for (const link of ["stream", "vhost-user"] as const) {
        const text = `iface "slirpnet": link "${link}" needs a hooks folder`;
        await assert.rejects(plane.prepare([planOf(link)]), refusalOf(text));
      }
    });
    await withPlane({}, async ({ plane, folder }) => {
      writeFileSync(join(folder, "userdata"), "");
      const text = new RegExp(`^iface "slirpnet": make folder "${folder}/userdata": .*EEXIST`);
      await assert.rejects(plane.prepare([planOf("stream")]), refusalOf(text));
      const taken = createServer();
      await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
      const { port } = taken.address() as AddressInfo;
      const busy = /^iface "slirpnet": Listen on "tcp:127\.0\.0\.1:\d+": .*EADDRINUSE/;
      await assert.rejects(plane.prepare([planOf("client", port)]), refusalOf(busy));
      await new Promise((resolve) => taken.close(resolve));
      assert.deepEqual(plane.attached, []);
    });
  });
});
