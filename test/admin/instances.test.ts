/** Programs that run: found by their sockets; what is left of others; whose folder it is. */
import assert from "node:assert/strict";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import {
  findInstances,
  makeRuntimeFolder,
  runtimeFolder,
  socketOf,
  sweepInstances,
} from "../../src/admin/instances.ts";
import { staleSocket } from "../support/stale-socket.ts";

describe("instances", () => {
  const folder = mkdtempSync(join(tmpdir(), "slirp-instances-"));
  const uid = process.getuid?.() ?? 0;
  after(() => rmSync(folder, { recursive: true, force: true }));

  test("the folder is the user's own, wherever that is", () => {
    assert.equal(runtimeFolder(0, undefined), "/run/slirp-binding");
    assert.equal(runtimeFolder(1000, undefined), "/tmp/slirp-binding-1000");
    assert.equal(runtimeFolder(1000, "/run/user/1000"), "/run/user/1000/slirp-binding");
    assert.equal(runtimeFolder(0, "relative"), "/run/slirp-binding");
  });

  test("it is made for us alone, and one that is not ours alone is refused", () => {
    const own = join(folder, "a", "own");
    makeRuntimeFolder(own, uid);
    makeRuntimeFolder(own, uid);
    assert.equal(statSync(own).mode & 0o777, 0o700);
    chmodSync(own, 0o750);
    assert.throws(() => makeRuntimeFolder(own, uid), /0700/);
    chmodSync(own, 0o700);
    assert.throws(() => makeRuntimeFolder(own, uid + 1), /user/);
    symlinkSync(own, join(folder, "link"));
    assert.throws(() => makeRuntimeFolder(join(folder, "link"), uid), /0700/);
  });

  test("those that answer are found; what is left of others is swept", async () => {
    const place = join(folder, "place");
    mkdirSync(place);
    assert.deepEqual(await findInstances(join(folder, "none")), []);
    const server = createServer();
    const live = socketOf(place, "attach-1");
    await new Promise<void>((resolve) => server.listen(live, resolve));
    await staleSocket(socketOf(place, "attach-2"));
    mkdirSync(join(place, "other"));
    const wanted = [{ name: "attach-1", socket: live }];
    assert.deepEqual(await findInstances(place), wanted);
    await sweepInstances(place);
    assert.deepEqual(readdirSync(place).sort(), ["attach-1.sock", "other"]);
    server.close();
  });
});
