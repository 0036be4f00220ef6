/**
 * The server as a whole: names of its sockets, what stands in its folder from start to end, starts
 * that cannot succeed, calls as virt-launcher makes them, the end.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectHttp2, type IncomingHttpHeaders } from "node:http2";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { startHookServer } from "../../src/hooks/server.ts";
import { socketNames } from "../../src/hooks/socket-names.ts";
import { call, callback, closed, connectRaw, EMPTY, INFO } from "../support/hook-client.ts";
import {
  keepingLog,
  MARK,
  startTestServer,
  type TestServer,
  temporaryFolder,
} from "../support/hook-server.ts";
import { message } from "../support/protobuf.ts";

const ON_DEFINE = callback("v1alpha3", "OnDefineDomain");
const clock = (): number => performance.now();
const HOOKS = { onDefineDomain: (domain: Uint8Array) => domain, shutdown: async () => {} };

describe("names", () => {
  test("a container's name is part of its socket's name", () => {
    assert.deepEqual(socketNames("hook-sidecar-0"), ["slirp-hook-sidecar-0.sock"]);
  });

  test("without one there is a short list to try", () => {
    const names = socketNames(undefined);
    assert.deepEqual(names.slice(0, 3), ["slirp.sock", "slirp-1.sock", "slirp-2.sock"]);
    assert.equal(new Set(names).size, names.length);
    assert.deepEqual(socketNames(""), names);
  });

  test("sidecars without names that share a folder each get their own socket", async () => {
    const hooksDir = temporaryFolder();
    const start = () => {
      const { log } = keepingLog();
      const options = { hooksDir, pluginDir: undefined, containerName: undefined, hooks: HOOKS };
      return startHookServer({ ...options, log, clock });
    };
    // At the same time, and then one more.
    const servers = await Promise.all([start(), start(), start()]);
    servers.push(await start());
    const names = ["slirp-1.sock", "slirp-2.sock", "slirp-3.sock", "slirp.sock"];
    assert.deepEqual(readdirSync(hooksDir).sort(), names);
    for (const { paths } of servers) assert.ok((await call(paths[0] ?? "", INFO)).length > 0);
    for (const server of servers) await server.close();
    assert.deepEqual(readdirSync(hooksDir), []);
    rmSync(hooksDir, { recursive: true });
  });
});

describe("the hooks folder", () => {
  test("never holds anything but the socket, which answers as soon as it is there", async () => {
    const hooksDir = temporaryFolder();
    const seen = new Set<string>();
    let isOver = false;
    let firstAnswer: Promise<Buffer> | undefined;
    const look = (): void => {
      if (isOver) return;
      for (const name of readdirSync(hooksDir)) {
        seen.add(name);
        // As virt-launcher does it: what is there is dialled, and Info has to be answered.
        firstAnswer ??= call(join(hooksDir, name), INFO, EMPTY, { deadline_ms: 5000 });
      }
      setImmediate(look);
    };
    look();
    const { log } = keepingLog();
    const options = { hooksDir, pluginDir: undefined, containerName: "hook-sidecar-1", log };
    const server = await startHookServer({ ...options, hooks: HOOKS, clock });
    const [path = ""] = server.paths;
    for (let count = 0; count < 5; count += 1) await call(path, ON_DEFINE, message([1, "a"]));
    assert.ok(((await firstAnswer)?.length ?? 0) > 0);
    await server.close();
    look();
    isOver = true;
    assert.deepEqual([...seen], ["slirp-hook-sidecar-1.sock"]);
    assert.deepEqual(readdirSync(hooksDir), []);
    rmSync(hooksDir, { recursive: true });
  });

  const impossible: readonly (readonly [string, (folder: string) => string, RegExp])[] = [
    ["that is missing", (folder) => join(folder, "no"), /^".*\/no" is not a folder$/],
    [
      "that is a file",
      (folder) => {
        writeFileSync(join(folder, "file"), "");
        return join(folder, "file");
      },
      /^".*\/file" is not a folder$/,
    ],
    [
      "with a file in the socket's place",
      (folder) => {
        writeFileSync(join(folder, "slirp-me.sock"), "precious");
        return folder;
      },
      /^".*\/slirp-me\.sock" exists and is not a socket$/,
    ],
    [
      "with a folder in the socket's place",
      (folder) => {
        mkdirSync(join(folder, "slirp-me.sock"));
        return folder;
      },
      /^".*\/slirp-me\.sock" exists and is not a socket$/,
    ],
    [
      "whose path is too long",
      (folder) => {
        const long = join(folder, "x".repeat(100));
        mkdirSync(long);
        return long;
      },
      /^socket path "\/.*\/slirp-me\.sock" is longer than 107 bytes$/,
    ],
    // Where nobody may make a file, root included.
    ["that takes no socket", () => "/sys", /^cannot listen on "\/sys\/.*": E[A-Z]+$/],
  ];
  for (const [name, prepare, wanted] of impossible) {
    test(`one ${name} is refused, and nothing is left behind`, async () => {
      const folder = temporaryFolder();
      const pluginDir = temporaryFolder();
      const hooksDir = prepare(folder);
      const before = readdirSync(folder);
      const { log, lines } = keepingLog();
      const options = { hooksDir, pluginDir, containerName: "me", hooks: HOOKS, log, clock };
      await assert.rejects(startHookServer(options), (error: Error) => {
        assert.match(error.message, wanted);
        return true;
      });
      assert.deepEqual(readdirSync(folder), before);
      assert.deepEqual(readdirSync(pluginDir), []);
      assert.deepEqual(lines, []);
      for (const each of [folder, pluginDir]) rmSync(each, { recursive: true });
    });
  }

  test("a socket that is answered is left to its owner", async () => {
    const own = await startTestServer({ containerName: "me" });
    const { log } = keepingLog();
    const options = { hooksDir: own.folder, pluginDir: undefined, containerName: "me", log };
    await assert.rejects(startHookServer({ ...options, hooks: HOOKS, clock }), (error: Error) => {
      assert.equal(error.message, `another server listens on "${own.path}"`);
      return true;
    });
    assert.ok((await call(own.path, INFO)).length > 0);
    await own.end();
  });
});

describe("calls as virt-launcher makes them", () => {
  const withServer = async (work: (own: TestServer) => Promise<void>): Promise<void> => {
    const own = await startTestServer();
    try {
      await work(own);
    } finally {
      await own.end();
    }
  };

  test("1,000 in a row, each over a new connection", () =>
    withServer(async (own) => {
      for (let count = 0; count < 1000; count += 1) {
        const xml = `<domain id="${count}"/>`;
        const answer = await call(own.path, ON_DEFINE, message([1, xml], [2, "{}"]));
        assert.deepEqual(answer, message([1, xml + MARK]));
      }
    }));

  test("50 at once, each over a new connection", () =>
    withServer(async (own) => {
      const bodies = Array.from({ length: 50 }, (_, index) => "x".repeat(index * 5000));
      const answers = await Promise.all(
        bodies.map((body) => call(own.path, ON_DEFINE, message([1, body]))),
      );
      assert.deepEqual(
        answers,
        bodies.map((body) => message([1, body + MARK])),
      );
    }));

  test("Info is answered while a hook works", async () => {
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const own = await startTestServer({
      hooks: {
        onDefineDomain: async (domain) => {
          await gate;
          return domain;
        },
      },
    });
    const slow = call(own.path, ON_DEFINE, message([1, "a"]));
    assert.ok((await call(own.path, INFO, EMPTY, { deadline_ms: 1000 })).length > 0);
    release();
    assert.deepEqual(await slow, message([1, "a"]));
    await own.end();
  });
});

describe("the end", () => {
  test("removes the sockets, with idle connections and again", async () => {
    const own = await startTestServer({ plugin: true });
    const idle = await connectRaw(own.path);
    const { paths } = own.server;
    await own.server.close();
    await closed(idle);
    assert.deepEqual(paths.map(existsSync), [false, false]);
    await own.server.close();
    await own.end();
  });

  test("lets a call in progress have its answer, and takes no new one", async () => {
    let release = (): void => {};
    let entered = (): void => {};
    const isIn = new Promise<void>((resolve) => {
      entered = resolve;
    });
    const own = await startTestServer({
      hooks: {
        onDefineDomain: (domain) => {
          entered();
          return new Promise((resolve) => {
            release = () => resolve(domain);
          });
        },
      },
    });
    const large = "x".repeat(1_000_000);
    const running = call(own.path, ON_DEFINE, message([1, large]));
    await isIn;
    const ending = own.server.close();
    await assert.rejects(connectRaw(own.path));
    release();
    assert.deepEqual(await running, message([1, large]));
    await ending;
    await own.end();
  });

  test("nobody is asked to leave before the answers are out, and none is lost", async () => {
    for (let count = 0; count < 10; count += 1) {
      let ending: Promise<void> | undefined;
      const own = await startTestServer({
        hooks: {
          shutdown: async () => {
            ending = own.server.close();
          },
        },
      });
      const session = connectHttp2("http://localhost", {
        createConnection: () => connect(own.path),
      });
      const seen: string[] = [];
      session.on("error", () => {});
      session.once("goaway", () => seen.push("goaway"));
      const left = new Promise<void>((resolve) => session.once("close", resolve));
      const stream = session.request({
        ":method": "POST",
        ":path": callback("v1alpha3", "Shutdown"),
        "content-type": "application/grpc",
      });
      stream.on("trailers", (fields) => seen.push(`status ${fields["grpc-status"]}`));
      stream.on("data", () => {});
      stream.end(Buffer.alloc(5));
      await new Promise<void>((resolve) => stream.once("close", resolve));
      // The first peer stays until it is asked, the others leave with their answer.
      if (count > 0) session.close();
      await left;
      await ending;
      assert.equal(seen[0], "status 0", seen.join());
      await own.end();
    }
  });

  test("a hook may call for it: its own reply comes first", async () => {
    let ending: Promise<void> | undefined;
    const own = await startTestServer({
      hooks: {
        shutdown: async () => {
          ending = own.server.close();
        },
      },
    });
    assert.deepEqual(await call(own.path, callback("v1alpha3", "Shutdown")), EMPTY);
    await ending;
    assert.deepEqual(readdirSync(own.folder), []);
    await own.end();
  });
});

/** Calls over one connection whose messages never end: `octets` of each are sent. */
function hold(path: string, count: number, octets: number): { refused(): number; end(): void } {
  // Node's client takes no answers while it has more than that to send.
  const room = { maxSessionMemory: 100 };
  const createConnection = (): Socket => connect(path);
  const session = connectHttp2("http://localhost", { createConnection, ...room });
  session.on("error", () => {});
  let refused = 0;
  const head = Buffer.from([0, 0, 0x80, 0, 0]); // 8 MiB are to follow
  for (let index = 0; index < count; index += 1) {
    const headers = {
      ":path": ON_DEFINE,
      ":method": "POST",
      "content-type": "application/grpc",
      te: "trailers",
    };
    const stream = session.request(headers, { endStream: false });
    stream.on("error", () => {});
    const note = (fields: IncomingHttpHeaders): void => {
      if (fields["grpc-status"] === "8") refused += 1;
    };
    stream.on("response", note).on("trailers", note).resume();
    stream.write(Buffer.concat([head, Buffer.alloc(octets)]));
  }
  return { refused: () => refused, end: () => session.destroy() };
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}

describe("while somebody floods it, the server", () => {
  test("answers all hooks, and refuses the calls that take too much", async () => {
    const own = await startTestServer();
    const floods = [hold(own.path, 30, 1 << 20), hold(own.path, 30, 1 << 20)];
    await until(() => floods.some(({ refused }) => refused() > 0));
    assert.ok((await call(own.path, INFO, EMPTY, { deadline_ms: 5000 })).length > 0);
    const small = message([1, "x".repeat(30_000)]);
    assert.ok((await call(own.path, ON_DEFINE, small)).length > small.length);
    assert.deepEqual(await call(own.path, callback("v1alpha3", "Shutdown")), EMPTY);
    assert.ok((own.server.counters["memory_refused"] ?? 0) > 0);
    const short = own.lines.filter((line) => line.startsWith("warn"));
    assert.ok(short.length <= 3, short.join("\n"));
    for (const flood of floods) flood.end();
    const large = message([1, "x".repeat(5_000_000)]);
    assert.ok((await call(own.path, ON_DEFINE, large)).length > large.length, "all is free again");
    await own.end();
  });

  test("lets the longest idle of too many connections go", async () => {
    const own = await startTestServer();
    const first = await connectRaw(own.path);
    const gone = closed(first);
    const more = [];
    for (let count = 0; count < 130; count += 1) more.push(await connectRaw(own.path));
    await gone;
    assert.ok((await call(own.path, INFO)).length > 0);
    for (const socket of more) socket.destroy();
    await own.end();
  });

  test("ends a request that is never complete", async () => {
    let now_ms = 0;
    const own = await startTestServer({ clock: () => now_ms });
    const socket = connectHttp2("http://localhost", { createConnection: () => connect(own.path) });
    const stream = socket.request(
      { ":path": INFO, ":method": "POST", "content-type": "application/grpc" },
      { endStream: false },
    );
    stream.resume().write(Buffer.from([0, 0, 0]));
    const status = new Promise((resolve) => {
      stream.on("trailers", (fields) => resolve(fields["grpc-status"]));
      stream.on("response", (fields) => fields["grpc-status"] && resolve(fields["grpc-status"]));
    });
    await call(own.path, INFO);
    now_ms = 60_000;
    assert.equal(await status, "4");
    socket.destroy();
    await own.end();
  });
});
