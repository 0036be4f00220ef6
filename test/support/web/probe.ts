/** A connection of an upstream as a test drives it, in the place of the engine. */
import type {
  ErrorCode,
  TcpEvents,
  TcpSocket,
  TcpTarget,
  UdpEvents,
  Upstream,
} from "../../../src/network/index.ts";

/** What a test waits for; everything that is told wakes it. */
export class Waits {
  readonly #waiting = new Set<() => void>();

  wake(): void {
    for (const check of [...this.#waiting]) check();
  }

  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!condition()) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }
}

export class TcpProbe implements TcpEvents {
  readonly told: string[] = [];
  code: ErrorCode | undefined;
  readonly socket: TcpSocket;
  readonly #waits = new Waits();

  constructor(upstream: Upstream, target: Partial<TcpTarget>) {
    this.socket = upstream.connect({ address: "127.0.0.1", port: 80, tos: 0, ...target }, this);
  }

  #tell(what: string): void {
    this.told.push(what);
    this.#waits.wake();
  }

  connected(): void {
    this.#tell("connected");
  }
  readable(): void {
    this.#tell("readable");
  }
  writable(): void {
    this.#tell("writable");
  }
  failed(code: ErrorCode): void {
    this.code = code;
    this.#tell("failed");
  }

  /** Waits until this was told. */
  async hears(what: string): Promise<void> {
    await this.#waits.until(() => this.told.includes(what));
  }

  /** Receives until so many octets came, or the end. */
  async receive(octets: number): Promise<Uint8Array | "end"> {
    const whole = new Uint8Array(octets);
    let at = 0;
    let end = false;
    let isBusy = false; // what is called may tell at once
    await this.#waits.until(() => {
      if (isBusy) return false;
      isBusy = true;
      const got = this.socket.receive([whole.subarray(at)]);
      isBusy = false;
      if (got === -1) end = true;
      else at += got;
      return end || at === octets;
    });
    return end ? "end" : whole;
  }

  /** Sends all of it. */
  async send(octets: Uint8Array): Promise<void> {
    let at = 0;
    await this.#waits.until(() => {
      at += this.socket.send([octets.subarray(at)]);
      return at === octets.length;
    });
  }
}

export class UdpProbe implements UdpEvents {
  code: ErrorCode | undefined;
  readonly #waits = new Waits();

  readable(): void {
    this.#waits.wake();
  }
  refused(code: ErrorCode): void {
    this.code = code;
    this.#waits.wake();
  }
  until(condition: () => boolean): Promise<void> {
    return this.#waits.until(condition);
  }
}

/** Clock and timers that a test moves. */
export class FakeHost {
  #now = 1;
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>();

  now(): number {
    return this.#now;
  }
  random(octets: Uint8Array): void {
    octets.fill(7);
  }
  soon(run: () => void): void {
    queueMicrotask(run);
  }
  after(microseconds: number, run: () => void): () => void {
    const timer = { at: this.#now + microseconds, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Timers that wait, and when they ring, microseconds from now. */
  get waits(): readonly number[] {
    return [...this.#timers].map(({ at }) => at - this.#now).sort((a, b) => a - b);
  }

  /** So much time goes by. */
  pass(microseconds: number): void {
    const end = this.#now + microseconds;
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = end;
  }
}
