/**
 * A binding whose worker the test plays: what the worker is started with, what becomes of its
 * messages, what is asked of it, and that all is closed at the end, once.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe } from "node:test";
import { setImmediate } from "node:timers";
import { workerUrl } from "../../src/assets.ts";
import {
  type Binding,
  type BindingDependencies,
  LinkGoneError,
  startBinding,
} from "../../src/binding/binding.ts";
import { COMMAND_STATS, COMMAND_STOP, Mailbox } from "../../src/binding/mailbox.ts";
import { Meters } from "../../src/binding/meters.ts";
import type { ResolvReader } from "../../src/binding/resolv-reader.ts";
import type { WorkerMessage, WorkerStart } from "../../src/binding/worker-messages.ts";
import { type BindingOptions, readAttachOptions } from "../../src/config/attach.ts";
import { ByteRing } from "../../src/lib/byte-ring.ts";
import type { PeerCounters } from "../../src/link/stream-peer.ts";
import { openFile } from "../../src/sys/fd.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { O_RDWR } from "../../src/sys/linux.ts";
import { HiddenPorts } from "../../src/upstream/hidden-ports.ts";
import { settingsOf } from "../config/support.ts";
import { NO_PEERS } from "../support/no-peers.ts";
import { systemTest } from "../sys/support.ts";

const SEED = Array.from({ length: 32 }, (_, i) => i);

/** In the place of the runtime's. */
class FakeWorker {
  static last: FakeWorker | undefined;
  readonly url: unknown;
  readonly options: unknown;
  started: WorkerStart | undefined;
  terminations = 0;
  onmessage: ((event: { data: WorkerMessage }) => void) | undefined;
  onerror: ((event: { message: string }) => void) | undefined;

  constructor(url: unknown, options: unknown) {
    this.url = url;
    this.options = options;
    FakeWorker.last = this;
  }

  postMessage(start: WorkerStart): void {
    this.started = start;
  }

  terminate(): void {
    this.terminations += 1;
  }

  says(message: WorkerMessage): void {
    this.onmessage?.({ data: message });
  }
}

function optionsOf(settings: Readonly<Record<string, string>>): BindingOptions {
  return readAttachOptions(settingsOf(settings), false);
}

/** What the reader of resolv.conf is asked, and who listens to it. */
class FakeReader {
  readonly memory = new SharedArrayBuffer(16);
  readonly listeners = new Set<() => void>();
  asked = 0;

  ask(): void {
    this.asked += 1;
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

interface Stage {
  readonly sys: Libc;
  readonly binding: Binding;
  readonly worker: FakeWorker;
  readonly start: WorkerStart;
  readonly mailbox: Mailbox;
  readonly reader: FakeReader;
  readonly folder: string;
  /** Whether the control descriptor was signalled since the last call. */
  wasSignalled(): boolean;
}

function withoutThreads<T>(work: () => Promise<T>): Promise<T> {
  const { Worker: real } = globalThis;
  Object.assign(globalThis, { Worker: FakeWorker });
  return work().finally(() => Object.assign(globalThis, { Worker: real }));
}

async function withStage(
  sys: Libc,
  settings: (folder: string) => Readonly<Record<string, string>>,
  more: Partial<BindingDependencies>,
  work: (stage: Stage) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "slirp-binding-"));
  const reader = new FakeReader();
  try {
    await withoutThreads(async () => {
      const binding = await startBinding(optionsOf(settings(folder)), {
        seed: SEED,
        program: "/no/such/program",
        uid: 7,
        helper: [],
        memoryGroup: undefined,
        resolvReader: reader as unknown as ResolvReader,
        ...more,
      });
      const worker = FakeWorker.last;
      const start = worker?.started;
      assert.ok(worker !== undefined && start !== undefined);
      const wasSignalled = (): boolean => sys.read(start.controlFd, sys.scratch.address, 8) === 8;
      const mailbox = new Mailbox(start.mailbox);
      await work({ sys, binding, worker, start, mailbox, reader, folder, wasSignalled });
      worker.says({ kind: "stopped" });
      await binding.ended.catch(() => {});
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const LISTENS = (folder: string) => ({ listen: `unix:${folder}/vm.sock` });
const LISTENS_ON_PORT = () => ({ listen: "tcp:127.0.0.1:0" });

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = performance.now() + 20_000; !holds(); ) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** What has settled of a promise by now. */
async function stateOf(promise: Promise<unknown>): Promise<unknown> {
  let state: unknown = "pending";
  promise.then(
    () => {
      state = "resolved";
    },
    (error: unknown) => {
      state = error;
    },
  );
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  return state;
}

describe("the worker", () => {
  systemTest("is told all that it needs", [], (sys) =>
    withStage(sys, LISTENS_ON_PORT, {}, async ({ worker, start, binding, reader }) => {
      assert.equal(String(worker.url), String(workerUrl()));
      assert.deepEqual(worker.options, { type: "module" });
      const { endpoint, link, hiddenPorts, mailbox, outputs, controlFd, ...others } = start;
      const { captures, requests, ...rest } = others;
      assert.ok(captures.length > 0 && requests.byteLength > 0);
      assert.equal(endpoint, binding.endpoint);
      assert.ok(endpoint?.kind === "tcp" && endpoint.port > 0);
      assert.ok(link.kind === "stream" && "listener" in link.at && link.at.listener > 2);
      assert.ok(new HiddenPorts(hiddenPorts).has(endpoint.port), "no guest reaches the link");
      assert.ok(controlFd > 2 && mailbox.byteLength > 0);
      assert.deepEqual(Object.keys(outputs), ["log", "logThreshold"]);
      assert.deepEqual(rest, {
        options: optionsOf(LISTENS_ON_PORT()),
        seed: SEED,
        uid: 7,
        room: { networks: 1, memoryGroup: undefined },
        resolv: reader.memory,
        lifelines: [],
        meters: undefined,
      });
    }),
  );

  systemTest("is told who shares with it, where to connect to, what ends it", [], async (sys) => {
    const endpoint = { kind: "unix", path: "/nowhere/vm.sock" } as const;
    const place = mkdtempSync(join(tmpdir(), "slirp-binding-"));
    execFileSync("mkfifo", [join(place, "wanted")]);
    const fd = openFile(sys, join(place, "wanted"), O_RDWR).release();
    const settings = () => ({ connect: "unix:/nowhere/vm.sock", "exit-fd": String(fd) });
    const memoryGroup = { limit: 1, source: "x", version: 2, folder: "/x" } as const;
    await withStage(sys, settings, { networks: 3, memoryGroup }, async ({ start, binding }) => {
      assert.deepEqual(start.room, { networks: 3, memoryGroup });
      assert.deepEqual(start.link, { kind: "stream", at: { endpoint } });
      assert.deepEqual(binding.endpoint, endpoint);
      const [lifeline, ...others] = start.lifelines;
      assert.deepEqual([lifeline?.fd, others], [fd, []]);
      assert.ok(existsSync(`/proc/self/fd/${fd}`));
    });
    assert.equal(existsSync(`/proc/self/fd/${fd}`), false);
    rmSync(place, { recursive: true });
  });

  systemTest("hears commands by mailbox and descriptor, until it has ended", [], (sys) =>
    withStage(sys, LISTENS, {}, async ({ binding, worker, mailbox, wasSignalled, reader }) => {
      assert.equal(wasSignalled(), false);
      const answered = binding.refresh();
      assert.ok(wasSignalled());
      assert.equal(mailbox.take(), COMMAND_STATS);
      assert.equal(await stateOf(answered), "pending");
      worker.says({ kind: "counters" });
      assert.equal(await answered, true);
      const unanswered = binding.refresh();
      binding.stop();
      assert.ok(wasSignalled());
      assert.equal(mailbox.take(), COMMAND_STOP);
      for (const listener of reader.listeners) listener();
      assert.ok(wasSignalled(), "resolv.conf has been read");
      const [listener] = reader.listeners;
      worker.says({ kind: "stopped" });
      await binding.ended;
      assert.equal(await unanswered, false);
      assert.equal(await binding.refresh(), false);
      binding.stop();
      listener?.();
      assert.equal(mailbox.take(), 0);
    }),
  );

  systemTest("measures where somebody watches", [], (sys) =>
    withStage(sys, LISTENS, { isWatched: true }, async ({ start, binding }) => {
      assert.ok(start.meters !== undefined);
      new Meters(start.meters).addWindowLimited(3);
      assert.equal(binding.meters?.windowLimited, 3);
    }),
  );

  systemTest("has its messages heeded", [], (sys) => {
    const told: PeerCounters[] = [];
    const onPeers = (peers: PeerCounters): void => void told.push(peers);
    const settings = (folder: string) => ({ ...LISTENS(folder), record: `${folder}/a.rec` });
    return withStage(sys, settings, { onPeers }, async (stage) => {
      const { binding, worker, start, mailbox, reader, folder } = stage;
      assert.equal(await stateOf(binding.ready), "pending");
      worker.says({ kind: "ready" });
      assert.equal(await stateOf(binding.ready), "resolved");
      assert.equal(await stateOf(binding.ended), "pending");
      worker.says({ kind: "resolv" });
      assert.equal(reader.asked, 1);
      assert.ok(mailbox.announce({ ...NO_PEERS, hasPeer: true, connections: 4 }));
      worker.says({ kind: "peers" });
      assert.deepEqual(told, [{ ...NO_PEERS, hasPeer: true, connections: 4 }]);
      assert.ok(mailbox.announce(NO_PEERS), "looked, so the next change is told again");
      assert.ok(start.outputs.recording);
      new ByteRing(start.outputs.recording).put(Uint8Array.of(1, 2, 3));
      worker.says({ kind: "output" });
      await until(() => readFileSync(join(folder, "a.rec")).length > 0, "the file");
      assert.deepEqual([...readFileSync(join(folder, "a.rec"))], [1, 2, 3]);
    });
  });
});

describe("the end of a worker", () => {
  systemTest("that does not come is not waited for longer than ten seconds", [], (sys) =>
    withStage(sys, LISTENS, {}, async ({ binding, worker }) => {
      const { setTimeout: real } = globalThis;
      const limits: { run: () => void; pause_ms: number }[] = [];
      const note = (run: () => void, pause_ms: number) => limits.push({ run, pause_ms });
      Object.assign(globalThis, { setTimeout: note });
      binding.stop();
      binding.stop();
      Object.assign(globalThis, { setTimeout: real });
      assert.deepEqual(
        limits.map(({ pause_ms }) => pause_ms),
        [10_000],
      );
      assert.equal(worker.terminations, 0);
      limits[0]?.run();
      await assert.rejects(binding.ended, /^Error: The packet thread does not end$/);
      assert.equal(worker.terminations, 1);
    }),
  );

  systemTest("that was to stop is one, and all is closed", [], (sys) =>
    withStage(sys, LISTENS_ON_PORT, {}, async ({ binding, worker, start, reader }) => {
      const { endpoint, controlFd, hiddenPorts, link } = start;
      assert.ok(endpoint?.kind === "tcp" && link.kind === "stream" && "listener" in link.at);
      worker.says({ kind: "stopped" });
      await binding.ended;
      assert.equal(worker.terminations, 1);
      assert.equal(reader.listeners.size, 0);
      for (const fd of [controlFd, link.at.listener ?? -1]) {
        assert.equal(existsSync(`/proc/self/fd/${fd}`), false);
      }
      assert.equal(new HiddenPorts(hiddenPorts).has(endpoint.port), false);
      worker.says({ kind: "failed", message: "late", isLinkGone: false });
      worker.onerror?.({ message: "late" });
      await binding.ended;
      assert.equal(worker.terminations, 1);
      assert.equal(await stateOf(binding.ready), "pending");
    }),
  );

  systemTest("by a link that has gone, by another failure, or by an error", [], async (sys) => {
    const ends: readonly (readonly [string, (worker: FakeWorker) => void, boolean])[] = [
      ["gone", (at) => at.says({ kind: "failed", message: "gone", isLinkGone: true }), true],
      ["trap", (at) => at.says({ kind: "failed", message: "trap", isLinkGone: false }), false],
      ["The worker failed: none", (at) => at.onerror?.({ message: "none" }), false],
    ];
    for (const [message, end, isLinkGone] of ends) {
      await withStage(sys, LISTENS, {}, async ({ binding, worker, folder }) => {
        end(worker);
        for (const promise of [binding.ready, binding.ended]) {
          await assert.rejects(promise, (error: Error) => {
            assert.equal(error.message, message);
            assert.equal(error instanceof LinkGoneError, isLinkGone);
            return true;
          });
        }
        assert.equal(worker.terminations, 1);
        assert.equal(existsSync(join(folder, "vm.sock")), false);
      });
    }
  });

  systemTest("that is not begun, because a part cannot be had", [], async (sys) => {
    const settings = (folder: string) => ({ listen: `unix:${folder}/none/vm.sock` });
    await assert.rejects(
      withStage(sys, settings, {}, () => Promise.reject(new Error("started"))),
      /Listen on /,
    );
    assert.equal(FakeWorker.last?.terminations, 1);
    assert.equal(FakeWorker.last.started, undefined);
  });
});

describe("pages of the program", () => {
  systemTest(
    "are let go when a network is ready, its guest at rest, or a crowd at the door",
    [],
    (sys) => {
      const { madvise } = sys;
      let calls = 0;
      Object.assign(sys, {
        madvise: () => {
          calls += 1;
          return 0;
        },
      });
      /** How often since the last time. */
      const released = (): number => {
        const count = calls;
        calls = 0;
        return Math.min(count, 1);
      };
      const more = { program: process.execPath };
      return withStage(sys, LISTENS, more, async ({ worker, mailbox }) => {
        worker.says({ kind: "peers" });
        assert.equal(released(), 0);
        await until(() => released() > 0, "some time without peers");
        worker.says({ kind: "ready" });
        assert.equal(released(), 1);
        worker.says({ kind: "rest" });
        assert.equal(released(), 1);
        for (const [peerCrowds, wanted] of [
          [0, 0],
          [1, 1],
          [1, 0],
          [2, 1],
        ] as const) {
          mailbox.announce({ ...NO_PEERS, peerCrowds });
          worker.says({ kind: "peers" });
          assert.equal(released(), wanted, `${peerCrowds} crowds`);
        }
      }).finally(() => Object.assign(sys, { madvise }));
    },
  );
});
