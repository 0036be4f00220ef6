/** The door of a stream link, by made-up connections and a clock that stands still. */
import { Door } from "../../src/link/stream-door.ts";
import { TimerFd } from "../../src/sys/fd.ts";
import { FakeSocket } from "./fake-socket.ts";

const US = 1000;
export const STRANGER = 1001;
const TOKEN = -1;
export const SECOND = 1e6;

/** A door, who has the place behind it, and time. */
export class Entrance {
  readonly socket = new FakeSocket();
  readonly said: string[] = [];
  now_us = 1e9;
  /** User of each connection; else US. */
  readonly uids = new Map<number, number>();
  holder = -1;
  hasSpoken = false;
  /** Found out when somebody asks who has the place. */
  holderHungUp = false;
  came_us = 0;
  isWatched = true;
  /** How often the loop has told the door of its listener. */
  looks = 0;
  /** How often the door has asked who has the place. */
  asked = 0;
  readonly door: Door;

  constructor() {
    this.door = new Door(this.socket.sys, {
      listener: 7,
      timer: new TimerFd(this.socket.sys),
      users: {
        allows: (uid) => uid === US,
        of: (fd) => this.uids.get(fd) ?? US,
        ofListener: () => US,
        close: () => {},
      },
      clock: () => this.now_us,
      tell: ({ kind }) => this.said.push(kind),
      holder: {
        state: () => {
          this.asked += 1;
          if (this.holderHungUp) {
            this.holderHungUp = false;
            this.leave();
          }
          if (this.holder < 0) return "free";
          return this.hasSpoken ? "spoken" : "silent";
        },
        take: (fd) => this.#take(fd),
        vacate: () => this.leave(),
      },
    });
    const watcher = {
      add: () => 0,
      modify: (_fd: number, events: number) => {
        this.isWatched = events !== 0;
        return 0;
      },
      forget: () => {},
      remove: () => {},
    };
    this.door.watch(watcher, TOKEN);
  }

  #take(fd: number): void {
    this.holder = fd;
    this.hasSpoken = false;
    this.came_us = this.now_us;
    this.door.came();
  }

  leave(): void {
    this.holder = -1;
    this.door.left(this.now_us - this.came_us);
  }

  speak(): void {
    this.hasSpoken = true;
    this.door.spoke();
  }

  /** These have connected, and the loop says so if it looks. */
  knock(...fds: readonly number[]): void {
    this.socket.accepts.push(...fds);
    if (this.isWatched) this.look();
  }

  /** Time goes on, in steps, and the loop with it. */
  pass(microseconds: number, step = microseconds): void {
    for (const end = this.now_us + microseconds; this.now_us < end; ) {
      this.now_us = Math.min(end, this.now_us + step);
      this.door.tick();
      if (this.isWatched && this.socket.accepts.length > 0) this.look();
    }
  }

  look(): void {
    this.looks += 1;
    this.door.knock();
  }

  /** What the timer has been set to since the last look. */
  get timers(): string[] {
    return this.socket.calls.splice(0).filter((call) => call.startsWith("timer"));
  }

  get closed(): number[] {
    const closed = this.socket.calls.filter((call) => call.startsWith("close "));
    return closed.map((call) => Number(call.slice("close ".length)));
  }
}
