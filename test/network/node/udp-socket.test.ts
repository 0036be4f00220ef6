/** UDP of a Node upstream, the engine's part played; `serve-stream.test.ts` has it with a guest. */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import process from "node:process";
import { describe, test } from "node:test";
import { nodeUpstream } from "../../../src/network/node/index.ts";
import type { Datagram, Endpoint, ErrorCode, UdpSocket } from "../../../src/network/upstream.ts";
import { until } from "../../support/e2e/shell.ts";

const LIMIT = { timeout: 30_000 };
const IPV4 = { family: 4, port: 0 } as const;
/** Deno tells nobody of an ICMP error about a datagram. */
const HEARS_ERRORS = process.versions["deno"] === undefined;

function echo(address: string): Promise<{ readonly endpoint: Endpoint; readonly socket: Socket }> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("message", (payload, from) => socket.send(payload, from.port, from.address));
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(0, address, () => {
      resolve({ endpoint: { address, port: socket.address().port }, socket });
    });
  });
}

function played() {
  const told: string[] = [];
  const refusals: { readonly code: ErrorCode; readonly port: number | undefined }[] = [];
  const events = {
    readable: () => void told.push("readable"),
    refused: (code: ErrorCode, to?: Endpoint) => void refusals.push({ code, port: to?.port }),
  };
  return { told, refusals, events };
}

async function received(socket: UdpSocket): Promise<Datagram> {
  return until(() => socket.receive(), "a datagram");
}

const text = ({ payload }: Datagram): string => new TextDecoder().decode(payload);
const octets = (words: string): Uint8Array => new TextEncoder().encode(words);

describe("node upstream: UDP", () => {
  for (const [family, address] of [
    [4, "127.0.0.1"],
    [6, "::1"],
  ] as const) {
    test(`a datagram goes out and its echo comes back, IPv${family}`, LIMIT, async () => {
      const { endpoint, socket: far } = await echo(address);
      const upstream = nodeUpstream();
      const { events, told } = played();
      const socket = upstream.openUdp({ family, port: 0 }, events);
      assert.ok(socket);
      assert.equal(socket.receive(), undefined);
      const payload = octets("hello");
      assert.equal(socket.send(payload, endpoint), true);
      payload.fill(0); // it is the engine's again
      const back = await received(socket);
      assert.equal(text(back), "hello");
      assert.deepEqual(back.from, endpoint);
      assert.ok(told.includes("readable"));
      assert.ok(socket.port > 0, "the port is known by now");
      assert.equal(socket.send(new Uint8Array(0), endpoint), true);
      assert.equal((await received(socket)).payload.length, 0, "an empty one is one");
      assert.equal(upstream.stats().held, 0);
      upstream.close();
      await until(() => upstream.stats().udpSockets === 0, "the socket to be gone");
      assert.equal(socket.send(octets("late"), endpoint), false);
      far.close();
    });
  }

  test("what waits is bounded both ways, and drops are counted", LIMIT, async () => {
    const { endpoint, socket: far } = await echo("127.0.0.1");
    const upstream = nodeUpstream();
    const socket = upstream.openUdp(IPV4, played().events);
    assert.ok(socket);
    const payload = new Uint8Array(1000);
    const sent = Array.from({ length: 600 }, () => socket.send(payload, endpoint));
    assert.equal(sent.filter((went) => went).length, 512, "none has left in this turn");
    assert.equal(upstream.stats().droppedToFar, 88);
    const large = new Uint8Array(60_000);
    const other = upstream.openUdp(IPV4, played().events);
    const many = Array.from({ length: 20 }, () => other?.send(large, endpoint));
    assert.equal(many.filter((went) => went).length, 17, "1 MiB of them");
    // Nobody takes what comes back.
    await until(() => {
      socket.send(payload, endpoint);
      return upstream.stats().droppedToGuest > 0;
    }, "a queue that is full");
    assert.ok(upstream.stats().held <= 4 << 20, `${upstream.stats().held} octets are held`);
    upstream.close();
    far.close();
  });

  test("a peer that refuses is told of, and none but the peer is heard", LIMIT, async () => {
    const { endpoint, socket: far } = await echo("127.0.0.1");
    const upstream = nodeUpstream();
    const { events, refusals } = played();
    const socket = upstream.openUdp({ ...IPV4, peer: endpoint }, events);
    assert.ok(socket);
    assert.equal(socket.send(octets("early"), endpoint), true);
    assert.equal(text(await received(socket)), "early");
    far.close();
    let sent = 0;
    await until(() => {
      socket.send(octets("x"), endpoint);
      sent += 1;
      return HEARS_ERRORS ? refusals.length > 0 : sent > 20;
    }, "a refusal");
    const codes = HEARS_ERRORS ? ["ECONNREFUSED"] : [];
    assert.deepEqual([...new Set(refusals.map(({ code }) => code))], codes);
    upstream.close();
  });

  test("an address of no use is told of with the datagram", LIMIT, async () => {
    const upstream = nodeUpstream();
    const { events, refusals } = played();
    const socket = upstream.openUdp(IPV4, events);
    socket?.send(octets("x"), { address: "255.255.255.255", port: 9 });
    await until(() => refusals.length > 0, "a refusal");
    const code = process.versions["deno"] === undefined ? "EACCES" : "EIO"; // Deno names it not
    assert.deepEqual(refusals, [{ code, port: 9 }]);
    assert.equal(upstream.stats().droppedToFar, 1);
    upstream.close();
  });

  test(
    "what Node refuses to send is dropped, before the port is there and after",
    LIMIT,
    async () => {
      const upstream = nodeUpstream();
      const { events, refusals } = played();
      const socket = upstream.openUdp(IPV4, events);
      socket?.send(octets("x"), { address: "127.0.0.1", port: 0 });
      await until(() => (socket?.port ?? 0) > 0 && refusals.length === 1, "a refusal");
      socket?.send(octets("x"), { address: "127.0.0.1", port: 0 });
      await until(() => refusals.length === 2, "another one");
      assert.deepEqual([upstream.stats().droppedToFar, upstream.stats().held], [2, 0]);
      upstream.close();
    },
  );

  test("a port that can be had is kept", LIMIT, async () => {
    const { endpoint, socket: far } = await echo("127.0.0.1");
    const { endpoint: free, socket: holder } = await echo("0.0.0.0");
    await new Promise<void>((resolve) => holder.close(resolve));
    const upstream = nodeUpstream();
    const socket = upstream.openUdp({ family: 4, port: free.port }, played().events);
    assert.ok(socket);
    assert.equal(socket.send(octets("mine"), endpoint), true);
    await received(socket);
    assert.equal(socket.port, free.port);
    upstream.close();
    far.close();
  });

  for (const family of [4, 6] as const) {
    test(`a port that is taken gives way to another, IPv${family}`, LIMIT, async () => {
      const { endpoint: taken, socket: holder } = await echo(family === 4 ? "0.0.0.0" : "::");
      const { endpoint, socket: far } = await echo(family === 4 ? "127.0.0.1" : "::1");
      const upstream = nodeUpstream();
      const { events, refusals } = played();
      const socket = upstream.openUdp({ family, port: taken.port }, events);
      assert.ok(socket);
      for (const word of ["one", "two"]) assert.equal(socket.send(octets(word), endpoint), true);
      const back = [text(await received(socket)), text(await received(socket))];
      assert.deepEqual(back.toSorted(), ["one", "two"]); // Deno's leave in any order
      assert.ok(socket.port > 0 && socket.port !== taken.port);
      assert.deepEqual(refusals, []);
      assert.equal(upstream.stats().udpSockets, 1);
      upstream.close();
      await until(() => upstream.stats().udpSockets === 0, "the socket to be gone");
      for (const each of [holder, far]) each.close();
    });
  }

  test("a port that takes rights is not asked for", LIMIT, async () => {
    const { endpoint, socket: far } = await echo("127.0.0.1");
    const upstream = nodeUpstream();
    const { events, refusals } = played();
    const socket = upstream.openUdp({ family: 4, port: 123 }, events);
    assert.ok(socket);
    assert.equal(socket.send(octets("what time is it?"), endpoint), true);
    assert.equal(text(await received(socket)), "what time is it?");
    assert.ok(socket.port >= 1024);
    assert.deepEqual(refusals, []);
    upstream.close();
    far.close();
  });

  test("one that is closed before it has a port is gone", LIMIT, async () => {
    const { endpoint: taken, socket: holder } = await echo("0.0.0.0");
    const upstream = nodeUpstream();
    const socket = upstream.openUdp({ family: 4, port: taken.port }, played().events);
    socket?.close();
    await until(() => upstream.stats().udpSockets === 0, "the socket to be gone");
    holder.close();
  });
});
