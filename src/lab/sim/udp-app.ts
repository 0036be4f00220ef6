/** An application in the modelled guest that sends the datagrams of one plan. */
import { formatIpv4 } from "../../lib/addr.ts";
import { type App, type AppOutcome, type AppOwner, NOTHING } from "./app.ts";
import type { UdpSocket } from "./guest/udp.ts";
import { checkDatagram, datagramStream, NUMBER_SIZE } from "./host/host.ts";
import { fillPattern } from "./pattern.ts";
import type { UdpPlan } from "./plan.ts";

export class UdpApp implements App {
  readonly #plan: UdpPlan;
  readonly #owner: AppOwner;
  #socket: UdpSocket | undefined;
  #sent = 0;
  #unsent = 0;
  readonly #answered = new Set<number>();
  #anonymous = 0;
  #failed = 0;
  readonly #sentAt: number[] = [];
  readonly #roundTrips: number[] = [];
  #lastAt: number | undefined;

  constructor(owner: AppOwner, plan: UdpPlan) {
    this.#owner = owner;
    this.#plan = plan;
  }

  get isDone(): boolean {
    return this.#sent === this.#plan.count;
  }

  start(): void {
    const { guest } = this.#owner;
    this.#socket = guest.openUdp(0, {
      received: ({ from, fromPort, payload }) => this.#received(from, fromPort, payload),
      failed: () => {
        this.#failed += 1;
      },
    });
    this.#send();
  }

  giveUp(_always: boolean): void {}

  #send(): void {
    const { id, address, port, sizes, count, pause } = this.#plan;
    const size = sizes[this.#sent % sizes.length] ?? 0;
    const payload = new Uint8Array(size);
    if (size >= NUMBER_SIZE) {
      new DataView(payload.buffer).setUint32(0, this.#sent);
      fillPattern(datagramStream(id), this.#sent, payload.subarray(NUMBER_SIZE));
    }
    if (this.#socket?.send(formatIpv4(address), port, payload) !== true) this.#unsent += 1;
    this.#sent += 1;
    this.#lastAt = this.#owner.clock.now;
    this.#sentAt.push(this.#lastAt);
    if (this.#sent === count) return;
    this.#owner.clock.after(pause, () => {
      this.#send();
      this.#owner.serve();
    });
  }

  #received(from: string, port: number, payload: Uint8Array): void {
    const plan = this.#plan;
    if (from !== formatIpv4(plan.address) || port !== plan.port) {
      this.#owner.violation(`UDP ${plan.id}: datagram from ${from}:${port}`);
    }
    if (plan.service !== "echo") this.#owner.violation(`UDP ${plan.id}: an answer nobody gave`);
    const wrong = checkDatagram(plan, payload);
    if (wrong !== undefined) this.#owner.violation(wrong);
    const { now } = this.#owner.clock;
    this.#lastAt = now;
    if (payload.length < NUMBER_SIZE) {
      this.#anonymous += 1;
      return;
    }
    const number = new DataView(payload.buffer, payload.byteOffset).getUint32(0);
    if (!this.#answered.has(number)) this.#roundTrips.push(now - (this.#sentAt[number] ?? now));
    this.#answered.add(number);
  }

  get outcome(): AppOutcome {
    return {
      ...NOTHING,
      ...{ kind: "udp", id: this.#plan.id, asked: this.#sent, refused: this.#failed },
      // Those too short for a number may be duplicates.
      answered: Math.min(this.#answered.size + this.#anonymous, this.#sent),
      startedAt: this.#sentAt[0],
      endedAt: this.#lastAt,
      roundTrips: this.#roundTrips,
    };
  }

  verdict(isLossless: boolean): string | undefined {
    const { id, service, count, yields = false } = this.#plan;
    const answers = this.#answered.size + this.#anonymous;
    if (!isLossless || this.#unsent > 0 || yields) return undefined;
    if (service === "echo" && answers < count) return `UDP ${id}: ${answers}/${count} answers`;
    if (service === "refused" && this.#failed === 0) return `UDP ${id}: no word of refusal`;
    return undefined;
  }
}
