/**
 * All applications of a run: makes them of the plan, starts them, hands them what comes for them,
 * and asks them in the end.
 */
import type { App, AppOutcome, AppOwner } from "./app.ts";
import { DnsApp } from "./dns-app.ts";
import type { EchoReply } from "./guest/icmp.ts";
import { endpointKey } from "./host/host.ts";
import { PingApp } from "./ping-app.ts";
import type { Plan, TcpPlan } from "./plan.ts";
import { TcpApp } from "./tcp-app.ts";
import { UdpApp } from "./udp-app.ts";

/** The guest's port that connections from outside come to. */
export const PUBLISHED_PORT = 8080;

export class AppSet {
  readonly #owner: AppOwner;
  readonly #plan: Plan;
  /** Opens a connection from outside. */
  readonly #knock: (plan: TcpPlan) => void;
  readonly #apps: App[] = [];
  readonly connections: TcpApp[] = [];
  readonly questions: DnsApp[] = [];
  readonly #pings = new Map<number, PingApp>();
  /** Connections from outside, by the endpoint they come from. */
  readonly #inbound = new Map<number, TcpApp>();
  readonly #startTimes = new Map<App, number>();
  isStarted = false;

  constructor(owner: AppOwner, plan: Plan, knock: (plan: TcpPlan) => void) {
    this.#owner = owner;
    this.#plan = plan;
    this.#knock = knock;
  }

  /** Starts them, each at its time; once, whatever leases follow the first. */
  start(): void {
    if (this.isStarted) return;
    this.isStarted = true;
    const { tcp, udp, pings, dns } = this.#plan;
    for (const each of tcp) this.#startTcp(each);
    this.#listen();
    for (const each of udp) this.#startAt(each.startAt, new UdpApp(this.#owner, each));
    for (const each of pings) {
      const app = new PingApp(this.#owner, each);
      this.#pings.set(each.id, app);
      this.#startAt(each.startAt, app);
    }
    for (const each of dns) {
      const app = new DnsApp(this.#owner, each);
      this.questions.push(app);
      this.#startAt(each.startAt, app);
    }
  }

  #startAt(at: number, app: App): void {
    this.#apps.push(app);
    this.#owner.clock.after(at, () => {
      this.#startTimes.set(app, this.#owner.clock.now);
      app.start();
      this.#owner.serve();
    });
  }

  #startTcp(plan: TcpPlan): void {
    const app = new TcpApp(this.#owner, plan);
    this.connections.push(app);
    if (!plan.isInbound) return void this.#startAt(plan.app.startAt, app);
    this.#apps.push(app);
    this.#inbound.set(endpointKey(plan.address, plan.port), app);
    this.#owner.clock.after(plan.app.startAt, () => {
      app.asked();
      this.#knock(plan);
    });
  }

  /** The engine would not have a connection from outside. */
  turnAway(plan: TcpPlan): void {
    this.#inbound.get(endpointKey(plan.address, plan.port))?.turnedAway();
  }

  /** The peer of a connection has gone: what has not heard of it by now never will. */
  forsake(id: number): void {
    const app = this.connections.find(({ plan }) => plan.id === id);
    if (app?.isDone === false) app.giveUp(true);
  }

  #listen(): void {
    const find = (remote: Uint8Array, port: number): TcpApp | undefined => {
      const address = remote.reduce((sum, octet) => sum * 256 + octet, 0);
      return this.#inbound.get(endpointKey(address, port));
    };
    this.#owner.guest.listenTcp(
      PUBLISHED_PORT,
      (connection) => {
        const app = find(connection.remote, connection.remotePort);
        if (app === undefined) this.#owner.violation("a connection that nobody opened");
        return app?.accepted(connection);
      },
      (remote, port) => find(remote, port)?.plan.app.settings ?? {},
    );
  }

  /** A reply to an echo request has come. */
  replied({ identifier, from, sequence, payload }: EchoReply): void {
    const app = this.#pings.get(identifier);
    if (app === undefined) this.#owner.violation(`ping ${identifier}: nobody asked`);
    app?.replied(from, sequence, payload);
  }

  get isDone(): boolean {
    return this.#apps.every((app) => app.isDone);
  }

  /** Has those that may wait for ever give up; `always` = all that are not done. */
  giveUp(always: boolean): void {
    for (const app of this.#apps) if (!app.isDone) app.giveUp(always);
  }

  /** What is wrong with how they ended; only of those that began after `since`, if it is given. */
  verdicts(isLossless: boolean, since?: number): string[] {
    const isAsked = (app: App): boolean =>
      since === undefined || (this.#startTimes.get(app) ?? 0) > since;
    return this.#apps.filter(isAsked).flatMap((app) => app.verdict(isLossless) ?? []);
  }

  get outcomes(): readonly AppOutcome[] {
    return this.#apps.map((app) => app.outcome);
  }
}
