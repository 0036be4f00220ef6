/** A stream link on made-up system calls, with all that it says and asks for written down. */
import assert from "node:assert/strict";
import type { StreamEndpoint } from "../../src/config/endpoint.ts";
import type { PeerLink } from "../../src/link/peer-socket.ts";
import { openStreamLink } from "../../src/link/stream.ts";
import type { PeerEvent } from "../../src/link/stream-peer.ts";
import { EPOLLIN } from "../../src/sys/linux.ts";
import { FakeSocket, framed } from "./fake-socket.ts";
import { testFrame } from "./suite.ts";

export const LISTENER_FD = 7;
export const US = 1000;
export const STRANGER = 1001;
export const LISTENER = -1;
export const TIMER = -2;
export const TCP: StreamEndpoint = { kind: "tcp", address: 0x7f000001, port: 4711 };
export const UNIX: StreamEndpoint = { kind: "unix", path: "/run/vm.sock" };

/** A link with everything it says and asks for written down. */
export class Stage {
  readonly socket = new FakeSocket();
  readonly said: PeerEvent[] = [];
  readonly watched: string[] = [];
  readonly link: PeerLink;
  /** Token of the newest connection. */
  token = 0;
  /** What registering a descriptor gives. */
  watchErrno = 0;
  now_us = 1e9;
  /** Whose connections and listeners are; the allowed one is US. */
  uid = US;

  /** @param firstConnect result of the first attempt */
  constructor(endpoint?: StreamEndpoint, firstConnect = 0) {
    this.socket.connects.push(firstConnect);
    this.link = openStreamLink(this.socket.sys, {
      at: endpoint === undefined ? { listener: LISTENER_FD } : { endpoint },
      clock: () => this.now_us,
      users: {
        allows: (uid) => uid === US,
        of: () => this.uid,
        ofListener: () => this.uid,
        close: () => {},
      },
      onPeer: (event) => this.said.push(event),
    });
    const note = (call: string) => (fd: number, events: number, token: number) => {
      this.watched.push(`${call} ${fd} ${events} ${token}`);
      if (token > 0) this.token = token;
      return token > 0 ? this.watchErrno : 0;
    };
    const forget = (token: number): unknown => this.watched.push(`forget ${token}`);
    const remove = (token: number): unknown => this.watched.push(`remove ${token}`);
    assert.equal(this.link.watch({ add: note("add"), modify: note("modify"), forget, remove }), 0);
  }

  /** A peer connects to the listener. */
  connect(fd: number): void {
    this.socket.accepts.push(fd);
    assert.equal(this.link.event(LISTENER, EPOLLIN), false);
  }

  /** The peer says something and is heard. */
  speak(): void {
    this.socket.feed(framed(testFrame(60, 1)));
    assert.equal(this.receive().length, 1);
  }

  receive(max = 32): Uint8Array[] {
    const n = this.link.receive(this.socket.memory, max);
    assert.ok(n >= 0, `errno ${n}`);
    return Array.from({ length: n }, (_, i) => this.socket.memory.frame(i));
  }

  transmit(...frames: readonly Uint8Array[]): number {
    this.socket.memory.putFrames(frames.map((frame) => [frame]));
    return this.link.transmit(this.socket.memory, 0, frames.length);
  }

  /** Kinds and reasons of what was said since the last look. */
  get news(): string[] {
    return this.said.splice(0).map((event) => {
      if (event.kind === "disconnected") {
        return `disconnected: ${event.reason}${event.fault ? " (fault)" : ""}`;
      }
      return event.kind === "unreachable" ? `unreachable: ${event.problem}` : event.kind;
    });
  }

  get timers(): number[] {
    return this.socket.calls
      .splice(0)
      .filter((call) => call.startsWith("timer"))
      .map((call) => Number(call.split(" ")[1]));
  }
}
