/** An application in the modelled guest that asks for one name. */
import { formatIpv4 } from "../../lib/addr.ts";
import { type App, type AppOutcome, type AppOwner, NOTHING } from "./app.ts";
import { nameAddress } from "./host/resolver.ts";
import type { DnsPlan } from "./plan.ts";

export class DnsApp implements App {
  readonly #plan: DnsPlan;
  readonly #owner: AppOwner;
  isDone = false;
  #hasAnswer = false;
  #startedAt: number | undefined;
  #endedAt: number | undefined;

  constructor(owner: AppOwner, plan: DnsPlan) {
    this.#owner = owner;
    this.#plan = plan;
  }

  get name(): string {
    return this.#plan.name;
  }

  get isStarted(): boolean {
    return this.#startedAt !== undefined;
  }

  get isAnswered(): boolean {
    return this.#hasAnswer;
  }

  start(): void {
    const { guest, clock } = this.#owner;
    const [server = ""] = guest.lease?.dns ?? [];
    const { name } = this.#plan;
    this.#startedAt = clock.now;
    guest.resolve(server, name, clock.now, (answer) => {
      this.isDone = true;
      this.#endedAt = clock.now;
      if (answer === undefined || answer.code !== 0) return;
      this.#hasAnswer = true;
      const labels = name.split(".");
      const octets = labels.flatMap((label) => [label.length, ...new TextEncoder().encode(label)]);
      const wanted = formatIpv4(nameAddress(Uint8Array.of(...octets, 0)));
      if (answer.addresses.length !== 1 || answer.addresses[0] !== wanted) {
        this.#owner.violation(`DNS ${name}: ${answer.addresses.join(" ")}, not ${wanted}`);
      }
    });
  }

  giveUp(_always: boolean): void {}

  get outcome(): AppOutcome {
    const began = this.#startedAt;
    const ended = this.#endedAt;
    const isAnswered = this.#hasAnswer && began !== undefined && ended !== undefined;
    return {
      ...NOTHING,
      ...{ kind: "dns", id: this.#plan.id, startedAt: began, endedAt: ended },
      asked: began === undefined ? 0 : 1,
      answered: isAnswered ? 1 : 0,
      roundTrips: isAnswered ? [ended - began] : [],
    };
  }

  verdict(isLossless: boolean): string | undefined {
    return isLossless && !this.#hasAnswer ? `DNS ${this.#plan.name}: no answer` : undefined;
  }
}
