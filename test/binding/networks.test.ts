/** Networks of a sidecar with made-up bindings: what is started, kept, ended, started again. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate } from "node:timers";
import type { Binding } from "../../src/binding/binding.ts";
import { MAILBOX_SIZE, Mailbox } from "../../src/binding/mailbox.ts";
import { type Network, Networks } from "../../src/binding/networks.ts";
import { type BindingOptions, readAttachOptions } from "../../src/config/attach.ts";
import type { StreamEndpoint } from "../../src/config/endpoint.ts";
import { deferred } from "../../src/lib/deferred.ts";
import type { Logger } from "../../src/lib/log.ts";

/** A binding that a test makes fail, and whose peer it plays. */
class FakeBinding implements Binding {
  readonly endpoint: StreamEndpoint | undefined;
  readonly counters = new Mailbox(new SharedArrayBuffer(MAILBOX_SIZE));
  readonly #ready = deferred();
  readonly #ended = deferred();
  readonly options: BindingOptions;
  readonly tell: (peers: { hasPeer: boolean }) => void;
  stops = 0;
  failsAtStop = false;

  constructor(
    options: BindingOptions,
    tell: FakeBinding["tell"],
    isReady: boolean,
    endpoint?: StreamEndpoint,
  ) {
    this.options = options;
    this.endpoint = endpoint;
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
    if (this.failsAtStop) this.fail("late");
    else this.#ended.resolve();
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

/** A time that passes when the test says so, and what waits for it. */
class FakeClock {
  now_ms = 1000;
  readonly #waiting: { readonly at_ms: number; readonly run: () => void }[] = [];

  readonly after = (pause_ms: number, run: () => void): (() => void) => {
    const entry = { at_ms: this.now_ms + pause_ms, run };
    this.#waiting.push(entry);
    return () => {
      const index = this.#waiting.indexOf(entry);
      if (index >= 0) this.#waiting.splice(index, 1);
    };
  };

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Lets time pass, and what was due then happen. */
  async pass(pause_ms: number): Promise<void> {
    this.now_ms += pause_ms;
    for (const entry of this.#waiting.filter(({ at_ms }) => at_ms <= this.now_ms)) {
      this.#waiting.splice(this.#waiting.indexOf(entry), 1);
      entry.run();
    }
    await settled();
  }
}

/** Resolves when everything that only waits for promises has happened. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** What a test looks at. */
class Stage {
  readonly started: FakeBinding[] = [];
  /** Errors the next starts meet. */
  readonly refusals: Error[] = [];
  isReady = true;
  /** Where a listening link is bound. */
  endpoint: StreamEndpoint | undefined;
  /** Holds back what is started, where there is one. */
  gate: Promise<void> | undefined;
  /** Level, fields and message of each line. */
  readonly lines: string[] = [];
  readonly clock = new FakeClock();
  readonly networks = new Networks({
    log: {
      debug: this.#writer("debug"),
      info: this.#writer("info"),
      warn: this.#writer("warn"),
      error: this.#writer("error"),
    },
    clock: () => this.clock.now_ms,
    after: this.clock.after,
    start: async (options, onPeers) => {
      const refusal = this.refusals.shift();
      await this.gate;
      if (refusal !== undefined) throw refusal;
      const binding = new FakeBinding(options, onPeers, this.isReady, this.endpoint);
      this.started.push(binding);
      return binding;
    },
  });

  #writer(level: string): Logger["info"] {
    return (fields, message) => {
      const told = Object.entries(fields).map(([name, value]) => ` ${name}=${value}`);
      this.lines.push(`${level}${told.join("")}: ${message}`);
    };
  }

  /** Lines written since the last call. */
  told(): string[] {
    return this.lines.splice(0);
  }

  get(index: number): FakeBinding {
    const found = this.started[index];
    assert.ok(found !== undefined, `${this.started.length} were started`);
    return found;
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
    const stage = new Stage();
    const { networks, started } = stage;
    const plan = [network("a", 1), network("b", 2)];
    await networks.prepare(plan);
    stage.told();
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
    assert.deepEqual(stage.told(), []);
    await networks.prepare([
      { ...a, options: { ...a.options, dns: { ...a.options.dns, search: ["x.example"] } } },
      b,
    ]);
    assert.deepEqual(stage.told(), [
      "warn iface=a: settings have changed, kept while a guest is attached",
    ]);
    assert.deepEqual([started.length, started[0]?.stops, started[1]?.stops], [2, 0, 0]);
    started[0]?.goes();
    await networks.prepare([network("b", 3)]);
    assert.deepEqual([started.length, started[0]?.stops, started[1]?.stops], [3, 1, 1]);
    await networks.close();
  });

  test("one that fails is started again after a pause, the others go on", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a"), network("b")]);
    stage.told();
    stage.get(0).fail("trap");
    await settled();
    assert.deepEqual(stage.told(), [
      "error iface=a problem=trap restart_ms=100: guest network failed",
    ]);
    await stage.clock.pass(99);
    assert.equal(stage.started.length, 2);
    await stage.clock.pass(1);
    assert.deepEqual(stage.told(), ["info iface=a: guest network restarted"]);
    assert.equal(stage.get(2).options, stage.get(0).options);
    assert.deepEqual(
      stage.networks.bindings.map(([name, binding]) => [
        name,
        stage.started.indexOf(binding as FakeBinding),
      ]),
      [
        ["a", 2],
        ["b", 1],
      ],
    );
    await stage.networks.close();
    assert.deepEqual(
      stage.started.map(({ stops }) => stops),
      [0, 1, 1],
    );
    assert.deepEqual(stage.networks.bindings, []);
  });

  test("pauses double up to ten seconds, and are short after as long without failure", async () => {
    const stage = new Stage();
    const { clock } = stage;
    await stage.networks.prepare([network("a")]);
    const pauses: number[] = [];
    const fail = async (): Promise<void> => {
      stage.told();
      stage.get(stage.started.length - 1).fail("trap");
      await settled();
      const pause_ms = Number(
        /restart_ms=(\d+): guest network failed/.exec(stage.told()[0] ?? "")?.[1],
      );
      pauses.push(pause_ms);
      const count = stage.started.length;
      await clock.pass(pause_ms - 1);
      assert.equal(stage.started.length, count, `not before ${pause_ms} ms`);
      await clock.pass(1);
      assert.equal(stage.started.length, count + 1, `after ${pause_ms} ms`);
    };
    for (let i = 0; i < 9; i += 1) await fail();
    await clock.pass(10_000);
    await fail();
    await clock.pass(10_001);
    await fail();
    await fail();
    assert.deepEqual(
      pauses,
      [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000, 100, 200],
    );
    await stage.networks.close();
  });

  test("how long one has run is reckoned from its own start", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a")]);
    stage.get(0).fail("trap");
    await settled();
    await stage.clock.pass(100);
    await stage.clock.pass(9950);
    stage.told();
    stage.get(1).fail("trap");
    await settled();
    assert.match(stage.told()[0] ?? "", /restart_ms=200/);
    await stage.networks.close();
  });

  test("one that cannot start again is tried until it can", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a")]);
    stage.refusals.push(new Error("port taken"), new Error("port still taken"));
    stage.get(0).fail("trap");
    await settled();
    stage.told();
    await stage.clock.pass(100);
    await stage.clock.pass(200);
    assert.equal(stage.started.length, 1);
    await stage.clock.pass(400);
    assert.equal(stage.started.length, 2);
    assert.deepEqual(stage.told(), [
      "error iface=a problem=port taken restart_ms=200: guest network cannot start",
      "error iface=a problem=port still taken restart_ms=400: guest network cannot start",
      "info iface=a: guest network restarted",
    ]);
    await stage.networks.close();
    assert.equal(stage.get(1).stops, 1);
  });

  test("the end while a restart is to come gives it up", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a")]);
    stage.get(0).fail("trap");
    await settled();
    assert.equal(stage.clock.waiting, 1);
    await stage.networks.close();
    assert.equal(stage.clock.waiting, 0);
    await stage.clock.pass(60_000);
    assert.deepEqual([stage.started.length, stage.get(0).stops], [1, 0]);
  });

  test("the end while a restart is under way ends what it starts", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a")]);
    stage.get(0).fail("trap");
    await settled();
    const gate = deferred();
    stage.gate = gate.promise;
    await stage.clock.pass(100);
    stage.told();
    let isClosed = false;
    const closing = stage.networks.close().then(() => {
      isClosed = true;
    });
    await settled();
    assert.equal(isClosed, false);
    gate.resolve();
    await closing;
    assert.equal(stage.get(1).stops, 1);
    assert.deepEqual(stage.told(), []);
  });

  test("the end while a restart that fails is under way is the end", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a")]);
    stage.get(0).fail("trap");
    await settled();
    const gate = deferred();
    stage.gate = gate.promise;
    stage.refusals.push(new Error("port taken"));
    await stage.clock.pass(100);
    stage.told();
    const closing = stage.networks.close();
    gate.resolve();
    await closing;
    assert.deepEqual([stage.clock.waiting, stage.started.length], [0, 1]);
    assert.deepEqual(stage.told(), []);
  });

  test("one that fails while it is ended is over", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a")]);
    stage.get(0).failsAtStop = true;
    stage.told();
    await stage.networks.close();
    assert.deepEqual([stage.clock.waiting, stage.told()], [0, []]);
  });

  test("a first start that fails is the caller's to hear of, and leaves nothing", async () => {
    const stage = new Stage();
    stage.refusals.push(new Error("port taken"));
    await assert.rejects(stage.networks.prepare([network("a")]), {
      message: 'iface "a": port taken',
      cause: new Error("port taken"),
    });
    assert.deepEqual(stage.networks.bindings, []);
    stage.isReady = false;
    const late = stage.networks.prepare([network("a")]);
    await settled();
    stage.get(0).fail("no such interface");
    await assert.rejects(late, { message: 'iface "a": no such interface' });
    assert.deepEqual([stage.networks.bindings, stage.clock.waiting], [[], 0]);
    stage.isReady = true;
    await stage.networks.prepare([network("a")]);
    assert.equal(stage.started.length, 2);
    await stage.networks.close();
  });

  test("the line of a ready network says where its link listens", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a")]);
    stage.endpoint = { kind: "tcp", address: 0x7f000001, port: 4000 };
    await stage.networks.prepare([network("a"), network("b")]);
    await stage.networks.prepare([network("a", 4001), network("b")]);
    assert.deepEqual(stage.told(), [
      "info iface=a: guest network ready",
      "info iface=b link=tcp:127.0.0.1:4000: guest network ready",
      "warn iface=a: settings have changed, restarting",
      "info iface=a link=tcp:127.0.0.1:4000: guest network ready",
    ]);
    await stage.networks.close();
  });

  test("idle waits for the last peer to go, or its network to fail or end", async () => {
    const stage = new Stage();
    await stage.networks.idle();
    const plan = [network("a"), network("b")];
    const idle = (): { done: boolean } => {
      const state = { done: false };
      stage.networks.idle().then(() => {
        state.done = true;
      });
      return state;
    };
    for (const last of [
      () => stage.get(1).goes(),
      () => stage.get(1).fail("trap"),
      () => void stage.networks.close(),
    ]) {
      stage.started.length = 0;
      await stage.networks.prepare(plan);
      stage.get(0).comes();
      stage.get(1).comes();
      stage.get(1).comes(); // a second peer, while the first one is there
      assert.deepEqual(stage.networks.attached, ["a", "b"]);
      const waiting = [idle(), idle()];
      stage.get(0).goes();
      await settled();
      assert.deepEqual(waiting, [{ done: false }, { done: false }]);
      assert.deepEqual(stage.networks.attached, ["b"]);
      last();
      await settled();
      assert.deepEqual(waiting, [{ done: true }, { done: true }]);
      assert.deepEqual(stage.networks.attached, []);
      await stage.networks.close();
    }
  });

  test("a guest that is attached after a restart counts", async () => {
    const stage = new Stage();
    await stage.networks.prepare([network("a")]);
    stage.get(0).comes();
    stage.get(0).fail("trap");
    await settled();
    assert.deepEqual(stage.networks.attached, []);
    await stage.clock.pass(100);
    stage.get(1).comes();
    assert.deepEqual(stage.networks.attached, ["a"]);
    await stage.networks.close();
  });
});
