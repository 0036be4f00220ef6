/**
 * One run: the real engine and the real loop between a modelled guest and a modelled host, in
 * virtual time.
 *
 *     apps - guest - wire with faults - memory link - LOOP + ENGINE - modelled host - peers
 *
 * Theory of operation
 *   `Loop.run` drives everything: it waits, and in the modelled kernel waiting is what lets the
 *   next event happen. Nothing else knows what time it is. When the plan is carried out and the
 *   engine's table is empty, or patience ends, the control channel tells the loop to stop.
 *
 *   Checks are always on. Whatever must not be is a violation; the first few are kept. A frame that
 *   was damaged on the way is the guest's to drop, so what the guest says of it does not count.
 */
import * as abi from "../../wasm/abi.ts";
import { Engine } from "../engine/engine.ts";
import { instantiateEngine } from "../engine/module.ts";
import { readStat } from "../engine/stats.ts";
import type { Link, LinkMemory } from "../link/link.ts";
import { createMemoryLink, type MemoryGuest } from "../link/memory.ts";
import { AlarmedEvents } from "../loop/alarm.ts";
import { Loop } from "../loop/loop.ts";
import { type App, DnsApp, PingApp, TcpApp, UdpApp } from "./apps.ts";
import { checkBalance, emptyLedger, type Ledger } from "./check/balance.ts";
import { TcpWatch } from "./check/tcp-watch.ts";
import { START, VirtualClock } from "./clock.ts";
import { describeFrame, describeOperation } from "./describe.ts";
import { engineConfig } from "./engine-config.ts";
import { Guest } from "./guest/guest.ts";
import { endpointKey, SimHost } from "./host/host.ts";
import { Kernel } from "./kernel.ts";
import { Nic, VNET_SIZE } from "./nic.ts";
import type { Plan, TcpPlan } from "./plan.ts";
import { Random } from "./random.ts";
import { Trace } from "./trace.ts";
import { Wire } from "./wire.ts";

const GUEST_MAC = "52:54:00:12:34:56";
/** Ports that guests listen on for inbound connections. */
const PUBLISHED_PORT = 8080;
const ACCEPT_BATCH = 16;
const VIOLATIONS_MAX = 8;
const TURNS_MAX = 4_000_000;

/** Kinds of notes in the trace. */
const NOTE_TO_ENGINE = 1;
const NOTE_TO_GUEST = 2;
const NOTE_OPERATION = 3;
const NOTE_END = 4;

export interface WorldResult {
  /** What went wrong, the first things first; empty = nothing. */
  readonly violations: readonly string[];
  readonly hash: string;
  /** Virtual microseconds from start to end. */
  readonly elapsed: number;
  readonly turns: number;
  readonly framesToEngine: number;
  readonly framesToGuest: number;
  readonly flowsMax: number;
  readonly chunksMax: number;
}

export class World {
  readonly plan: Plan;
  readonly clock = new VirtualClock();
  readonly engine: Engine;
  readonly host: SimHost;
  readonly guest: Guest;
  readonly trace: Trace;
  readonly violations: string[] = [];
  readonly ledger: Ledger = emptyLedger();
  readonly #watch: TcpWatch;
  readonly #toGuest: Wire;
  readonly #toEngine: Wire;
  readonly #cable: MemoryGuest;
  readonly #nic: Nic;
  readonly #loop: Loop;
  readonly #kernel: Kernel;
  readonly #apps: App[] = [];
  readonly #inbound: TcpPlan[] = [];
  /** Frames in the link's queue towards the engine, and whether each is as it was sent. */
  readonly #intact: boolean[] = [];
  #isIntact = true;
  #isOver = false;
  #isCalm = false;
  #wakeAt = Number.POSITIVE_INFINITY;
  #isServing = false;
  #appsStarted = false;
  /** Frames dropped because the link's queue towards the engine was full. */
  #overflowed = 0;
  #flowsMax = 0;
  #chunksMax = 0;

  constructor(module: WebAssembly.Module, plan: Plan, trace = new Trace()) {
    this.plan = plan;
    this.trace = trace;
    this.engine = new Engine(instantiateEngine(module));
    this.engine.start(engineConfig(plan));
    this.#watch = new TcpWatch(plan.tcp, (text) => this.violation(text));
    this.#nic = new Nic(plan.limits.mtu, (text) => this.violation(text));
    this.host = new SimHost(this.engine, this.clock, new Random(plan.seed, 1), plan, {
      fault: (text) => this.violation(text),
      opened: (socket) => this.#watch.opened(socket),
      operated: (kind, handle, result) => this.#operated(kind, handle, result),
    });
    const vnetSize = plan.limits.offloads ? VNET_SIZE : 0;
    const { link, guest } = createMemoryLink({ vnetSize, queueFrames: plan.limits.queueFrames });
    this.#cable = guest;
    this.#toEngine = new Wire(
      this.clock,
      new Random(plan.seed, 2),
      plan.toEngine,
      (frame, isIntact) => this.#enqueue(frame, isIntact),
    );
    this.#toGuest = new Wire(
      this.clock,
      new Random(plan.seed, 3),
      plan.toGuest,
      (frame, isIntact) => this.#deliver(frame, isIntact),
    );
    this.guest = new Guest({
      mac: GUEST_MAC,
      mtu: plan.limits.mtu,
      seed: plan.seed + 1,
      transmit: (frame) => {
        this.#toEngine.send(frame);
        return true;
      },
      onFault: (text) => {
        if (this.#isIntact) this.violation(`guest: ${text}`);
      },
    });
    this.#kernel = new Kernel(this.clock, this.#sources());
    this.#loop = this.#makeLoop(link);
  }

  violation(text: string): void {
    if (this.violations.length >= VIOLATIONS_MAX) return;
    const line = `${((this.clock.now - START) / 1e6).toFixed(6)} ${text}`;
    this.violations.push(line);
    this.#tell(() => `VIOLATION ${text}`);
  }

  #tell(line: () => string): void {
    this.trace.tell(this.clock.now - START, line);
  }

  // -------------------------------------------------------------- the run

  run(): WorldResult {
    const { plan, clock } = this;
    clock.at(START + plan.calmAt, () => this.#calm());
    if (plan.outage !== undefined) {
      const { at, duration } = plan.outage;
      clock.at(START + at, () => this.host.setOffline(true));
      clock.at(START + at + duration, () => this.host.setOffline(false));
    }
    clock.at(START + plan.calmAt + (plan.patience * 3) / 4, () => {
      for (const app of this.#apps) if (!app.isDone) app.giveUp(this.#mayBreak);
      this.serve();
    });
    clock.at(START + plan.calmAt + plan.patience, () => this.#end("out of patience"));
    this.guest.onLease = (lease) => {
      if (lease !== undefined && !this.#appsStarted) this.#startApps();
    };
    this.guest.onEchoReply = ({ identifier, from, sequence, payload }) => {
      const app = this.#pings.get(identifier);
      if (app === undefined) this.violation(`ping ${identifier}: nobody asked`);
      app?.replied(from, sequence, payload);
    };
    this.guest.dhcp(clock.now);
    this.serve();
    try {
      this.#loop.run();
    } catch (error) {
      this.violation(`crash: ${error instanceof Error ? error.message : String(error)}`);
    }
    return this.#result();
  }

  #result(): WorldResult {
    this.trace.note(this.clock.now, NOTE_END, this.violations.length);
    const { framesToEngine, framesToGuest } = this.ledger;
    return {
      violations: this.violations,
      hash: this.trace.hash,
      elapsed: this.clock.now - START,
      turns: this.#kernel.waits,
      framesToEngine,
      framesToGuest,
      flowsMax: this.#flowsMax,
      chunksMax: this.#chunksMax,
    };
  }

  #calm(): void {
    this.#isCalm = true;
    this.#toGuest.calm();
    this.#toEngine.calm();
    this.host.calm();
  }

  readonly #pings = new Map<number, PingApp>();

  #startApps(): void {
    this.#appsStarted = true;
    const { plan, clock, guest } = this;
    const start = (at: number, app: App): void => {
      this.#apps.push(app);
      clock.after(at, () => {
        app.start();
        this.serve();
      });
    };
    const waiting = new Map<number, TcpApp>();
    for (const each of plan.tcp) {
      const app = new TcpApp(this, each);
      if (each.isInbound) {
        this.#apps.push(app);
        waiting.set(endpointKey(each.address, each.port), app);
        clock.after(each.app.startAt, () => this.#inbound.push(each));
      } else start(each.app.startAt, app);
    }
    const find = (remote: Uint8Array, port: number): TcpApp | undefined => {
      const address = remote.reduce((sum, octet) => sum * 256 + octet, 0);
      return waiting.get(endpointKey(address, port));
    };
    guest.listenTcp(
      PUBLISHED_PORT,
      (connection) => {
        const app = find(connection.remote, connection.remotePort);
        if (app === undefined) this.violation("a connection that nobody opened");
        return app?.accepted(connection);
      },
      (remote, port) => find(remote, port)?.plan.app.settings ?? {},
    );
    for (const each of plan.udp) start(each.startAt, new UdpApp(this, each));
    for (const each of plan.pings) {
      const app = new PingApp(this, each);
      this.#pings.set(each.id, app);
      start(each.startAt, app);
    }
    for (const each of plan.dns) start(each.startAt, new DnsApp(this, each));
  }

  /** Something that must not be, found by an application. */
  fault(text: string): void {
    this.violation(text);
  }

  /** Lets the guest send what is due, and wakes it when the next thing is. */
  serve(): void {
    if (this.#isServing) return;
    this.#isServing = true;
    this.guest.poll(this.clock.now);
    this.#isServing = false;
    const next = this.guest.nextDeadline();
    if (next >= this.#wakeAt || next === Number.POSITIVE_INFINITY) return;
    const at = Math.max(next, this.clock.now + 1);
    this.#wakeAt = at;
    this.clock.at(at, () => {
      if (this.#wakeAt === at) this.#wakeAt = Number.POSITIVE_INFINITY;
      this.serve();
    });
  }

  // -------------------------------------------------------------- frames

  /** A frame arrives at the engine's end of the link. */
  #enqueue(frame: Uint8Array, isIntact: boolean): void {
    const whole = this.plan.limits.offloads ? this.#nic.fromGuest(frame, isIntact) : frame;
    if (whole === undefined) return;
    if (this.#cable.send(whole)) this.#intact.push(isIntact);
    else this.#overflowed += 1;
  }

  /** A frame arrives at the guest. */
  #deliver(frame: Uint8Array, isIntact: boolean): void {
    // A damaged fragment spoils the packet that another one completes.
    const isFragment = ((frame[20] ?? 0) & 0x3f) !== 0 || frame[21] !== 0;
    const mayBeSpoilt = isFragment && this.#toGuest.counts.corrupted > 0;
    this.#isIntact = isIntact && !mayBeSpoilt;
    this.guest.input(frame, this.clock.now);
    this.#isIntact = true;
    this.serve();
    this.#drain(); // there is room on the wire again
  }

  /** Moves what the engine has sent onto the wire, as far as the guest's queue has room. */
  #drain(): void {
    const room = this.plan.toGuest.queueFrames;
    while (this.#cable.pending > 0 && this.#toGuest.queued < room) {
      const octets = this.#cable.receive();
      if (octets === undefined) return;
      const { ledger, clock } = this;
      ledger.framesToGuest += 1;
      this.trace.note(clock.now, NOTE_TO_GUEST, octets.length);
      this.trace.octets(octets);
      if (!this.plan.limits.offloads) {
        ledger.octetsToGuest += octets.length;
        this.#send(octets);
        continue;
      }
      ledger.octetsToGuest += octets.length - VNET_SIZE;
      this.#nic.fromEngine(octets, (frame) => this.#send(frame));
    }
  }

  #send(frame: Uint8Array): void {
    this.#tell(() => `  < ${describeFrame(frame)}`);
    this.#watch.sent(frame);
    this.#toGuest.send(frame);
  }

  /** The engine takes frames from the link. */
  #received(memory: LinkMemory, count: number): void {
    const { ledger, clock, trace } = this;
    const vnet = this.plan.limits.offloads ? VNET_SIZE : 0;
    for (let i = 0; i < count; i += 1) {
      const at = (memory.rxDescriptors + i * abi.RX_DESCRIPTOR_SIZE) >> 2;
      const pointer = (memory.u32[at] ?? 0) + vnet;
      const length = (memory.u32[at + 1] ?? 0) - vnet;
      const frame = this.engine.octets.subarray(pointer, pointer + length);
      ledger.framesToEngine += 1;
      ledger.octetsToEngine += length;
      const isIpv4 = frame[12] === 8 && frame[13] === 0;
      if (isIpv4 && frame[23] === 6) ledger.tcpFrames += 1;
      else if (isIpv4 && (((frame[20] ?? 0) & 0x3f) !== 0 || frame[21] !== 0))
        ledger.fragments += 1;
      trace.note(clock.now, NOTE_TO_ENGINE, length);
      trace.octets(frame);
      const isIntact = this.#intact.shift() === true;
      this.#tell(() => `  > ${describeFrame(frame)}${isIntact ? "" : " (damaged)"}`);
      if (isIntact) this.#watch.arrived(frame);
    }
  }

  // -------------------------------------------------------------- what the loop is made of

  #sources() {
    const world = this;
    return {
      get linkReadable(): boolean {
        return world.#intact.length > 0;
      },
      get linkWritable(): boolean {
        return world.#cable.pending < world.plan.limits.queueFrames;
      },
      get waitingListeners(): readonly number[] {
        return world.#inbound.length > 0 ? [0] : [];
      },
      get isOver(): boolean {
        return world.#isOver;
      },
      takeEdge: () => this.host.takeEdge(),
      beforeWait: () => this.#beforeWait(),
    };
  }

  #makeLoop(link: Link): Loop {
    const { rxDescriptors, rxBuffers, txRecords } = this.engine.bases;
    const { words, octets } = this.engine;
    const buffer = octets.buffer;
    const memory = { buffer, base: 0, u32: words, rxDescriptors, rxBuffers, txRecords };
    const { vnetSize, flags, queueFrames, mtuMax } = link;
    const counted: Link = {
      ...{ vnetSize, flags, queueFrames, mtuMax, refused: 0 },
      watch: () => 0,
      event: (_token, events) => (events & abi.EVENT_READABLE) !== 0,
      wantRoom: (on) => this.#kernel.wantRoom(on),
      receive: (where, max) => {
        const count = link.receive(where, max);
        if (count > 0) this.#received(where, count);
        return count;
      },
      transmit: (where, first, count) => link.transmit(where, first, count),
      close: () => link.close(),
    };
    const now = (): number => this.clock.now;
    return new Loop({
      engine: this.engine,
      link: counted,
      memory,
      events: this.plan.alarmed ? new AlarmedEvents(this.#kernel, this.#kernel, now) : this.#kernel,
      upstream: this.host,
      listeners: { accept: (_index, at) => this.#accept(at) },
      control: () => !this.#isOver,
      housekeeping: { wait: () => undefined, poll: () => {} },
      clock: now,
    });
  }

  #accept(now: number): void {
    for (let i = 0; i < ACCEPT_BATCH; i += 1) {
      const plan = this.#inbound.shift();
      if (plan === undefined) return;
      const handle = this.engine.inboundTcp(PUBLISHED_PORT, plan.address, plan.port, now);
      if (handle !== 0) this.host.adopt(handle, plan);
      else if (!this.#mayBreak) this.violation(`TCP ${plan.id}: no room for a connection`);
    }
  }

  #operated(kind: number, handle: number, result: number): void {
    const { ledger } = this;
    if (result > 0 && kind === abi.OP_TCP_SEND) ledger.streamTaken += result;
    if (result > 0 && kind === abi.OP_TCP_RECV) ledger.streamGiven += result;
    this.#tell(() => `    ${describeOperation(kind, handle, result)}`);
    this.trace.note(this.clock.now, NOTE_OPERATION, kind);
    this.trace.note(handle, kind, result);
  }

  // -------------------------------------------------------------- checks

  #beforeWait(): void {
    this.#drain();
    const { engine, plan } = this;
    const { flowCount, chunkCount } = engine;
    if (flowCount > this.#flowsMax) this.#flowsMax = flowCount;
    if (chunkCount > this.#chunksMax) this.#chunksMax = chunkCount;
    if (flowCount > plan.limits.flowsMax) this.violation(`${flowCount} flows`);
    if (chunkCount > plan.limits.chunksMax) this.violation(`${chunkCount} chunks`);
    if (this.#kernel.waits > TURNS_MAX) this.#end("the loop does not come to rest");
    else if (this.#isDone) this.#end(undefined);
    else if (this.violations.length >= VIOLATIONS_MAX) this.#end("too many violations");
  }

  get #isDone(): boolean {
    if (!this.#isCalm || !this.#appsStarted || this.engine.flowCount > 0) return false;
    return this.#apps.every((app) => app.isDone) && this.guest.tcp.count === 0;
  }

  /** Connections may break although their plans do not say so. */
  get #mayBreak(): boolean {
    return this.plan.isCrowded || this.plan.outage !== undefined;
  }

  /** True where nothing was lost, so that every question must have been answered. */
  get #isLossless(): boolean {
    const { host, guest } = this;
    const wires = [this.#toGuest, this.#toEngine];
    const lost = wires.reduce((sum, { counts }) => sum + counts.overflowed + counts.lost, 0);
    const damaged = wires.reduce((sum, { counts }) => sum + counts.corrupted, 0);
    const elsewhere = this.#overflowed + host.datagramsLost + guest.packetsLost;
    return lost + damaged + elsewhere === 0 && !this.#mayBreak;
  }

  #end(reason: string | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { engine, host } = this;
    if (reason !== undefined) this.violation(reason);
    if (!this.#appsStarted) this.violation("the guest got no address");
    for (const app of this.#apps) {
      const wrong = app.verdict(this.#isLossless);
      if (wrong !== undefined && !this.#mayBreak) this.violation(wrong);
    }
    if (reason === undefined) {
      if (host.openCount > 0) this.violation(`${host.openCount} host sockets are left`);
      if (engine.chunkCount > 0) this.violation(`${engine.chunkCount} chunks without flows`);
      if (this.#cable.pending > 0) this.violation("frames are left on the link");
    } else {
      for (const flow of engine.flows().slice(0, 3)) {
        this.violation(`flow left: ${flow.kind} ${flow.state} ${flow.peerPort}`);
      }
    }
    if (readStat(engine, abi.STAT_COUNT + abi.DROP_TX_FULL) === 0) this.#watch.finish();
    for (const wrong of checkBalance(engine, this.ledger)) this.violation(wrong);
  }
}
