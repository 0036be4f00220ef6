/**
 * Networks of a sidecar with made-up bindings, a clock and a log: a test makes a binding fail, lets
 * time pass and reads the lines that were written.
 */

import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import type { Binding } from "../../src/binding/binding.ts";
import { Captures } from "../../src/binding/captures.ts";
import { MAILBOX_SIZE, Mailbox } from "../../src/binding/mailbox.ts";
import { type Network, Networks } from "../../src/binding/networks.ts";
import { type BindingOptions, readAttachOptions } from "../../src/config/attach.ts";
import type { StreamEndpoint } from "../../src/config/endpoint.ts";
import { deferred } from "../../src/lib/deferred.ts";
import type { Logger } from "../../src/lib/log.ts";

const noAnswer = (): Promise<never> => Promise.reject(new Error("nobody asks a made-up network"));

/** A binding that a test makes fail, and whose peer it plays. */
export class FakeBinding implements Binding {
  readonly captures = new Captures({ interfaceName: "", ask: noAnswer, forget: () => {} });
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

  readonly meters = undefined;

  refresh(): Promise<boolean> {
    return Promise.resolve(true);
  }

  ask(): Promise<never> {
    return Promise.reject(new Error("nobody is there to be asked"));
  }

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
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** What a test looks at. */
export class Stage {
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
    start: async ({ options }, onPeers) => {
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

export function network(name: string, port = 4000): Network {
  const settings = { listen: `tcp:127.0.0.1:${port}` };
  const entries = Object.entries(settings).map(
    ([key, value]) => [key, { values: [value], origin: "test" }] as const,
  );
  return { name, options: readAttachOptions(new Map(entries), false) };
}
