/**
 * One run: the real engine and the real loop between a modelled guest and a modelled host, in
 * virtual time.
 *
 *     apps - guest - wire with faults - memory link - LOOP + ENGINE - modelled host - peers
 *                                       or a vhost-user card (`card/card.ts`)
 *
 * Theory of operation
 *   `Loop.run` drives everything: it waits, and in the modelled kernel waiting is what lets the
 *   next event happen. Nothing else knows what time it is. When the plan is carried out and the
 *   engine's table is empty, or patience ends, the control channel tells the loop to stop.
 *
 *   A restart is the same, and then another engine and another loop: host sockets and what is on
 *   the link are gone, the guest and the world go on. The books are balanced for each engine.
 *
 *   Checks are always on. Whatever must not be is a violation; the first few are kept. A frame that
 *   was damaged on the way is the guest's to drop, so what the guest says of it does not count.
 */

import * as abi from "../../../wasm/abi.ts";
import { DROP_LABELS } from "../../engine/counter-names.ts";
import { HostEngine } from "../../engine/host-engine.ts";
import { instantiateEngine } from "../../engine/instance.ts";
import type { EngineModule } from "../../engine/module.ts";
import { readStat } from "../../engine/stats.ts";
import { messageOf } from "../../lib/message.ts";
import type { OutputSink } from "../../lib/output-file.ts";
import { CaptureWriter } from "../../link/capture-writer.ts";
import type { Link } from "../../link/link.ts";
import { WatchedLink } from "../../link/watched-link.ts";
import { AlarmedEvents } from "../../loop/alarm.ts";
import { Loop, linkMemoryOf } from "../../loop/loop.ts";
import type { AppOutcome } from "./app.ts";
import { AppSet } from "./app-set.ts";
import { Cable, type CableEvents } from "./cable.ts";
import type { CardCode } from "./card/card.ts";
import type { Ledger } from "./check/balance.ts";
import { checkLeftovers } from "./check/leftovers.ts";
import { Referee } from "./check/referee.ts";
import { RoomWatch } from "./check/room-watch.ts";
import { SpinWatch } from "./check/spin-watch.ts";
import { START, VirtualClock } from "./clock.ts";
import { engineConfig } from "./engine-config.ts";
import { Guest } from "./guest/guest.ts";
import { GuestTurns } from "./guest-turns.ts";
import { SimHost } from "./host/host.ts";
import { Inbound } from "./inbound.ts";
import { Kernel } from "./kernel.ts";
import { Observer } from "./observer.ts";
import { hasTrouble, mayBreak, type Plan, type TcpPlan } from "./plan.ts";
import { Random } from "./random.ts";
import type { Sampler } from "./sampler.ts";
import { scheduleEvents } from "./schedule.ts";
import { Trace } from "./trace.ts";
import type { WorldResult } from "./verdict.ts";
import type { WireCounts } from "./wire.ts";

const GUEST_MAC = "52:54:00:12:34:56";
const VIOLATIONS_MAX = 8;
const TURNS_MAX = 4_000_000;

export interface WorldOptions {
  /** Gets every frame between guest and engine, as the engine sees it, at its virtual time. */
  readonly pcap?: OutputSink;
  /** Makes an engine, for whoever wants to stand before it: a recorder. */
  readonly instantiate?: (module: WebAssembly.Module) => EngineModule;
  /** Follows the run, and changes nothing in it. */
  readonly sampler?: Sampler;
  /** Another loop than ours, for tests of the simulator itself. */
  readonly loop?: typeof Loop;
  /** Other code of the vhost-user link than ours, for the same. */
  readonly card?: CardCode;
}

export class World {
  readonly plan: Plan;
  readonly clock = new VirtualClock();
  engine: HostEngine;
  readonly host: SimHost;
  readonly guest: Guest;
  readonly trace: Trace;
  readonly violations: string[] = [];
  readonly #observer: Observer;
  readonly ledger: Ledger;
  readonly #cable: Cable;
  #loop: Loop;
  readonly #link: Link;
  readonly #makeEngine: (life: number) => HostEngine;
  #life = 0; // engines that have been before
  #isFailing = false;
  #restartedAt: number | undefined;
  readonly #kernel: Kernel;
  readonly #spin = new SpinWatch((text) => this.violation(text));
  readonly #room: RoomWatch;
  readonly #turns: GuestTurns;
  readonly #apps: AppSet;
  readonly #inbound: Inbound;
  #isIntact = true;
  #isOver = false;
  #isCalm = false;
  readonly #referee: Referee | undefined;
  readonly #options: WorldOptions;
  readonly #capture: CaptureWriter | undefined;

  constructor(
    module: WebAssembly.Module,
    plan: Plan,
    trace = new Trace(),
    options: WorldOptions = {},
  ) {
    this.plan = plan;
    this.trace = trace;
    const fault = (text: string): void => this.violation(text);
    this.#observer = new Observer(this.clock, trace, plan.tcp, fault);
    this.ledger = this.#observer.books.ledger;
    this.#room = new RoomWatch(plan.limits, fault);
    if (plan.promises !== undefined) this.#referee = new Referee(this, plan.promises);
    const { instantiate = instantiateEngine } = options;
    this.#options = options;
    this.#makeEngine = (life) => {
      const engine = new HostEngine(instantiate(module));
      engine.start(engineConfig(plan, life));
      return engine;
    };
    this.engine = this.#makeEngine(0);
    this.host = new SimHost(this.engine, this.clock, new Random(plan.seed, 1), plan, {
      fault,
      opened: (socket) => {
        this.#observer.tcp.opened(socket);
        this.#referee?.opened(socket);
      },
      operated: (kind, handle, result) => this.#observer.operated(kind, handle, result),
    });
    this.#inbound = new Inbound(this.host, (each) => this.#refused(each));
    this.#cable = new Cable(this.clock, plan, this.#cableEvents(), options.card);
    this.guest = new Guest({
      mac: GUEST_MAC,
      mtu: plan.limits.mtu,
      seed: plan.seed + 1,
      transmit: (frame) => this.#cable.transmit(frame),
      onFault: (text) => {
        if (this.#isIntact) this.violation(`guest: ${text}`);
      },
    });
    this.#turns = new GuestTurns(this.clock, this.guest);
    this.#apps = new AppSet(this, plan, (each) => this.#inbound.knock(each));
    this.#kernel = new Kernel(this.clock, this.#sources());
    const now = (): number => this.clock.now;
    const { link } = this.#cable;
    const reasons = DROP_LABELS;
    this.#capture = options.pcap && new CaptureWriter({ sink: options.pcap, now, reasons });
    this.#link = this.#capture ? new WatchedLink(link).add(this.#capture) : link;
    this.#loop = this.#makeLoop(this.#link);
  }

  /** Something that must not be. */
  violation(text: string): void {
    if (this.violations.length >= VIOLATIONS_MAX) return;
    const line = `${((this.clock.now - START) / 1e6).toFixed(6)} ${text}`;
    this.violations.push(line);
    this.#observer.tell(() => `VIOLATION ${text}`);
  }

  // -------------------------------------------------------------- the run

  run(): WorldResult {
    const { plan, clock } = this;
    clock.at(START + plan.calmAt, () => this.#calm());
    scheduleEvents(plan, clock, {
      host: this.host,
      cable: this.#cable,
      fail: () => {
        this.#isFailing = true;
      },
      forsake: (id) => {
        this.#apps.forsake(id);
        this.serve();
      },
    });
    clock.at(START + plan.calmAt + (plan.patience * 3) / 4, () => {
      this.#apps.giveUp(mayBreak(plan));
      this.serve();
    });
    clock.at(START + plan.calmAt + plan.patience, () => this.#end("out of patience"));
    this.guest.onLease = (lease) => {
      if (lease === undefined || this.#apps.isStarted) return;
      this.#apps.start();
      this.#referee?.start(this.#apps);
    };
    this.guest.onEchoReply = (reply) => this.#apps.replied(reply);
    this.#options.sampler?.start(this);
    this.guest.dhcp(clock.now);
    this.serve();
    try {
      do this.#loop.run();
      while (this.#restart());
    } catch (error) {
      this.violation(`crash: ${messageOf(error)}`);
    }
    return this.#result();
  }

  get isSilent(): boolean {
    return this.#cable.isSilent;
  }

  /** Another engine takes the place of one that has failed; false = none has. */
  #restart(): boolean {
    if (!this.#isFailing || this.#isOver) return false;
    this.#isFailing = false;
    this.#life += 1;
    this.#restartedAt = this.clock.now;
    this.#observer.restarted(this.#life);
    // Frames on the link are lost, in both directions.
    this.#cable.empty(linkMemoryOf(this.engine), abi.RX_SLOT_COUNT, (octets) =>
      this.#observer.books.sent(octets.length - this.#cable.vnetSize),
    );
    // What the link has not taken is counted by the engine, and seen by nobody.
    if (this.engine.txCount === 0 && this.engine.opCount === 0) this.#checkBalance();
    this.#observer.books.turnPage();
    this.engine = this.#makeEngine(this.#life);
    this.host.restart(this.engine);
    this.#kernel.restart();
    this.#loop = this.#makeLoop(this.#link);
    return true;
  }

  #checkBalance(): void {
    for (const wrong of this.#observer.books.check(this.engine)) this.violation(wrong);
  }

  #result(): WorldResult {
    this.#options.sampler?.finish();
    this.#capture?.close();
    const hash = this.#observer.end(this.violations.length);
    const { framesToEngine, framesToGuest } = this.ledger;
    return {
      violations: this.violations,
      hash,
      elapsed: this.clock.now - START,
      turns: this.#kernel.waits,
      framesToEngine,
      framesToGuest,
      flowsMax: this.#room.flowsMax,
      chunksMax: this.#room.chunksMax,
    };
  }

  #calm(): void {
    this.#isCalm = true;
    this.#cable.calm();
    this.host.calm();
  }

  /** Lets the guest send what is due, and wakes it when the next thing is. */
  serve(): void {
    this.#turns.serve();
  }

  /** What came of each application, in the order in which they were planned. */
  get outcomes(): readonly AppOutcome[] {
    return this.#apps.outcomes;
  }

  /** What became of the frames on the wires. */
  get wires(): { readonly toGuest: WireCounts; readonly toEngine: WireCounts } {
    return this.#cable.wires;
  }

  // -------------------------------------------------------------- frames

  #cableEvents(): CableEvents {
    const observer = this.#observer;
    return {
      fault: (text) => this.violation(text),
      left: (octets) => observer.left(octets, this.#cable.vnetSize),
      sent: (frame) => observer.sent(frame),
      arrived: (frame, isIntact) => {
        if (observer.tcp.isForDeaf(frame)) return;
        this.#isIntact = isIntact;
        this.guest.input(frame, this.clock.now);
        this.#isIntact = true;
        this.serve();
      },
      roomy: () => this.serve(),
    };
  }

  // -------------------------------------------------------------- what the loop is made of

  #sources() {
    const world = this;
    return {
      takeLinkNews: (interest: number) => this.#cable.takeNews(interest),
      get waitingListeners(): readonly number[] {
        return world.#inbound.isWaiting ? [0] : [];
      },
      get isOver(): boolean {
        return world.#isOver || world.#isFailing;
      },
      takeEdge: () => this.host.takeEdge(),
      beforeWait: () => this.#beforeWait(),
    };
  }

  #makeLoop(link: Link): Loop {
    const now = (): number => this.clock.now;
    const { loop = Loop } = this.#options;
    return new loop({
      engine: this.engine,
      link: this.#observer.countFrames(link, {
        taken: () => this.#cable.taken(),
        wantRoom: (on) => this.#kernel.wantRoom(on),
      }),
      memory: linkMemoryOf(this.engine),
      events: this.plan.alarmed ? new AlarmedEvents(this.#kernel, this.#kernel, now) : this.#kernel,
      upstream: this.host,
      listeners: { accept: (_index, at) => this.#inbound.accept(this.engine, at) },
      sources: this.#kernel,
      onRest: (token, kind) => this.violation(`source ${kind}/${token} keeps the loop awake`),
      control: () => !(this.#isOver || this.#isFailing),
      housekeeping: { wait: () => undefined, poll: () => {} },
      clock: now,
    });
  }

  /** The engine has no room for a connection from outside. */
  #refused(plan: TcpPlan): void {
    this.#apps.turnAway(plan);
    if (mayBreak(this.plan) || plan.yields === true) return;
    this.violation(`TCP ${plan.id}: no room for a connection`);
  }

  // -------------------------------------------------------------- checks

  #beforeWait(): void {
    this.#cable.move();
    this.#options.sampler?.turned();
    const { flowCount, chunkCount } = this.engine;
    this.#room.turned(this.engine);
    if (this.#spins(flowCount, chunkCount) || this.#kernel.waits > TURNS_MAX)
      this.#end("the loop does not come to rest");
    else if (this.#isDone) this.#end(undefined);
    else if (this.violations.length >= VIOLATIONS_MAX) this.#end("too many violations");
  }

  #spins(flows: number, chunks: number): boolean {
    return this.#spin.turned(this.clock.now, {
      frames: this.#observer.frames,
      operations: this.#observer.operations,
      news: this.#kernel.news + this.#cable.kicks,
      accepted: this.#inbound.accepted,
      flows,
      chunks,
      deadline: this.engine.nextDeadline(),
    });
  }

  get #isDone(): boolean {
    if (!this.#isCalm || !this.#apps.isStarted || this.engine.flowCount > 0) return false;
    if (!this.#cable.isSettled) return false;
    return this.#apps.isDone && this.guest.tcp.count === 0;
  }

  /** True where nothing was lost, so that every question must have been answered. */
  get #isLossless(): boolean {
    const lost = this.#cable.lost + this.host.datagramsLost + this.guest.packetsLost;
    return lost === 0 && !mayBreak(this.plan);
  }

  #end(reason: string | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { engine, host } = this;
    if (reason !== undefined) this.violation(reason);
    if (!this.#apps.isStarted) this.violation("the guest got no address");
    if (!hasTrouble(this.plan)) {
      const wrong = this.#apps.verdicts(this.#isLossless, this.#restartedAt);
      for (const each of wrong) this.violation(each);
    }
    const left = checkLeftovers(engine, host, this.#cable.pending, reason === undefined);
    for (const wrong of left) this.violation(wrong);
    // What a failed engine has told the guest is not known.
    const isWhole = this.#life === 0 && readStat(engine, abi.STAT_COUNT + abi.DROP_TX_FULL) === 0;
    if (isWhole) this.#observer.tcp.finish();
    this.#checkBalance();
  }
}
