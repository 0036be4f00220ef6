/**
 * Programs found by themselves. Goal: one is used, several are listed, none is explained; a socket
 * that was left behind is no program, nor is one in a folder of somebody else's.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { NoInstanceError, UsageError } from "../../../src/cli/admin/failures.ts";
import {
  choose,
  findPrograms,
  type Places,
  placesOf,
  type Who,
} from "../../../src/cli/admin/find.ts";

const root = mkdtempSync(join(tmpdir(), "slirp-find-"));
const servers: Server[] = [];
after(() => {
  for (const server of servers) server.close();
  rmSync(root, { recursive: true });
});

async function listen(path: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return server;
}

/** What a killed program leaves: a socket's file of which nobody listens. */
async function leaveBehind(path: string): Promise<void> {
  const server = await listen(`${path}.live`);
  renameSync(`${path}.live`, path);
  await new Promise((resolve) => server.close(resolve));
}

let count = 0;
async function places(names: readonly string[], hasSidecar = false): Promise<Places> {
  count += 1;
  const folder = join(root, String(count));
  mkdirSync(join(folder, "userdata"), { recursive: true });
  for (const name of names) await listen(join(folder, `${name}.sock`));
  const sidecar = join(folder, "userdata", "admin.sock");
  if (hasSidecar) await listen(sidecar);
  return { folders: [folder], uid: process.getuid?.() ?? 0, sidecar };
}

const ANYBODY = { admin: undefined, instance: undefined, hooksDir: "/none" };

async function chosen(
  where: Places,
  instance?: string,
  who: (path: string) => Who | undefined = () => undefined,
): Promise<string> {
  const target = { ...ANYBODY, instance };
  return (await choose(target, { places: where, askWho: async (path) => who(path) })).name;
}

describe("the program that is meant", () => {
  test("is the only one there is, in the folder or beside hook sockets", async () => {
    assert.equal(await chosen(await places(["attach-1"])), "attach-1");
    assert.equal(await chosen(await places([], true)), "sidecar");
  });

  test("is not one that was killed", async () => {
    const where = await places(["attach-1"]);
    await leaveBehind(join(where.folders[0] ?? "", "attach-2.sock"));
    assert.equal(await chosen(where), "attach-1");
    assert.deepEqual(
      (await findPrograms(where)).map(({ name }) => name),
      ["attach-1"],
    );
  });

  test("is to be chosen among several, whose names the error tells", async () => {
    const where = await places(["attach-1", "run-2"], true);
    await assert.rejects(chosen(where), (error) => {
      assert.ok(error instanceof UsageError);
      assert.match(
        error.message,
        /--instance NAME.*--admin unix:PATH.*: attach-1, run-2, sidecar$/,
      );
      return true;
    });
    assert.equal(await chosen(where, "run-2"), "run-2");
  });

  test("is known by the name or the process that it says itself", async () => {
    const where = await places(["attach-1"], true);
    const who = (path: string): Who | undefined =>
      path === where.sidecar ? { name: "serve-7", pid: 7 } : undefined;
    assert.equal(await chosen(where, "serve-7", who), "sidecar");
    assert.equal(await chosen(where, "7", who), "sidecar");
    await assert.rejects(chosen(where, "8", who), (error) => {
      assert.ok(error instanceof NoInstanceError);
      assert.match(error.message, /^no program "8"; there are: attach-1, sidecar$/);
      return true;
    });
  });

  test("that is not there is told with all the places that were looked at", async () => {
    const where = await places([]);
    await assert.rejects(chosen(where), (error) => {
      assert.ok(error instanceof NoInstanceError);
      for (const place of [...where.folders, where.sidecar])
        assert.ok(error.message.includes(place));
      return true;
    });
  });

  test("is no other user's who made our folder first", async () => {
    const where = await places(["attach-1"]);
    await assert.rejects(chosen({ ...where, uid: where.uid + 1 }), NoInstanceError);
  });

  test("is the one of --admin, found or not", async () => {
    const target = { ...ANYBODY, admin: "/run/x.sock" };
    const parts = { places: await places([]), askWho: async () => undefined };
    assert.deepEqual(await choose(target, parts), { name: "/run/x.sock", path: "/run/x.sock" });
  });
});

test("places follow the environment, and those of the user without it", () => {
  const env = { XDG_RUNTIME_DIR: "/xdg" };
  assert.deepEqual(placesOf("/hooks", env, 1000), {
    folders: ["/xdg/slirp-binding", "/run/user/1000/slirp-binding", "/tmp/slirp-binding-1000"],
    uid: 1000,
    sidecar: "/hooks/userdata/admin.sock",
  });
  assert.deepEqual(placesOf("/hooks", {}, 0).folders, [
    "/run/slirp-binding",
    "/run/user/0/slirp-binding",
  ]);
});
