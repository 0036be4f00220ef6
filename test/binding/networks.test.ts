/** Networks of a sidecar with made-up bindings: what is started, kept, ended, started again. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Binding } from "../../src/binding/binding.ts";
import { MAILBOX_SIZE, Mailbox } from "../../src/binding/mailbox.ts";
import { type Network, Networks } from "../../src/binding/networks.ts";
import { type BindingOptions, readAttachOptions } from "../../src/config/attach.ts";
import { deferred } from "../../src/lib/deferred.ts";
import type { Logger } from "../../src/lib/log.ts";

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** A binding that a test makes fail, and whose peer it plays. */
class FakeBinding implements Binding {
  readonly endpoint = undefined;
  readonly counters = new Mailbox(new SharedArrayBuffer(MAILBOX_SIZE));
  readonly #ready = deferred();
  readonly #ended = deferred();
  readonly options: BindingOptions;
  readonly tell: (peers: { hasPeer: boolean }) => void;
  stops = 0;

  constructor(options: BindingOptions, tell: FakeBinding["tell"], isReady: boolean) {
    this.options = options;
    this.tell = tell;
    this.#ready.promise.catch(() => {});
    if (isReady) this.#ready.resolve();
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  refresh(): void {}

  stop(): void {
    this.stops += 1;
    this.#ended.resolve();
  }

  fail(message: string): void {
    this.#ready.reject(new Error(message));
    this.#ended.reject(new Error(message));
  }

  comes(): void {
    this.tell({ hasPeer: true });
  }

  goes(): void {
    this.tell({ hasPeer: false });
  }
}

/** What a test looks at. */
class Stage {
  readonly started: FakeBinding[] = [];
  /** Errors the next starts meet. */
  readonly refusals: Error[] = [];
  isReady = true;
  #waiting: (() => void)[] = [];
  /** Warnings. */
  readonly lines: string[] = [];
  readonly networks = new Networks({
    log: { ...SILENT, warn: (_, message) => this.lines.push(message) },
    clock: () => performance.now(),
    start: async (options, onPeers) => {
      const refusal = this.refusals.shift();
      const binding = new FakeBinding(options, onPeers, this.isReady);
      if (refusal === undefined) this.started.push(binding);
      for (const resolve of this.#waiting.splice(0)) resolve();
      if (refusal !== undefined) throw refusal;
      return binding;
    },
  });

  /** The one started as number `index`, as soon as it is. */
  async at(index: number): Promise<FakeBinding> {
    for (;;) {
      const found = this.started[index];
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}

function network(name: string, port = 4000): Network {
  const settings = { listen: `tcp:127.0.0.1:${port}` };
  const entries = Object.entries(settings).map(
    ([key, value]) => [key, { values: [value], origin: "test" }] as const,
  );
  return { name, options: readAttachOptions(new Map(entries), false) };
}

describe("networks", () => {
  test("what is there as wanted is left alone, whatever else changes", async () => {
    const { networks, started } = new Stage();
    await networks.prepare([network("a", 1), network("b", 2)]);
    await networks.prepare([network("a", 1), network("b", 2)]);
    assert.equal(started.length, 2);
    await networks.prepare([network("b", 3), network("a", 1)]);
    assert.deepEqual(
      started.map(({ stops }) => stops),
      [0, 1, 0],
    );
    await networks.prepare([network("b", 3)]);
    assert.equal(started[0]?.stops, 1);
    await networks.close();
    await networks.close();
    assert.deepEqual(
      started.map(({ stops }) => stops),
      [1, 1, 1],
    );
  });

  test("while a guest is attached, nothing is taken away, changed or added", async () => {
    const { networks, started, lines } = new Stage();
    const plan = [network("a", 1), network("b", 2)];
    await networks.prepare(plan);
    started[0]?.comes();
    await networks.prepare(plan);
    const [a, b] = plan;
    assert.ok(a && b);
    const rule = { protocol: "tcp", hostAddress: 0, hostPort: 9, guestPort: 9 } as const;
    const refused: readonly (readonly [readonly Network[], RegExp])[] = [
      [
        [network("b", 2)],
        /^Error: iface "a" cannot be taken away while a guest is attached to "a"$/,
      ],
      [[a], /^Error: iface "b" cannot be taken away/],
      [[a, network("b", 3)], /^Error: iface "b" cannot be changed/],
      [[a, b, network("c", 3)], /^Error: iface "c" cannot be changed/],
      [
        [{ ...a, options: { ...a.options, publish: { rules: [rule], needsEveryPort: true } } }, b],
        /^Error: iface "a" cannot be chan/,
      ],
      [
        [{ ...a, options: { ...a.options, network: { ...a.options.network, mtu: 1400 } } }, b],
        /^Error: iface "a" cannot be changed/,
      ],
    ];
    for (const [wanted, message] of refused) {
      await assert.rejects(networks.prepare(wanted), message);
    }
    assert.deepEqual(lines, []);
    await networks.prepare([
      { ...a, options: { ...a.options, dns: { ...a.options.dns, search: ["x.example"] } } },
      b,
    ]);
    assert.deepEqual(lines, ["settings have changed, kept while a guest is attached"]);
    assert.deepEqual([started.length, started[0]?.stops, started[1]?.stops], [2, 0, 0]);
    started[0]?.goes();
    await networks.prepare([network("b", 3)]);
    assert.deepEqual([started.length, started[0]?.stops, started[1]?.stops], [3, 1, 1]);
    await networks.close();
  });

  test("one that fails is started again, the others go on", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a"), network("b")]);
    stage.started[0]?.fail("trap");
    const again = await stage.at(2);
    assert.equal(again.options, stage.started[0]?.options);
    again.fail("trap");
    await stage.at(3);
    assert.equal(stage.started[1]?.stops, 0);
    await stage.networks.close();
    assert.equal(stage.started[3]?.stops, 1);
  });

  test("one that cannot start again is tried until it can", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a")]);
    stage.refusals.push(new Error("port taken"), new Error("port taken"));
    stage.started[0]?.fail("trap");
    await stage.at(1);
    assert.equal(stage.refusals.length, 0);
    await stage.networks.close();
  });

  test("one that fails is not started again after the end", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a")]);
    stage.started[0]?.fail("trap");
    await Promise.resolve();
    await stage.networks.close();
    assert.equal(stage.started.length, 1);
  });

  test("a first start that fails is the caller's to hear of, and leaves nothing", async () => {
    const stage = new Stage();
    stage.refusals.push(new Error("port taken"));
    await assert.rejects(stage.networks.prepare([network("a")]), /port taken/);
    stage.isReady = false;
    const late = stage.networks.prepare([network("a")]);
    (await stage.at(0)).fail("no such interface");
    await assert.rejects(late, /no such interface/);
    stage.isReady = true;
    await stage.networks.prepare([network("a")]);
    assert.equal(stage.started.length, 2);
    await stage.networks.close();
  });

  test("idle waits for the last peer to go, or its network to fail", async () => {
    const stage = new Stage();
    await stage.networks.idle();
    await stage.networks.prepare([network("a"), network("b")]);
    const [a, b] = stage.started;
    a?.comes();
    b?.comes();
    assert.deepEqual(stage.networks.attached, ["a", "b"]);
    let isIdle = false;
    const idle = stage.networks.idle().then(() => {
      isIdle = true;
    });
    a?.goes();
    await Promise.resolve();
    assert.deepEqual([isIdle, stage.networks.attached], [false, ["b"]]);
    b?.fail("trap");
    await idle;
    assert.deepEqual(stage.networks.attached, []);
    await stage.networks.close();
  });
});
