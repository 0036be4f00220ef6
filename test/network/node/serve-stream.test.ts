/**
 * A guest at a stream socket, as QEMU is one: its packets go through the engine to this machine by
 * a Node upstream. The guest is made of packets (`stream-guest.ts`); a real one is in
 * `test/e2e/embedded-qemu.test.ts`.
 */
import assert from "node:assert/strict";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { describe, test } from "node:test";
import {
  createNetworkSync,
  type Network,
  type NetworkSettings,
  readStats,
} from "../../../src/network/index.ts";
import { nodeUpstream, serveStream } from "../../../src/network/node/index.ts";
import { until } from "../../support/e2e/shell.ts";
import { engineModule } from "../../support/engine-binary.ts";
import { onFrames } from "../../support/framed.ts";
import { arp, concat, ETHERTYPE_ARP, ethernet, MAC_BROADCAST, u32 } from "../../support/packet.ts";
import { connectGuest } from "../../support/stream-guest.ts";
import { closedPort, tcpService } from "../../support/tcp-service.ts";

const LIMIT = { timeout: 60_000 };
const GATEWAY = "10.0.2.2";
/** Floods of 500 questions, whose answers are four times what may wait. */
const FLOODS = 250;
const MAC = "02:00:00:00:00:0f";

interface Stage {
  readonly path: string;
  readonly network: Network;
  /** What became of the connections. */
  readonly ends: string[];
  readonly served: Socket[];
}

async function withNetwork(
  act: (stage: Stage) => Promise<void>,
  settings: NetworkSettings = { hostLoopback: true },
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "slirp-stream-"));
  const path = join(folder, "link.sock");
  const upstream = nodeUpstream({ hostAddress: "refuse" });
  const network = createNetworkSync({ engine: engineModule("simd"), upstream, settings });
  const ends: string[] = [];
  const served: Socket[] = [];
  const server = createServer((socket) => {
    served.push(socket);
    serveStream(network, socket).then(
      () => ends.push("closed"),
      ({ message }) => ends.push(message),
    );
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  try {
    await act({ path, network, ends, served });
  } finally {
    network.dispose();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function udpEcho(): Promise<UdpSocket> {
  const socket = createSocket("udp4");
  socket.on("message", (payload, from) => socket.send(payload, from.port, from.address));
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return socket;
}

describe("a guest at a stream socket", () => {
  test("gets its address, has datagrams answered, and connections", LIMIT, async () => {
    const echo = await udpEcho();
    const service = await tcpService(() => {});
    await withNetwork(async ({ path, ends, network }) => {
      const guest = await connectGuest(path);
      assert.equal((await guest.lease()).yourAddress, "10.0.2.15");
      await guest.echo({ address: GATEWAY, port: echo.address().port }, "hello");
      assert.equal(await guest.knock({ address: GATEWAY, port: service.port }), "SA");
      assert.equal(await guest.knock({ address: GATEWAY, port: await closedPort() }), "RA");
      guest.close();
      await until(() => ends.length > 0, "the end");
      assert.deepEqual(ends, ["closed"]);
      assert.equal(network.link.onFrames, undefined, "the link is free");
      const next = await connectGuest(path);
      await next.lease();
      next.close();
    });
    echo.close();
    service.close();
  });

  test("reaches loopback, own addresses and metadata only where it may", LIMIT, async () => {
    const service = await tcpService(() => {});
    const { port } = service;
    await withNetwork(
      async ({ path, network }) => {
        const guest = await connectGuest(path);
        await guest.lease();
        assert.notEqual(await guest.knock({ address: GATEWAY, port }), "SA");
        assert.notEqual(await guest.knock({ address: "127.0.0.1", port }), "SA");
        assert.equal(await guest.knock({ address: "169.254.169.254", port }), "RA");
        assert.equal(await guest.knock({ address: "169.254.1.1", port }), "icmp");
        assert.equal(network.inspect(readStats).dropMetadata, 1);
        guest.close();
      },
      { metadataAddress: "refuse" },
    );
    service.close();
  });

  test("has the link to itself", LIMIT, async () => {
    await withNetwork(async ({ path, ends }) => {
      const guest = await connectGuest(path);
      await guest.lease();
      const second = connect(path);
      second.on("error", () => {});
      second.resume();
      await until(() => ends.length > 0, "the second to be refused");
      assert.match(String(ends), /one at a time/);
      await until(() => second.closed, "the second to be closed");
      guest.close();
    });
  });

  test("that has gone already is served to its end at once", LIMIT, async () => {
    await withNetwork(async ({ network }) => {
      const [destroyed, ended, broken] = [new PassThrough(), new PassThrough(), new PassThrough()];
      destroyed.destroy();
      ended.end();
      ended.resume();
      broken.on("error", () => {}); // its program had heard of it
      broken.destroy(new Error("the cable is cut"));
      await until(() => destroyed.closed && broken.closed && ended.readableEnded, "their ends");
      await serveStream(network, destroyed);
      await serveStream(network, ended);
      assert.equal(ended.destroyed, true);
      await assert.rejects(serveStream(network, broken), /the cable is cut/);
      assert.equal(network.link.onFrames, undefined, "the link is free");
    });
  });

  for (const length of [0, 13, 69_633, 0xffffffff]) {
    test(`that announces ${length} octets is cut off`, LIMIT, async () => {
      await withNetwork(async ({ path, ends }) => {
        const socket = connect(path);
        socket.on("error", () => {});
        socket.write(concat(u32(length), new Uint8Array(20)));
        await until(() => ends.length > 0 && socket.closed, "the end");
        assert.match(String(ends), new RegExp(`announces ${length} octets, not 14 to 69632`));
      });
    });
  }

  test("may cut its frames as it likes", LIMIT, async () => {
    await withNetwork(async ({ path }) => {
      const socket = connect(path);
      const answers: Uint8Array[] = [];
      onFrames(socket, (frame) => answers.push(frame));
      const frame = question();
      const octets = concat(u32(frame.length), frame, u32(frame.length), frame);
      for (const octet of octets) {
        await new Promise((resolve) => socket.write(Uint8Array.of(octet), resolve));
      }
      await until(
        () => answers.length >= 2,
        () => `two answers, not ${answers.length}`,
      );
      socket.destroy();
    });
  });

  test("that does not read is not written to without bound", LIMIT, async () => {
    await withNetwork(async ({ path, served }) => {
      const socket = connect(path);
      socket.pause();
      const frame = question();
      const many = concat(...Array.from({ length: 500 }, () => concat(u32(frame.length), frame)));
      const written = async (): Promise<unknown> =>
        new Promise((resolve) => socket.write(many, resolve));
      let most = 0;
      for (let i = 0; i < FLOODS; i += 1) {
        await written();
        most = Math.max(most, served[0]?.writableLength ?? 0);
      }
      assert.ok(most >= 1 << 20, `${most} octets waited at most`);
      assert.ok(most <= 2 << 20, `${most} octets waited at most`);
      let heard = 0;
      socket.on("data", (chunk) => {
        heard += chunk.length;
      });
      socket.resume();
      await until(() => served[0]?.writableLength === 0 && heard > most, "all of that");
      const before = heard;
      await written();
      await until(() => heard > before, "answers as before");
      socket.destroy();
    });
  });
});

function question(): Uint8Array {
  const payload = arp({
    operation: 1,
    senderMac: MAC,
    senderAddress: "10.0.2.15",
    targetMac: "00:00:00:00:00:00",
    targetAddress: GATEWAY,
  });
  return ethernet({ source: MAC, destination: MAC_BROADCAST, type: ETHERTYPE_ARP }, payload);
}
