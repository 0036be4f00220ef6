/** Bounds and the end of a Node upstream, and what of this machine a guest reaches through it. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { networkInterfaces } from "node:os";
import { describe, test } from "node:test";
import { createNetworkSync } from "../../../src/network/index.ts";
import { nodeUpstream } from "../../../src/network/node/index.ts";
import type { ErrorCode } from "../../../src/network/upstream.ts";
import { query } from "../../support/dns.ts";
import { until } from "../../support/e2e/shell.ts";
import { engineModule } from "../../support/engine-binary.ts";
import {
  arp,
  ETHERTYPE_ARP,
  ethernet,
  ipv4,
  MAC_BROADCAST,
  PROTOCOL_UDP,
  udp,
} from "../../support/packet.ts";
import { decodeFrame } from "../../support/packet-decode.ts";
import { tcpService } from "../../support/tcp-service.ts";

const INSIDE = "127.0.0.1";
const LIMIT = { timeout: 30_000 };
const QUIET = { readable: () => {}, refused: () => {} };

const MAC = "02:00:00:00:00:0f";
const [GUEST, GATEWAY] = ["10.0.2.15", "10.0.2.2"];
const GATEWAY_MAC = "52:55:0a:00:02:02";
const PORT_FIRST = 42_000;

/** The guest asks for its gateway, which has learnt of it by that. */
function announcement(): Uint8Array {
  const request = arp({ senderMac: MAC, senderAddress: GUEST, targetAddress: GATEWAY });
  return ethernet({ source: MAC, destination: MAC_BROADCAST, type: ETHERTYPE_ARP }, request);
}

/** From a port of the guest's to one of the host's loopback. */
function datagram(sourcePort: number, destinationPort: number): Uint8Array {
  const way = { source: GUEST, destination: GATEWAY };
  const payload = udp({ ...way, sourcePort, destinationPort }, "hello");
  const packet = ipv4({ ...way, protocol: PROTOCOL_UDP }, payload);
  return ethernet({ source: MAC, destination: GATEWAY_MAC }, packet);
}

function watched() {
  const told: string[] = [];
  const events = {
    connected: () => void told.push("connected"),
    readable: () => {},
    writable: () => {},
    failed: (code: ErrorCode) => void told.push(code),
  };
  return { told, events };
}

describe("node upstream", () => {
  test("has so many sockets and no more", LIMIT, async () => {
    const service = await tcpService(() => {});
    const upstream = nodeUpstream({ tcpSockets: 1, udpSockets: 1 });
    const [first, second] = [watched(), watched()];
    const target = { address: INSIDE, port: service.port, tos: 0 };
    const socket = upstream.connect(target, first.events);
    upstream.connect(target, second.events).close(true);
    assert.deepEqual(second.told, ["EMFILE"]);
    const port = upstream.openUdp({ family: 4, port: 0 }, QUIET);
    assert.equal(upstream.openUdp({ family: 4, port: 0 }, QUIET), undefined);
    assert.equal(upstream.stats().refused, 2);
    await until(() => first.told.includes("connected"), "the first connection");
    socket.close(true);
    port?.close();
    const isEmpty = () => upstream.stats().tcpSockets + upstream.stats().udpSockets === 0;
    await until(isEmpty, "room for others");
    upstream.connect(target, first.events).close(true);
    assert.equal(upstream.stats().refused, 2);
    service.close();
  });

  test("has the place of a port as soon as that is closed, once", LIMIT, async () => {
    const upstream = nodeUpstream({ udpSockets: 2 });
    const open = () => upstream.openUdp({ family: 4, port: 0 }, QUIET);
    const [first, second] = [open(), open()];
    assert.ok(second);
    first?.close();
    first?.close();
    assert.equal(upstream.stats().udpSockets, 1);
    assert.ok(open(), "the place of the first");
    assert.equal(open(), undefined, "there was one place");
    upstream.close();
    second.close();
    assert.equal(upstream.stats().udpSockets, 0);
  });

  test("answers as many ports of a burst as it has places for", LIMIT, async () => {
    const [bound, burst] = [8, 40];
    const far = createSocket("udp4");
    far.on("message", (payload, from) => far.send(payload, from.port, from.address));
    await new Promise<void>((resolve) => far.bind(0, INSIDE, resolve));
    const upstream = nodeUpstream({ udpSockets: bound });
    const settings = { hostLoopback: true };
    const network = createNetworkSync({ engine: engineModule("simd"), upstream, settings });
    const answered = new Set<number>();
    network.link.onFrame = (octets) => {
      const frame = decodeFrame(octets, { vnetSize: 0, mtu: 1500 });
      if (frame.kind === "udp") answered.add(frame.destinationPort);
      return true;
    };
    try {
      network.link.receive(announcement());
      for (let i = 0; i < burst; i += 1) {
        network.link.receive(datagram(PORT_FIRST + i, far.address().port));
      }
      await until(
        () => answered.size === bound,
        () => `${bound} that are answered, not ${answered.size}`,
      );
      assert.equal(upstream.stats().udpSockets, bound);
    } finally {
      network.dispose();
      far.close();
    }
    assert.equal(upstream.stats().udpSockets, 0);
  });

  test("has one port outside for one of the guest, whoever is sent to", LIMIT, async () => {
    const seen: number[] = [];
    const fars = [createSocket("udp4"), createSocket("udp4")];
    const settings = { hostLoopback: true };
    const network = createNetworkSync({
      engine: engineModule("simd"),
      upstream: nodeUpstream(),
      settings,
    });
    try {
      network.link.receive(announcement());
      for (const far of fars) {
        far.on("message", (_payload, { port }) => void seen.push(port));
        await new Promise<void>((resolve) => far.bind(0, INSIDE, resolve));
        network.link.receive(datagram(PORT_FIRST, far.address().port));
      }
      await until(() => seen.length === fars.length, "both to hear it");
      assert.equal(seen[0], seen[1]);
    } finally {
      network.dispose();
      for (const far of fars) far.close();
    }
  });

  test("has none once it is closed", LIMIT, async () => {
    const service = await tcpService(() => {});
    const upstream = nodeUpstream();
    const { told, events } = watched();
    const target = { address: INSIDE, port: service.port, tos: 0 };
    upstream.connect(target, events);
    upstream.openUdp({ family: 4, port: 0 }, QUIET);
    await until(() => told.includes("connected"), "the connection");
    upstream.close();
    upstream.close();
    const isEmpty = () => upstream.stats().tcpSockets + upstream.stats().udpSockets === 0;
    await until(isEmpty, "all sockets to be gone");
    await until(() => service.sockets.size === 0, "the far side to hear of it");
    const late = watched();
    upstream.connect(target, late.events);
    assert.deepEqual(late.told, ["EMFILE"]);
    assert.equal(upstream.openUdp({ family: 4, port: 0 }, QUIET), undefined);
    service.close();
  });

  test("asks the name servers that it is given", LIMIT, async () => {
    const server = createSocket("udp4");
    server.on("message", (question, from) => {
      const answer = Buffer.from(question);
      answer[2] = (answer[2] ?? 0) | 0x80;
      server.send(answer, from.port, from.address);
    });
    await new Promise<void>((resolve) => server.bind(0, INSIDE, resolve));
    const upstream = nodeUpstream({ nameServers: [`${INSIDE}:${server.address().port}`] });
    const answer = await upstream.resolve?.(query(7));
    assert.equal(answer?.length, query(7).length);
    const waiting = Array.from({ length: 300 }, () => upstream.resolve?.(query(8)));
    const settled = await Promise.allSettled(waiting);
    const refused = settled.filter(({ status }) => status === "rejected");
    assert.ok(refused.length >= 44, `${refused.length} of 300 were too many`);
    assert.throws(() => nodeUpstream({ nameServers: ["a:b:c"] }), RangeError);
    upstream.close();
    await assert.rejects(async () => upstream.resolve?.(query(9)));
    server.close();
  });

  test("leads to this machine's own addresses only where it may", LIMIT, async () => {
    const upstream = nodeUpstream({ families: [4], hostAddress: "refuse" });
    assert.deepEqual(upstream.families, [4]);
    const refused: string[] = [];
    const events = { ...QUIET, refused: (code: ErrorCode) => void refused.push(code) };
    const port = upstream.openUdp({ family: 4, port: 0 }, events);
    const own = Object.values(networkInterfaces()).flatMap((found = []) => found);
    const addresses = own.filter(({ internal }) => !internal).map(({ address }) => address);
    for (const address of [...addresses, "169.254.7.7"]) {
      const { told, events: stream } = watched();
      upstream.connect({ address, port: 9, tos: 0 }, stream);
      assert.deepEqual(told, ["EACCES"], address);
      assert.equal(port?.send(new Uint8Array(1), { address, port: 9 }), true);
    }
    assert.equal(refused.length, addresses.length + 1);
    assert.equal(upstream.stats().droppedToFar, refused.length);
    const { told, events: stream } = watched();
    upstream.connect({ address: INSIDE, port: 9, tos: 0 }, stream);
    await until(() => told.length > 0, "an answer of loopback");
    assert.deepEqual(told, ["ECONNREFUSED"]);
    upstream.close();
  });
});
