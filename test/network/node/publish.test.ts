/** Ports of this machine that lead into the guest: another network, whose service answers. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type NetConnectOpts, Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { type Network, readFlows } from "../../../src/network/index.ts";
import { publish } from "../../../src/network/node/index.ts";
import { until } from "../../support/e2e/shell.ts";
import { type LocalService, twoNetworks } from "../../support/two-networks.ts";

const INSIDE = "127.0.0.1";
const LIMIT = { timeout: 30_000 };
const PORT = 80;

/** The guest sends back what it gets. */
const ECHO: LocalService = {
  port: PORT,
  serve: ({ readable, writable }) => readable.pipeTo(writable),
};

async function withGuest(act: (network: Network) => Promise<void>): Promise<void> {
  const { caller, dispose } = twoNetworks([ECHO]);
  try {
    await act(caller);
  } finally {
    dispose();
  }
}

/** Says it and its end; what comes back up to the far side's end. */
function call(where: NetConnectOpts, words: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = "";
    const socket = connect(where);
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      heard += chunk;
    });
    socket.on("end", () => resolve(heard));
    socket.on("close", () => resolve(heard));
    socket.end(words);
  });
}

/** The server that was told last to listen, while the test runs. */
function watchServer(context: TestContext): () => Server | undefined {
  let server: Server | undefined;
  const { listen } = Server.prototype;
  Server.prototype.listen = function (this: Server, ...args: unknown[]) {
    server = this;
    return Reflect.apply(listen, this, args);
  } as typeof listen;
  context.after(() => {
    Server.prototype.listen = listen;
  });
  return () => server;
}

describe("published ports", () => {
  test("lead into the guest, many at a time", LIMIT, async () => {
    await withGuest(async (network) => {
      const published = await publish(network, { port: 0, guestPort: PORT });
      const where = { host: INSIDE, port: published.port };
      const words = Array.from({ length: 50 }, (_, i) => `call ${i}`.repeat(1000));
      assert.deepEqual(await Promise.all(words.map((each) => call(where, each))), words);
      published.close();
      published.close();
      await assert.rejects(call(where, "late"), { code: "ECONNREFUSED" });
    });
  });

  test("may be a socket in the file system", LIMIT, async () => {
    const folder = mkdtempSync(join(tmpdir(), "slirp-publish-"));
    const path = join(folder, "guest.sock");
    try {
      await withGuest(async (network) => {
        const published = await publish(network, { path, guestPort: PORT });
        assert.equal(published.port, 0);
        assert.equal(await call({ path }, "hello"), "hello");
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  for (const kind of ["a port", "a path"]) {
    test(`reset whom the guest refuses, at ${kind}, and go on`, LIMIT, async () => {
      const folder = mkdtempSync(join(tmpdir(), "slirp-publish-"));
      const path = join(folder, "guest.sock");
      try {
        await withGuest(async (network) => {
          const refusing = { guestPort: PORT + 1 };
          const { port } = await publish(
            network,
            kind === "a port" ? refusing : { ...refusing, path },
          );
          const where = port > 0 ? { host: INSIDE, port } : { path };
          const heard = await call(where, "hello").catch(({ code }) => code);
          assert.ok(["", "ECONNRESET", "EPIPE"].includes(heard), heard);
          const good = await publish(network, { guestPort: PORT });
          assert.equal(await call({ host: INSIDE, port: good.port }, "hello"), "hello");
        });
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  }

  test("let in so many and no more", LIMIT, async () => {
    await withGuest(async (network) => {
      const { port } = await publish(network, { guestPort: PORT, connections: 2 });
      const answered = new Set<Socket>();
      const sockets = Array.from({ length: 5 }, () => {
        const socket = connect({ host: INSIDE, port });
        socket.on("error", () => {});
        socket.on("data", () => answered.add(socket));
        socket.write("x");
        return socket;
      });
      const isSettled = () => answered.size === 2 && sockets.filter((s) => s.closed).length === 3;
      await until(isSettled, () => `two that are answered, not ${answered.size}`);
      for (const socket of sockets) socket.destroy();
    });
  });

  test("end with the network, what is still sent included", LIMIT, async (context) => {
    const server = watchServer(context);
    let accepted: Socket | undefined;
    const { caller, dispose } = twoNetworks([ECHO]);
    const { port } = await publish(caller, { guestPort: PORT });
    server()?.on("connection", (socket: Socket) => {
      accepted = socket;
      socket._final = () => {}; // as if the system did not take what comes before the end
    });
    const client = connect({ host: INSIDE, port, allowHalfOpen: true });
    client.on("error", () => {});
    client.end("hello");
    try {
      const isOver = () => caller.inspect(readFlows).every(({ state }) => state === "TIME_WAIT");
      await until(() => accepted?.writableEnded && isOver(), "both ends");
      assert.equal(accepted?.destroyed, false, "it still sends");
      dispose();
      await until(() => accepted?.destroyed, "the end of that", 10_000);
    } finally {
      dispose();
      client.destroy();
    }
  });

  test("go on when the system could not accept a connection", LIMIT, async (context) => {
    const server = watchServer(context);
    await withGuest(async (network) => {
      const { port } = await publish(network, { guestPort: PORT });
      const listening = server();
      assert.ok(listening);
      for (let i = 0; i < 3; i += 1) listening.emit("error", new Error("accept ENFILE"));
      assert.equal(await call({ host: INSIDE, port }, "hello"), "hello");
    });
  });

  test("end with the network, and fail where somebody listens already", LIMIT, async () => {
    let where: { readonly host: string; readonly port: number } | undefined;
    await withGuest(async (network) => {
      const { port } = await publish(network, { guestPort: PORT });
      where = { host: INSIDE, port };
      await assert.rejects(publish(network, { port, guestPort: PORT }), { code: "EADDRINUSE" });
    });
    assert.ok(where);
    await assert.rejects(call(where, "late"), { code: "ECONNREFUSED" });
  });

  test(
    "are not listened at for a port that there is not, or a network that is over",
    LIMIT,
    async (context) => {
      const server = watchServer(context);
      await withGuest(async (network) => {
        for (const guestPort of [0, -1, 1.5, 65_536, Number.NaN, "22", undefined]) {
          const options = { guestPort: guestPort as number };
          const message = `set guestPort to an integer from 1 to 65535, not "${guestPort}"`;
          await assert.rejects(publish(network, options), { code: "CONFIG", message });
        }
        for (const connections of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "9"]) {
          const options = { guestPort: PORT, connections: connections as number };
          await assert.rejects(publish(network, options), {
            code: "CONFIG",
            message: /connections/,
          });
        }
        network.dispose();
        await assert.rejects(publish(network, { guestPort: PORT }), { code: "DISPOSED" });
      });
      assert.equal(server(), undefined);
    },
  );
});
