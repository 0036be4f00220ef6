/** An application in the modelled guest that sends the echo requests of one plan. */
import { formatIpv4 } from "../../lib/addr.ts";
import { type App, type AppOutcome, type AppOwner, NOTHING } from "./app.ts";
import { datagramStream } from "./host/host.ts";
import { fillPattern } from "./pattern.ts";
import type { PingPlan } from "./plan.ts";

export class PingApp implements App {
  readonly #plan: PingPlan;
  readonly #owner: AppOwner;
  #sent = 0;
  readonly #answered = new Set<number>();
  readonly #sentAt: number[] = [];
  readonly #roundTrips: number[] = [];
  #lastAt: number | undefined;

  constructor(owner: AppOwner, plan: PingPlan) {
    this.#owner = owner;
    this.#plan = plan;
  }

  get isDone(): boolean {
    return this.#sent === this.#plan.count;
  }

  start(): void {
    this.#send();
  }

  giveUp(_always: boolean): void {}

  #payload(sequence: number): Uint8Array {
    const payload = new Uint8Array(this.#plan.size);
    fillPattern(datagramStream(this.#plan.id), sequence, payload);
    return payload;
  }

  #send(): void {
    const { id, address, count, pause } = this.#plan;
    const { guest, clock } = this.#owner;
    guest.ping(formatIpv4(address), id, this.#sent, this.#payload(this.#sent));
    this.#sent += 1;
    this.#lastAt = clock.now;
    this.#sentAt.push(clock.now);
    if (this.#sent === count) return;
    clock.after(pause, () => {
      this.#send();
      this.#owner.serve();
    });
  }

  /** A reply with this plan's identifier has come. */
  replied(from: string, sequence: number, payload: Uint8Array): void {
    const { id, address, count } = this.#plan;
    const wanted = this.#payload(sequence);
    const same = payload.length === wanted.length && payload.every((each, i) => each === wanted[i]);
    if (from !== formatIpv4(address) || sequence >= count || !same) {
      this.#owner.violation(`ping ${id}: reply ${sequence} from ${from} is wrong`);
    }
    const { now } = this.#owner.clock;
    if (!this.#answered.has(sequence)) this.#roundTrips.push(now - (this.#sentAt[sequence] ?? now));
    this.#answered.add(sequence);
    this.#lastAt = now;
  }

  get outcome(): AppOutcome {
    return {
      ...NOTHING,
      ...{ kind: "ping", id: this.#plan.id, asked: this.#sent, answered: this.#answered.size },
      startedAt: this.#sentAt[0],
      endedAt: this.#lastAt,
      roundTrips: this.#roundTrips,
    };
  }

  verdict(isLossless: boolean): string | undefined {
    const { id, count } = this.#plan;
    if (!isLossless || this.#answered.size === count) return undefined;
    return `ping ${id}: ${this.#answered.size}/${count} replies`;
  }
}
