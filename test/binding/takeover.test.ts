/**
 * Engines that fail in a running network: the same guest, at the same connection or rings, is
 * served by the next one; published ports, capture and recording go on; nothing is left open.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe } from "node:test";
import { type Binding, startBinding } from "../../src/binding/binding.ts";
import { readAttachOptions } from "../../src/config/attach.ts";
import { concat } from "../../src/lib/bytes.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { connectUnix } from "../../src/sys/socket.ts";
import { settingsOf } from "../config/support.ts";
import { framed } from "../link/fake-socket.ts";
import { FrontEnd } from "../link/vhost-user/front-end.ts";
import { breakEngine } from "../support/break-engine.ts";
import { GATEWAY_MAC, GUEST, GUEST_MAC, PEER } from "../support/engine-settings.ts";
import { ETHERTYPE_IPV4, ethernet, ipv4, PROTOCOL_UDP, udp } from "../support/packet.ts";
import { systemTest } from "../sys/support.ts";
import { listen } from "../upstream/rig.ts";
import { peerAt, QUESTION, until } from "./program.ts";

const NETWORK = "10.0.2";
const FAILURES = 5;
/** Descriptors that a runtime may keep from its first sockets on: fewer than there are failures. */
const KEPT = 2;
/** Within which the guest is back; a machine that is busy with other tests takes longer. */
const BACK_ms = 5000;
const EVERY_ms = 20;
const HEADER = new Uint8Array(12);
/** Of a ring. */
const BUFFERS = 4;

/** What ends an engine whose tables are broken. */
function datagram(sourcePort: number): Uint8Array {
  const ends = { source: GUEST, destination: PEER };
  const fields = { ...ends, sourcePort, destinationPort: 9 };
  const packet = ipv4({ ...ends, protocol: PROTOCOL_UDP }, udp(fields, "x"));
  const macs = { destination: GATEWAY_MAC, source: GUEST_MAC };
  return ethernet({ ...macs, type: ETHERTYPE_IPV4 }, packet);
}

/** An ARP request, whose answer says that frames move both ways. */
const ASKING = QUESTION.subarray(4);

interface Guest {
  send(frame: Uint8Array): void;
  /** Whether something has come since the last look. */
  hasHeard(): boolean;
  close(): void;
}

async function startNetwork(options: Readonly<Record<string, string>>): Promise<Binding> {
  const asked = readAttachOptions(settingsOf({ "log-level": "error", ...options }), false);
  return startBinding(asked, {
    seed: Array.from({ length: 32 }, (_, i) => i),
    program: process.execPath,
    uid: process.getuid?.() ?? 0,
    helper: [],
    memoryGroup: undefined,
  });
}

/** Sends every now and then until it is so; how long that took, milliseconds. */
async function sends(
  guest: Guest,
  frame: (i: number) => Uint8Array,
  isSo: () => boolean,
  what: string,
): Promise<number> {
  const began = performance.now();
  let sent = 0;
  await until(
    () => {
      if (performance.now() - began >= sent * EVERY_ms) {
        guest.send(frame(sent));
        sent += 1;
      }
      return isSo();
    },
    () => what,
  );
  return performance.now() - began;
}

function isBack(guest: Guest, what: string): Promise<number> {
  guest.hasHeard();
  return sends(guest, () => ASKING, guest.hasHeard, what);
}

async function fails(binding: Binding, guest: Guest, times: number): Promise<void> {
  await breakEngine(process.pid, NETWORK);
  const hasFailed = (): boolean => binding.counters.failures === times;
  await sends(guest, (i) => datagram(1000 + i), hasFailed, `failure ${times}`);
  // The next engine is there by then: what comes from the link may still be of the last one.
  assert.equal(await binding.refresh(), true);
  const back_ms = await isBack(guest, `an answer after failure ${times}`);
  assert.ok(back_ms < BACK_ms, `back after ${back_ms} ms`);
}

const descriptors = (): number => readdirSync("/proc/self/fd").length;

function streamGuest(socket: Socket): Guest {
  let heard = false;
  socket.on("data", () => {
    heard = true;
  });
  return {
    send: (frame) => socket.write(framed(frame)),
    hasHeard: () => {
      const had = heard;
      heard = false;
      return had;
    },
    close: () => socket.destroy(),
  };
}

function cardGuest(sys: Libc, path: string): Guest {
  const front = new FrontEnd(sys, connectUnix(sys, path));
  front.start();
  const [toGuest, fromGuest] = front.queues;
  let sent = 0;
  let waiting = 0;
  let offered = 0;
  const offer = (): void => {
    toGuest.driver.add([{ at: front.buffer(0, offered % 16), size: 2000 }]);
    toGuest.kick.signal();
    offered += 1;
  };
  for (let i = 0; i < BUFFERS; i += 1) offer();
  return {
    send: (frame) => {
      waiting -= fromGuest.driver.used().length;
      if (waiting === BUFFERS) return; // as a driver whose queue is full
      waiting += 1;
      const at = front.buffer(1, sent % BUFFERS);
      const octets = concat(HEADER, frame);
      front.ram.bytes.set(octets, at);
      fromGuest.driver.add([{ at, size: octets.length }]);
      fromGuest.kick.signal();
      sent += 1;
    },
    hasHeard: () => {
      const used = toGuest.driver.used();
      for (const _ of used) offer();
      return used.length > 0;
    },
    close: () => front.close(),
  };
}

async function withFolder(run: (path: string, folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "slirp-takeover-"));
  try {
    await run(join(folder, "vm.sock"), folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A network and its guest, both ended in any case, and no descriptor left then. */
async function withGuest(
  options: Readonly<Record<string, string>>,
  guestOf: (binding: Binding) => Guest,
  run: (binding: Binding, guest: Guest) => Promise<void>,
): Promise<void> {
  const before = descriptors();
  const binding = await startNetwork(options);
  const guest = guestOf(binding);
  try {
    await isBack(guest, "the first answer");
    await run(binding, guest);
  } finally {
    binding.stop();
    await binding.ended;
    guest.close();
  }
  await until(
    () => descriptors() <= before + KEPT,
    () => `${descriptors()} descriptors to become ${before}`,
  );
}

/** Has engines fail, and looks whether all is as before. */
async function outlives(binding: Binding, guest: Guest): Promise<void> {
  for (let times = 1; times <= FAILURES; times += 1) await fails(binding, guest, times);
  assert.equal(binding.counters.peers.connections, 1, "the same connection");
}

describe("an engine that fails", () => {
  systemTest("is not needed for a network to end", [], () =>
    withFolder(async (path) => {
      // The first network of a process opens what the runtime keeps.
      const binding = await startNetwork({ listen: `unix:${path}` });
      await binding.ready;
      binding.stop();
      await binding.ended;
      assert.equal(binding.counters.failures, 0);
    }),
  );

  systemTest("is replaced behind a unix stream", [], () =>
    withFolder(async (path) => {
      await withGuest({ listen: `unix:${path}` }, () => streamGuest(peerAt(path)), outlives);
    }),
  );

  systemTest("is replaced behind a TCP stream", [], async () => {
    const dial = ({ endpoint }: Binding): Guest => {
      assert.ok(endpoint?.kind === "tcp");
      return streamGuest(connect(endpoint.port, "127.0.0.1"));
    };
    await withGuest({ listen: "tcp:127.0.0.1:0" }, dial, outlives);
  });

  systemTest("is replaced behind vhost-user", [], (sys) =>
    withFolder(async (path) => {
      await withGuest({ "vhost-user": path }, () => cardGuest(sys, path), outlives);
    }),
  );

  systemTest("leaves published ports, capture and recording to their owner", [], (sys) =>
    withFolder(async (path, folder) => {
      const free = listen(sys);
      sys.close(free.fd);
      const files = { pcap: join(folder, "a.pcap"), record: join(folder, "a.rec") };
      const publish = `127.0.0.1:${free.port}:80`;
      const options = { listen: `unix:${path}`, publish, ...files };
      let ended = 0;
      const use = async (binding: Binding, guest: Guest): Promise<void> => {
        await binding.ready;
        await fails(binding, guest, 1);
        // Whoever comes is accepted, and the guest is sent a SYN.
        const client = connect(free.port, "127.0.0.1");
        await new Promise((resolve, reject) => client.on("connect", resolve).on("error", reject));
        await until(guest.hasHeard, () => "a SYN");
        ended = readFileSync(files.record).length;
        await isBack(guest, "an answer");
        client.destroy();
      };
      await withGuest(options, () => streamGuest(peerAt(path)), use);
      assert.equal(readFileSync(files.record).length, ended, "it is of the engine that failed");
      const frames = readFileSync(files.pcap);
      const asked = frames.toString("latin1").split(Buffer.from(ASKING).toString("latin1"));
      assert.ok(asked.length > 3, "frames of before and after");
      assert.deepEqual(readdirSync(folder).sort(), ["a.pcap", "a.rec"]);
    }),
  );

  systemTest("and a stop that comes at the same time ends the network", [], () =>
    withFolder(async (path) => {
      const use = async (binding: Binding, guest: Guest): Promise<void> => {
        await breakEngine(process.pid, NETWORK);
        guest.send(datagram(1000));
        binding.stop();
        await binding.ended;
      };
      await withGuest({ listen: `unix:${path}` }, () => streamGuest(peerAt(path)), use);
    }),
  );
});
