/**
 * TCP of a Node upstream: through two engines back to back, and with the engine's part played, so
 * that what a socket holds can be seen.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import { describe, test } from "node:test";
import { dial, type Network } from "../../../src/network/index.ts";
import { nodeUpstream } from "../../../src/network/node/index.ts";
import { END, type ErrorCode, type TcpSocket } from "../../../src/network/upstream.ts";
import { blocks, sha256Of, writeTo } from "../../support/e2e/seeded.mjs";
import { until } from "../../support/e2e/shell.ts";
import {
  closedPort,
  octetsOf,
  say,
  sendSeeded,
  sha256,
  type TcpService,
  tcpService,
  textOf,
} from "../../support/tcp-service.ts";
import { twoNetworks } from "../../support/two-networks.ts";

const LIMIT = { timeout: 60_000 };
const INSIDE = "127.0.0.1";
/** What may be held: a send of the engine's beyond 512 KiB; 256 KiB and a chunk of Bun's. */
const SEND_BOUND = 1024 * 1024;
const RECEIVE_BOUND = (256 + 512) * 1024;

/** Connects the guest to a server of this machine, through a Node upstream. */
async function through(
  serve: (socket: Socket) => void,
  act: (set: {
    readonly service: TcpService;
    readonly upstream: ReturnType<typeof nodeUpstream>;
    readonly guest: Network;
  }) => Promise<void>,
): Promise<void> {
  const service = await tcpService(serve);
  const upstream = nodeUpstream();
  const { caller, dispose } = twoNetworks([], {}, upstream);
  try {
    await act({ service, upstream, guest: caller });
  } finally {
    dispose();
    service.close();
  }
}

/** Sends what the first octet asks for, and then the hash of the rest that it has heard. */
function transfer(socket: Socket, count: number): void {
  const hash = createHash("sha256");
  let down: Promise<void> | undefined;
  socket.on("data", (chunk: Buffer) => {
    hash.update(down === undefined ? chunk.subarray(1) : chunk);
    down ??= writeTo(socket, chunk[0] ?? 0, count);
  });
  socket.on("end", () => void down?.then(() => socket.end(hash.digest("hex"))));
}

describe("node upstream: TCP through the engine", () => {
  test("eight streams both ways at once, octet for octet", LIMIT, async () => {
    const [count, streams] = [3_000_000, 8];
    const seen: string[] = [];
    const serve = (socket: Socket): void => transfer(socket, count);
    await through(serve, async ({ service, guest, upstream }) => {
      await Promise.all(
        Array.from({ length: streams }, async (_, i) => {
          const connection = dial(guest, service.port);
          await say(connection, String.fromCharCode(i + 1));
          const heard = octetsOf(connection);
          await sendSeeded(connection, 100 + i, count);
          const whole = await heard;
          const down = sha256(whole.subarray(0, count));
          assert.equal(down, sha256Of(i + 1, count), `down, stream ${i}`);
          assert.equal(whole.subarray(count).toString(), sha256Of(100 + i, count), `up, ${i}`);
          seen.push(String(i));
        }),
      );
      assert.equal(seen.length, streams);
      await until(() => upstream.stats().tcpSockets === 0, "all sockets to be gone");
    });
  });

  test("an end of the guest's: what the far side says afterwards arrives", LIMIT, async () => {
    const serve = (socket: Socket): void => {
      let heard = "";
      socket.on("data", (chunk) => {
        heard += chunk;
      });
      socket.on("end", () => socket.end(`heard ${heard}`));
    };
    await through(serve, async ({ service, guest }) => {
      const connection = dial(guest, service.port);
      const writer = connection.writable.getWriter();
      await writer.write(Buffer.from("all of it"));
      await writer.close();
      assert.equal(await textOf(connection), "heard all of it");
    });
  });

  test("an end of the far side's: what the guest says afterwards arrives", LIMIT, async () => {
    let heard = "";
    const serve = (socket: Socket): void => {
      socket.end("over");
      socket.on("data", (chunk) => {
        heard += chunk;
      });
      socket.on("end", () => {
        heard += "|";
      });
    };
    await through(serve, async ({ service, guest }) => {
      const connection = dial(guest, service.port);
      assert.equal(await textOf(connection), "over");
      const writer = connection.writable.getWriter();
      await writer.write(Buffer.from("not yet"));
      await writer.close();
      await until(
        () => heard === "not yet|",
        () => `what the guest says; heard "${heard}"`,
      );
    });
  });

  test("a thousand connections at once", LIMIT, async () => {
    const serve = (socket: Socket): void => void socket.on("data", (chunk) => socket.end(chunk));
    await through(serve, async ({ service, guest, upstream }) => {
      const dialled = Array.from({ length: 1000 }, () => dial(guest, service.port));
      await until(() => upstream.stats().tcpSockets === 1000, "a thousand sockets", 30_000);
      const answers = dialled.map(async (connection, i) => {
        const writer = connection.writable.getWriter();
        await writer.write(Buffer.from(`call ${i}`));
        await writer.close();
        assert.equal(await textOf(connection), `call ${i}`);
      });
      await Promise.all(answers);
      await until(() => upstream.stats().tcpSockets === 0, "all sockets to be gone");
    });
  });

  test("what is refused is refused, and a reset is one", LIMIT, async () => {
    const serve = (socket: Socket): void =>
      void socket.once("data", () => socket.resetAndDestroy());
    await through(serve, async ({ service, guest }) => {
      const refused = dial(guest, await closedPort());
      await assert.rejects(textOf(refused), { code: "ECONNRESET" });
      const reset = dial(guest, service.port);
      await say(reset, "x");
      await assert.rejects(textOf(reset), { name: "ConnectionError" });
    });
  });

  test("a reset of the guest's reaches the far side", LIMIT, async () => {
    const ends: string[] = [];
    const serve = (socket: Socket): void => {
      socket.once("data", () => ends.push("heard"));
      socket.on("error", ({ message }) => ends.push(message));
      socket.on("close", () => ends.push("closed"));
    };
    await through(serve, async ({ service, guest }) => {
      const connection = dial(guest, service.port);
      await say(connection, "x");
      await until(() => ends.includes("heard"), "the far side to hear it");
      connection.abort();
      await until(() => ends.includes("closed"), "the far side to hear of the reset");
      assert.match(ends.join(), /ECONNRESET/);
    });
  });

  test("a far side that does not read stops the guest", LIMIT, async () => {
    await through(
      (socket) => void socket.pause(),
      async ({ service, guest, upstream }) => {
        const writer = dial(guest, service.port).writable.getWriter();
        let written = 0;
        const flood = (async () => {
          for (const block of blocks(1, 64 << 20)) {
            await writer.write(block);
            written += block.length;
          }
        })();
        flood.catch(() => {}); // ends with the network
        let last = -1;
        await until(
          async () => {
            const still = written > 0 && written === last && upstream.stats().held > 0;
            last = written;
            await new Promise((resolve) => setTimeout(resolve, 200));
            return still && written === last;
          },
          () => `the guest to stand still; ${written} octets so far`,
          30_000,
        );
        const { held } = upstream.stats();
        assert.ok(held > 0 && held <= SEND_BOUND, `${held} octets are held`);
        assert.ok(written < 32 << 20, `${written} octets were taken`);
      },
    );
  });
});

/** The engine's part: notes what it is told. */
function played() {
  const told: string[] = [];
  const failures: ErrorCode[] = [];
  return {
    told,
    failures,
    events: {
      connected: () => void told.push("connected"),
      readable: () => void told.push("readable"),
      writable: () => void told.push("writable"),
      failed: (code: ErrorCode) => void failures.push(code),
    },
  };
}

async function receiveAll(socket: TcpSocket): Promise<number> {
  const room = new Uint8Array(65_536);
  let total = 0;
  await until(() => {
    for (;;) {
      const count = socket.receive([room]);
      if (count === END) return true;
      if (count === 0) return false;
      total += count;
    }
  }, "the end of what is received");
  return total;
}

describe("node upstream: one TCP socket", () => {
  test("a guest that does not read stops the far side", LIMIT, async () => {
    const count = 16 << 20;
    const service = await tcpService((socket) => void socket.end(Buffer.alloc(count)));
    const upstream = nodeUpstream();
    try {
      const { events } = played();
      const socket = upstream.connect({ address: INSIDE, port: service.port, tos: 0 }, events);
      let held = -1;
      await until(
        async () => {
          const before = held;
          await new Promise((resolve) => setTimeout(resolve, 100));
          held = upstream.stats().held;
          return held > 0 && held === before;
        },
        () => `the far side to stand still; ${held} octets are held`,
      );
      assert.ok(held <= RECEIVE_BOUND, `${held} octets are held`);
      assert.equal(await receiveAll(socket), count, "all of it, once it is asked for");
      socket.close(false);
      await until(() => upstream.stats().tcpSockets === 0, "the socket to be gone");
    } finally {
      service.close();
    }
  });

  test(
    "tells of room once the far side reads again, and of the end after all of it",
    LIMIT,
    async () => {
      let far: Socket | undefined;
      const service = await tcpService((socket) => {
        socket.pause();
        far = socket;
      });
      const upstream = nodeUpstream();
      try {
        const { events, told } = played();
        const socket = upstream.connect({ address: INSIDE, port: service.port, tos: 0 }, events);
        socket.keepAlive?.(30);
        await until(() => told.includes("connected") && far, "the connection");
        const piece = new Uint8Array(65_536);
        let taken = 0;
        await until(() => {
          for (let i = 0; i < 64; i += 1) {
            const count = socket.send([piece, piece]);
            if (count === 0) return told.push("full");
            taken += count;
          }
          return false;
        }, "a socket that takes no more");
        assert.ok(upstream.stats().held <= SEND_BOUND, "within its bound");
        told.length = 0;
        let heard = 0;
        far?.on("data", (chunk) => {
          heard += chunk.length;
        });
        far?.resume();
        await until(() => told.includes("writable"), "news of room");
        socket.close(false);
        await until(
          () => heard === taken,
          () => `${taken} octets to arrive, not ${heard}`,
        );
        assert.equal(socket.send([piece]), 0, "nothing more is taken");
      } finally {
        service.close();
        upstream.close();
      }
    },
  );

  test("a reset does not wait for a far side that does not read", LIMIT, async () => {
    const service = await tcpService((socket) => void socket.pause());
    const upstream = nodeUpstream();
    const { events, told } = played();
    const socket = upstream.connect({ address: INSIDE, port: service.port, tos: 0 }, events);
    await until(() => told.includes("connected"), "the connection");
    const piece = new Uint8Array(1 << 20);
    await until(() => socket.send([piece]) === 0, "a socket that takes no more");
    socket.close(true);
    await until(() => upstream.stats().tcpSockets === 0, "the socket to be gone");
    service.close();
  });

  test("one that still sends ends with its upstream", LIMIT, async () => {
    const service = await tcpService((socket) => void socket.pause());
    const upstream = nodeUpstream();
    const { events, failures, told } = played();
    try {
      const socket = upstream.connect({ address: INSIDE, port: service.port, tos: 0 }, events);
      await until(() => told.includes("connected"), "the connection");
      const piece = new Uint8Array(1 << 20);
      await until(() => socket.send([piece]) === 0, "a socket that takes no more");
      socket.close(false);
      socket.close(false);
      assert.equal(upstream.stats().tcpSockets, 1, "it still sends");
      upstream.close();
      await until(() => upstream.stats().tcpSockets === 0, "the socket to be gone", 10_000);
      assert.deepEqual(failures, []);
    } finally {
      service.close();
    }
  });

  test("tells of a port that nobody listens at, once", LIMIT, async () => {
    const upstream = nodeUpstream();
    const { events, failures, told } = played();
    upstream.connect({ address: INSIDE, port: await closedPort(), tos: 0 }, events);
    await until(() => upstream.stats().tcpSockets === 0, "the socket to be gone");
    assert.deepEqual([failures, told], [["ECONNREFUSED"], []]);
  });

  test("an attempt that is given up is told of no more", LIMIT, async () => {
    const service = await tcpService(() => {});
    const upstream = nodeUpstream();
    const { events, failures, told } = played();
    const socket = upstream.connect({ address: INSIDE, port: service.port, tos: 0 }, events);
    socket.close(true);
    socket.close(true);
    await until(() => upstream.stats().tcpSockets === 0, "the socket to be gone");
    assert.deepEqual([failures, told], [[], []]);
    service.close();
  });
});
