/** A vhost-user link that listens, and a front end that has connected to it, in one process. */
import assert from "node:assert/strict";
import process from "node:process";
import type { PeerLink } from "../../../src/link/peer-socket.ts";
import { openStreamListener, type StreamListener } from "../../../src/link/stream-listener.ts";
import type { PeerEvent } from "../../../src/link/stream-peer.ts";
import { NamedUsers } from "../../../src/link/stream-users.ts";
import { openVhostUserLink } from "../../../src/link/vhost-user/back-end.ts";
import { Epoll } from "../../../src/sys/epoll.ts";
import { check } from "../../../src/sys/errno.ts";
import type { Libc } from "../../../src/sys/libc.ts";
import { connectUnix } from "../../../src/sys/socket.ts";
import { TestMemory } from "../test-memory.ts";
import { BUFFER_SIZE, FrontEnd } from "./front-end.ts";

const EVENTS_MAX = 16;
const TO_GUEST = 0;
const FROM_GUEST = 1;

let stages = 0;

export class Stage {
  readonly link: PeerLink;
  readonly memory: TestMemory;
  readonly said: PeerEvent[] = [];
  readonly flags: number[] = [];
  readonly endpoint: { readonly kind: "unix"; readonly path: string };
  front: FrontEnd;
  /** Descriptors the link has registered, by token, as the loop has them. */
  readonly #watched = new Map<number, number>();
  readonly #sys: Libc;
  #epoll: Epoll;
  readonly #listener: StreamListener;
  now_us = 1e9;
  /** Buffers used so far; a ring has half as many as there are. */
  #sent = 0;
  #offered = 0;
  /** Of buffers that were offered, by the heads of their chains. */
  readonly #places = new Map<number, number>();

  constructor(sys: Libc, isSealed = true) {
    stages += 1;
    this.#sys = sys;
    this.memory = new TestMemory((buffer) => sys.address(buffer));
    this.#epoll = new Epoll(sys);
    this.endpoint = { kind: "unix", path: `@slirp-vhost-${process.pid}-${stages}` };
    this.#listener = openStreamListener(sys, this.endpoint);
    this.link = openVhostUserLink(sys, {
      at: { listener: this.#listener.fd },
      users: new NamedUsers(sys, "unix", [process.getuid?.() ?? -1]),
      clock: () => this.now_us,
      onPeer: (event) => this.said.push(event),
      onFlags: (flags) => this.flags.push(flags),
    });
    this.#watch();
    this.front = this.connect(isSealed);
  }

  /** Another engine and another loop take over. */
  handOver(): void {
    this.link.handOver?.();
    this.#epoll.close();
    this.#epoll = new Epoll(this.#sys);
    this.#watched.clear();
    this.#watch();
  }

  #watch(): void {
    const result = this.link.watch({
      add: (fd, events, token) => {
        this.#watched.set(token, fd);
        return this.#epoll.add(fd, events, token, 0);
      },
      modify: (fd, events, token) => this.#epoll.modify(fd, events, token, 0),
      forget: (token) => this.#watched.delete(token),
      remove: (token) => {
        const fd = this.#watched.get(token);
        if (fd !== undefined) this.#epoll.remove(fd);
        this.#watched.delete(token);
      },
    });
    check(result, "Watch the link");
  }

  /** Another front end; the one before is its owner's to close. */
  connect(isSealed = true): FrontEnd {
    const fd = check(connectUnix(this.#sys, this.endpoint.path), "Connect");
    this.front = new FrontEnd(this.#sys, fd, isSealed);
    this.pump();
    return this.front;
  }

  /** Hands all events to the link; whether frames may be there now. */
  pump(): boolean {
    let isReadable = false;
    for (;;) {
      const n = check(this.#epoll.wait(EVENTS_MAX, 0), "Wait");
      if (n === 0) return isReadable;
      for (let i = 0; i < n; i += 1) {
        const news = this.link.event(this.#epoll.dataLo(i), this.#epoll.eventBits(i));
        if (news === true) isReadable = true;
      }
    }
  }

  /** Kinds of what was told, and why, since the last look. */
  get news(): string[] {
    return this.said.splice(0).map((event) => {
      if (event.kind === "disconnected") {
        return `${event.kind}: ${event.reason}${event.fault ? " (fault)" : ""}`;
      }
      return event.kind === "broken"
        ? `${event.kind}: ${event.queue}: ${event.problem}`
        : event.kind;
    });
  }

  /** The guest sends octets, header included, from buffers of these sizes. */
  send(octets: Uint8Array, sizes: readonly number[] = [octets.length], isIndirect = false): number {
    const { driver } = this.front.queues[FROM_GUEST];
    let from = 0;
    const buffers = sizes.map((size) => {
      this.#sent += 1;
      const at = this.front.buffer(FROM_GUEST, this.#sent % 16);
      this.front.ram.bytes.set(octets.subarray(from, from + size), at);
      from += size;
      return { at, size };
    });
    return isIndirect ? driver.addIndirect(buffers) : driver.add(buffers);
  }

  /** Frames the link takes from the guest, with the engine's header. */
  receive(max = 64): Uint8Array[] {
    const n = this.link.receive(this.memory, max);
    assert.ok(n >= 0, `errno ${n}`);
    return Array.from({ length: n }, (_, i) => this.memory.frame(i));
  }

  /** The guest offers buffers of these sizes, one chain each; their places. */
  offer(...sizes: readonly number[]): number[] {
    const { driver } = this.front.queues[TO_GUEST];
    return sizes.map((size) => {
      this.#offered += 1;
      const at = this.front.buffer(TO_GUEST, this.#offered % 16);
      this.front.ram.bytes.fill(0xa5, at, at + BUFFER_SIZE);
      this.#places.set(driver.add([{ at, size }]), at);
      return at;
    });
  }

  /** Buffers that the guest has got back, as far as they were written. */
  got(): Uint8Array[] {
    const { driver } = this.front.queues[TO_GUEST];
    return driver.used().map(([head, length]) => {
      const at = this.#places.get(head) ?? 0;
      return this.front.ram.bytes.slice(at, at + length);
    });
  }

  transmit(...frames: readonly (readonly Uint8Array[])[]): number {
    return this.link.transmit(this.memory, 0, this.memory.putFrames(frames));
  }

  close(): void {
    this.link.close();
    this.#listener.close();
    this.front.close();
    this.#epoll.close();
  }
}

/** Runs a test on a stage, and cleans up. */
export function withStage(sys: Libc, run: (stage: Stage) => void, isSealed = true): void {
  const stage = new Stage(sys, isSealed);
  try {
    run(stage);
  } finally {
    stage.close();
  }
}
