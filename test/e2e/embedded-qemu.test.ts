/**
 * The engine in Node with a real guest: Linux under QEMU at a stream socket, as
 * `examples/node-qemu.mjs` has it, no program of ours and no rights.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttp } from "node:http";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { createNetwork, type Network } from "../../src/network/index.ts";
import { nodeUpstream, publish, readEngine, serveStream } from "../../src/network/node/index.ts";
import { blocks, sha256Of } from "../support/e2e/seeded.mjs";
import { until } from "../support/e2e/shell.ts";
import { DHCP_COMMAND, qemuMissing, startGuest } from "../support/qemu.ts";

const LIMIT = { timeout: 240_000 };
const COUNT = 8_000_000;
const PORT = 8080;
const DIST = new URL("../../dist/", import.meta.url);

/** A web server of this machine's: what is got is the stream of a seed, what is put is hashed. */
async function webServer(): Promise<{ readonly port: number; close(): void }> {
  const server = createHttp((request, response) => {
    if (request.method === "GET") {
      response.setHeader("Content-Length", COUNT);
      for (const block of blocks(7, COUNT)) response.write(block);
      response.end();
      return;
    }
    const hash = createHash("sha256");
    request.on("data", (chunk) => hash.update(chunk));
    request.on("end", () => response.end(hash.digest("hex")));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: portOf(server), close: () => void server.close() };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** A name server that has one answer for all. */
async function nameServer(address: string): Promise<{ readonly name: string; close(): void }> {
  const socket = createSocket("udp4");
  socket.on("message", (question, from) => {
    const end = question.indexOf(0, 12) + 5;
    const isA = question.readUInt16BE(end - 4) === 1;
    const header = Buffer.from(question.subarray(0, 12));
    header.writeUInt16BE(0x8180, 2);
    header.writeUInt16BE(isA ? 1 : 0, 6);
    header.writeUInt16BE(0, 10);
    const octets = address.split(".").map(Number);
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...octets]);
    const parts = [header, question.subarray(12, end), ...(isA ? [record] : [])];
    socket.send(Buffer.concat(parts), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return { name: `127.0.0.1:${socket.address().port}`, close: () => void socket.close() };
}

async function withGuest(
  act: (guest: Awaited<ReturnType<typeof startGuest>>, network: Network) => Promise<void>,
  names: string,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "slirp-embedded-"));
  const path = join(folder, "net.sock");
  const upstream = nodeUpstream({ nameServers: [names] });
  const engine = await readEngine({ folder: DIST });
  const network = await createNetwork({ engine, upstream, settings: { hostLoopback: true } });
  const ends: unknown[] = [];
  const server = createServer((socket) => {
    serveStream(network, socket).then(
      () => ends.push("closed"),
      (error) => ends.push(error),
    );
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  try {
    const netdev = `stream,id=n,server=off,addr.type=unix,addr.path=${path}`;
    const guest = await startGuest({ netdev });
    try {
      await act(guest, network);
    } finally {
      await guest.kill();
    }
    await until(() => ends.length > 0, "the end of the guest");
    assert.match(
      String(ends),
      /closed|ECONNRESET/,
      "as the kernel tells of a process that was killed",
    );
  } finally {
    network.dispose();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What somebody says who is called at a port of this machine. */
function heard(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let words = "";
    const socket = connect(port, "127.0.0.1");
    socket.on("data", (chunk) => {
      words += chunk;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(words));
  });
}

describe("the engine in Node, with a guest of QEMU", { skip: qemuMissing() ?? false }, () => {
  test("DHCP, DNS, transfers both ways, a server in the guest", LIMIT, async () => {
    const web = await webServer();
    const names = await nameServer("10.0.2.2");
    try {
      await withGuest(async (guest, network) => {
        await guest.must(DHCP_COMMAND);
        assert.match(await guest.must("ip -4 addr show dev eth0"), /10\.0\.2\.15\/24/);
        assert.match(await guest.must("nslookup gateway.test 10.0.2.3"), /10\.0\.2\.2/);
        const get = `wget -q -O /tmp/file http://10.0.2.2:${web.port}/ && sha256sum /tmp/file`;
        assert.match(await guest.must(get, 120_000), new RegExp(sha256Of(7, COUNT)));
        // By hand, as busybox' wget sends text only.
        const head = `PUT / HTTP/1.0\\r\\nContent-Length: ${COUNT}\\r\\n\\r\\n`;
        const put = `(printf "${head}"; cat /tmp/file) | nc 10.0.2.2 ${web.port}`;
        assert.match(await guest.must(put, 120_000), new RegExp(sha256Of(7, COUNT)));
        await guest.must(`(echo "the guest speaks" | nc -l -p ${PORT}) >/dev/null 2>&1 &`);
        const { port } = await publish(network, { guestPort: PORT });
        const words = await until(
          async () => (await heard(port).catch(() => "")) || undefined,
          "the guest's server",
        );
        assert.equal(words.trim(), "the guest speaks");
      }, names.name);
    } finally {
      web.close();
      names.close();
    }
  });
});
