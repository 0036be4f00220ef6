/** Connections that peers open to the guest, until the engine has a flow for them or refuses. */
import type { Engine } from "../../engine/engine.ts";
import { PUBLISHED_PORT } from "./app-set.ts";
import type { SimHost } from "./host/host.ts";
import type { TcpPlan } from "./plan.ts";

const ACCEPT_BATCH = 16;

export class Inbound {
  readonly #host: SimHost;
  readonly #refused: (plan: TcpPlan) => void;
  readonly #waiting: TcpPlan[] = [];
  /** Those the loop has been given, refused ones included. */
  accepted = 0;

  /** @param refused the engine has no room for a connection */
  constructor(host: SimHost, refused: (plan: TcpPlan) => void) {
    this.#host = host;
    this.#refused = refused;
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** A peer opens its connection. */
  knock(plan: TcpPlan): void {
    this.#waiting.push(plan);
  }

  /** Gives the engine some of those that wait; returns how many. */
  accept(engine: Engine, now: number): number {
    const plans = this.#waiting.splice(0, ACCEPT_BATCH);
    this.accepted += plans.length;
    for (const plan of plans) {
      const handle = engine.inboundTcp(PUBLISHED_PORT, plan.address, plan.port, now);
      if (handle !== 0) this.#host.adopt(handle, plan);
      else this.#refused(plan);
    }
    return plans.length;
  }
}
