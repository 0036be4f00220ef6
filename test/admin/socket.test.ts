/**
 * The admin socket: its file, both versions of HTTP, what is loaded when, and its end. Runs in all
 * runtimes, as each has servers of its own.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import http from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { toJson } from "@bufbuild/protobuf";
import { adminClient } from "../../src/admin/client.ts";
import { ListFlowsResponseSchema } from "../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";
import { adminHandler } from "../../src/admin/handler.ts";
import { type AdminSocket, openAdminSocket } from "../../src/admin/socket.ts";
import { callsOf, fakeNetwork, fakeProgram } from "../support/admin-program.ts";

interface Stage {
  readonly path: string;
  readonly socket: AdminSocket;
  readonly loads: () => number;
}

async function withSocket(work: (stage: Stage) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "slirp-admin-"));
  const path = join(folder, "a.sock");
  let loads = 0;
  const load = () => {
    loads += 1;
    const blue = fakeNetwork("blue");
    for (const slot of [3, 70]) blue.table.put(slot, { bytesToHost: 2 ** 40 });
    return Promise.resolve(adminHandler(fakeProgram([blue])));
  };
  const umask = (mask: number): number => process.umask(mask);
  const before = process.umask(0);
  try {
    const socket = await openAdminSocket(path, { load, umask, onQuiet: () => {} });
    assert.equal(process.umask(), 0);
    await work({ path, socket, loads: () => loads });
    await socket.close();
  } finally {
    process.umask(before);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A call as curl makes it. */
function post(socketPath: string, method: string, body: string): Promise<[number, string]> {
  const path = `/slirp_binding.admin.v1.AdminService/${method}`;
  const headers = { "content-type": "application/json" };
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath, path, method: "POST", headers }, (response) => {
      let text = "";
      response.on("data", (piece) => {
        text += piece;
      });
      response.on("end", () => resolve([response.statusCode ?? 0, text]));
    });
    request.on("error", reject);
    request.end(body);
  });
}

describe("admin socket", () => {
  test("the owner alone may open it", () =>
    withSocket(async ({ path }) => {
      assert.equal(statSync(path).mode & 0o777, 0o600);
    }));

  test("JSON over HTTP/1.1 and gRPC over HTTP/2, on one socket", () =>
    withSocket(async ({ path }) => {
      const [status, text] = await post(path, "GetInstance", "{}");
      assert.equal(status, 200);
      assert.equal((JSON.parse(text) as { name: string }).name, "attach-4711");
      const client = adminClient(path);
      const { networks } = await client.calls.getInstance({});
      assert.deepEqual(
        networks.map(({ name }) => name),
        ["blue"],
      );
      client.close();
    }));

  test("flows are the same in JSON and in octets", () =>
    withSocket(async ({ path }) => {
      const [, text] = await post(path, "ListFlows", "{}");
      const client = adminClient(path);
      const found = await client.calls.listFlows({});
      assert.equal(found.flows.length, 2);
      assert.deepEqual(toJson(ListFlowsResponseSchema, found), JSON.parse(text));
      const quick = await client.flows.list({});
      assert.deepEqual(
        quick.flows.map(({ id, bytesToHost }) => [id, bytesToHost]),
        found.flows.map(({ id, bytesToHost }) => [id, Number(bytesToHost)]),
      );
      client.close();
    }));

  test("nothing is loaded for somebody who connects and says nothing", () =>
    withSocket(async ({ path, loads }) => {
      const silent = connect(path);
      await new Promise((resolve) => silent.once("connect", resolve));
      await post(path, "GetInstance", "{}");
      await post(path, "GetInstance", "{}");
      assert.equal(loads(), 1);
      silent.destroy();
    }));

  test("octets that are no HTTP, and a message that is too long, hurt nobody", () =>
    withSocket(async ({ path }) => {
      for (const octets of ["\0\0\0\0", "PRI * HTTP/2.0\r\n\r\nnonsense", "GET / HTTP/9\r\n\r\n"]) {
        const bad = connect(path);
        bad.on("error", () => {});
        const closed = new Promise((resolve) => bad.once("close", resolve));
        bad.end(octets);
        bad.resume();
        await closed;
      }
      const long = JSON.stringify({ filter: "x".repeat(70_000) });
      const [status] = await post(path, "ListFlows", long).catch(() => [0]);
      assert.notEqual(status, 200);
      assert.equal((await post(path, "ListFlows", "{}"))[0], 200);
    }));

  test("a watcher is cut at the end, and the file is gone", () =>
    withSocket(async ({ path, socket }) => {
      const client = adminClient(path);
      const watch = client.calls.watchFlows({ intervalMs: 100 })[Symbol.asyncIterator]();
      await watch.next();
      await socket.close();
      assert.throws(() => statSync(path), { code: "ENOENT" });
      await assert.rejects(async () => {
        for (;;) await watch.next();
      });
      client.close();
    }));

  test("a stale socket makes room, a living one and a file do not", () =>
    withSocket(async ({ path }) => {
      const load = () => Promise.resolve(adminHandler(fakeProgram([])));
      const umask = (mask: number): number => process.umask(mask);
      const parts = { load, umask, onQuiet: () => {} };
      await assert.rejects(openAdminSocket(path, parts), /another program/);
      writeFileSync(`${path}.txt`, "");
      await assert.rejects(openAdminSocket(`${path}.txt`, parts), /not a socket/);
      await assert.rejects(openAdminSocket(join(`${path}.none`, "x"), parts), /Listen on/);
    }));

  test("the service without a socket answers the same", async () => {
    const { pid } = await callsOf(fakeProgram([])).getInstance({});
    assert.equal(pid, 4711);
  });
});
