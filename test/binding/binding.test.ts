/**
 * One guest network from start to end: a real tap in a fresh namespace, the worker, the mailbox.
 * What flows through it is the end-to-end tests' concern.
 */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe } from "node:test";
import { type Binding, startBinding } from "../../src/binding/binding.ts";
import { type AttachOptions, readAttachOptions } from "../../src/config/attach.ts";
import { formatEndpoint } from "../../src/config/endpoint.ts";
import type { PeerCounters } from "../../src/link/stream-peer.ts";
import { EADDRINUSE, errnoName, SystemError } from "../../src/sys/errno.ts";
import { EventFd } from "../../src/sys/fd.ts";
import * as abi from "../../wasm/abi.ts";
import { framed, unframed } from "../link/fake-socket.ts";
import { GATEWAY, GUEST, GUEST_MAC } from "../support/engine-settings.ts";
import { arp, ETHERTYPE_ARP, ethernet, MAC_BROADCAST } from "../support/packet.ts";
import { inNetns, netnsPath, systemTest, withNetns } from "../sys/support.ts";
import { listen } from "../upstream/rig.ts";

const SEED = Array.from({ length: 32 }, (_, i) => i);
const DEPENDENCIES = {
  seed: SEED,
  program: process.execPath,
  uid: process.getuid?.() ?? 0,
  helper: [],
  memoryGroup: undefined,
};
const LIMIT_MS = 10_000;

function optionsFor(netns: string, more: Readonly<Record<string, string>> = {}): AttachOptions {
  const given = { tap: "tap0", netns: netnsPath(netns), configure: "true", ...more };
  const settings = Object.entries({ "log-level": "error", ...given }).map(
    ([name, value]) => [name, { values: [value], origin: "test" }] as const,
  );
  return readAttachOptions(new Map(settings), false);
}

function startIn(netns: string, more: Readonly<Record<string, string>> = {}): Promise<Binding> {
  return startBinding(optionsFor(netns, more), DEPENDENCIES);
}

/** Runs with a binding that is ready, and ends it in any case. */
async function withBinding(run: (binding: Binding, netns: string) => Promise<void>): Promise<void> {
  await withNetns(async (netns) => {
    const binding = await startIn(netns);
    try {
      await binding.ready;
      await run(binding, netns);
    } finally {
      binding.stop();
      await binding.ended.catch(() => undefined);
    }
  });
}

/** Waits until it holds, the event loop going on meanwhile. */
async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = performance.now() + LIMIT_MS; !holds(); ) {
    if (performance.now() > end) throw new Error(`Waited in vain for ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function descriptorCount(): number {
  return readdirSync("/proc/self/fd").length;
}

/** Runs it often enough that a descriptor it leaves open each time shows. */
async function leavesNothingOpen(run: () => Promise<void>): Promise<void> {
  await run(); // what runtime and libraries open once
  const before = descriptorCount();
  for (let i = 0; i < 3; i += 1) await run();
  await until(() => descriptorCount() <= before, `no more than ${before} descriptors`);
}

function hasTap(netns: string): boolean {
  return inNetns(netns, ["ip", "-o", "link"]).includes("tap0");
}

describe("binding", () => {
  systemTest(
    "is ready with a configured tap, and takes it along when it stops",
    ["root", "tun"],
    () =>
      withBinding(async (binding, netns) => {
        const address = inNetns(netns, ["ip", "-o", "-4", "addr", "show", "tap0"]);
        assert.ok(address.includes("10.0.2.15/24"), address);
        binding.stop();
        await binding.ended;
        binding.stop();
        assert.ok(!hasTap(netns));
      }),
  );

  systemTest("counts what the guest sends, and tells when asked", ["root", "tun"], () =>
    withBinding(async (binding, netns) => {
      const { counters } = binding;
      assert.equal(counters.answered, 0);
      inNetns(netns, ["ping", "-c", "2", "-i", "0.2", "-W", "5", "10.0.2.2"]);
      binding.refresh();
      await until(() => counters.answered === 1, "an answer");
      assert.equal(counters.counter(abi.STAT_PING_LOCAL), 2);
      assert.ok(counters.counter(abi.STAT_GUEST_RX_FRAMES) >= 2);
      assert.ok(counters.counter(abi.STAT_GUEST_TX_BYTES) > 0);
      binding.refresh();
      await until(() => counters.answered === 2, "another answer");
      binding.stop();
      await binding.ended;
      assert.equal(counters.answered, 3, "the last word");
    }),
  );

  systemTest("ends with an error when the tap is deleted", ["root", "tun"], () =>
    withBinding(async (binding, netns) => {
      inNetns(netns, ["ip", "link", "del", "tap0"]);
      await assert.rejects(binding.ended, /The tap "tap0" is gone \(E\w+\)/);
      binding.stop();
    }),
  );

  systemTest(
    "a worker that cannot start fails both promises with its reason",
    ["root", "tun"],
    (sys) =>
      withNetns(async (netns) => {
        const { fd, port } = listen(sys);
        try {
          const binding = await startIn(netns, { publish: `127.0.0.1:${port}:80` });
          const reason = new RegExp(
            `Publish port "127.0.0.1:${port}/tcp".*${errnoName(EADDRINUSE)}`,
          );
          await assert.rejects(binding.ended, reason);
          await assert.rejects(binding.ready, reason);
        } finally {
          sys.close(fd);
        }
        await until(() => !hasTap(netns), "the tap to vanish");
      }),
  );

  systemTest("a namespace that is not there is an error before anything runs", [], () =>
    assert.rejects(startIn("slirp-not-there"), SystemError),
  );

  systemTest("no descriptor stays open after a stop", ["root", "tun"], () =>
    withNetns((netns) =>
      leavesNothingOpen(async () => {
        const binding = await startIn(netns);
        await binding.ready;
        binding.stop();
        await binding.ended;
      }),
    ),
  );

  systemTest("nor when the worker cannot start", ["root", "tun"], (sys) =>
    withNetns(async (netns) => {
      const { fd, port } = listen(sys);
      await leavesNothingOpen(async () => {
        const binding = await startIn(netns, { publish: `127.0.0.1:${port}:80` });
        await assert.rejects(binding.ended);
        await until(() => !hasTap(netns), "the tap to vanish");
      });
      sys.close(fd);
    }),
  );

  systemTest("nor when the namespace is not there", [], () =>
    leavesNothingOpen(() => assert.rejects(startIn("slirp-not-there"), SystemError)),
  );

  systemTest("a late command does not reach who got the number next", ["root", "tun"], (sys) =>
    withBinding(async (binding) => {
      binding.stop();
      await binding.ended;
      const strangers = Array.from({ length: 64 }, () => new EventFd(sys));
      binding.stop();
      binding.refresh();
      for (const stranger of strangers) {
        assert.equal(stranger.drain(), 0);
        stranger.close();
      }
    }),
  );
});

describe("binding of a stream link", () => {
  /** Options with a stream link and nothing else. */
  const streamOptions = (name: "listen" | "connect", endpoint: string): AttachOptions => {
    const settings = Object.entries({ "log-level": "error", [name]: endpoint }).map(
      ([key, value]) => [key, { values: [value], origin: "test" }] as const,
    );
    return readAttachOptions(new Map(settings), false);
  };

  systemTest("can be connected to at once, and tells of its peers", [], async () => {
    const folder = mkdtempSync(join(tmpdir(), "slirp-test-"));
    const path = join(folder, "vm.sock");
    const told: PeerCounters[] = [];
    const binding = await startBinding(streamOptions("listen", `unix:${path}`), {
      ...DEPENDENCIES,
      onPeers: (peers) => told.push(peers),
    });
    try {
      assert.deepEqual(binding.endpoint, { kind: "unix", path });
      const peer = connect(path); // before it is ready
      await binding.ready;
      await until(() => told.length === 1, "the peer to be told of");
      peer.write(Uint8Array.of(0, 0, 0, 1, 0)); // no frame is that short
      await until(() => told.length === 2, "the fault to be told of");
      peer.destroy();
      const none = {
        peersRefused: 0,
        peersForeign: 0,
        peerCrowds: 0,
        silentPeers: 0,
        brokenQueues: 0,
      };
      const expected = { connections: 1, ...none };
      assert.deepEqual(told, [
        { ...expected, hasPeer: true, badPeers: 0, peersFleeting: 0 },
        { ...expected, hasPeer: false, badPeers: 1, peersFleeting: 0 },
      ]);
      binding.refresh();
      await until(() => binding.counters.answered === 1, "an answer");
      const { connections, badPeers, hasPeer } = binding.counters.peers;
      assert.deepEqual(
        { connections, badPeers, hasPeer },
        {
          connections: 1,
          badPeers: 1,
          hasPeer: false,
        },
      );
    } finally {
      binding.stop();
      await binding.ended;
    }
    assert.equal(existsSync(path), false, "the socket is left behind");
    rmSync(folder, { recursive: true });
  });

  systemTest("any number of comings and goings is a message to look now and then", [], async () => {
    const folder = mkdtempSync(join(tmpdir(), "slirp-test-"));
    const path = join(folder, "vm.sock");
    const told: PeerCounters[] = [];
    const binding = await startBinding(streamOptions("listen", `unix:${path}`), {
      ...DEPENDENCIES,
      onPeers: (peers) => told.push(peers),
    });
    try {
      await binding.ready;
      const count = 400;
      const flood = Array.from({ length: count }, () => connect(path));
      for (const each of flood) {
        each.on("error", () => {}); // where the kernel's queue is full
        each.on("connect", () => each.destroy());
      }
      await until(() => flood.every(({ destroyed }) => destroyed), "the flood to be over");
      // At most one for each that got the place and one for its end, and one for the pace.
      assert.ok(told.length <= 64, `${told.length} messages`);
      const peer = connect(path);
      await until(() => binding.counters.peers.hasPeer, "one that stays to have the place");
      peer.destroy();
      await until(() => !binding.counters.peers.hasPeer, "its end");
    } finally {
      binding.stop();
      await binding.ended;
      rmSync(folder, { recursive: true });
    }
  });

  systemTest("answers ARP of a peer on TCP, whose port it names", [], async () => {
    const options = streamOptions("listen", "tcp:127.0.0.1:0");
    const binding = await startBinding(options, DEPENDENCIES);
    try {
      const { endpoint } = binding;
      assert.ok(endpoint?.kind === "tcp" && endpoint.port > 0);
      const peer = connect(endpoint.port, "127.0.0.1");
      const chunks: Uint8Array[] = [];
      peer.on("data", (chunk: Uint8Array) => chunks.push(chunk));
      const request = ethernet(
        { destination: MAC_BROADCAST, source: GUEST_MAC, type: ETHERTYPE_ARP },
        arp({
          operation: 1,
          senderMac: GUEST_MAC,
          senderAddress: GUEST,
          targetAddress: GATEWAY,
        }),
      );
      peer.write(framed(request));
      // Among what is advertised unasked.
      const isArp = (frame: Uint8Array): boolean => frame[12] === 0x08 && frame[13] === 0x06;
      const answer = (): Uint8Array | undefined =>
        unframed(Buffer.concat(chunks)).frames.find(isArp);
      await until(() => answer() !== undefined, "an answer");
      assert.equal(answer()?.[21], 2, "an ARP reply");
      peer.destroy();
    } finally {
      binding.stop();
      await binding.ended;
    }
  });

  systemTest("a place that is taken is an error before anything runs", [], async () => {
    const first = await startBinding(streamOptions("listen", "tcp:127.0.0.1:0"), DEPENDENCIES);
    assert.ok(first.endpoint !== undefined);
    const again = streamOptions("listen", formatEndpoint(first.endpoint));
    await assert.rejects(startBinding(again, DEPENDENCIES), SystemError);
    first.stop();
    await first.ended;
  });

  systemTest("that connects is ready before anybody listens", [], async () => {
    const told: PeerCounters[] = [];
    const binding = await startBinding(streamOptions("connect", "unix:/nowhere/vm.sock"), {
      ...DEPENDENCIES,
      onPeers: (peers) => told.push(peers),
    });
    await binding.ready;
    await until(() => told.length === 1, "the failure to be told of");
    assert.deepEqual([told[0]?.hasPeer, told[0]?.connections], [false, 0]);
    binding.stop();
    await binding.ended;
  });
});
