/**
 * Everything around a loop, made by hand: events from a list, a link whose room a test sets, a
 * scripted host, a clock that stands still. The engine is real; every call into a part is noted.
 */
import { HostEngine } from "../../src/engine/host-engine.ts";
import { instantiateEngine } from "../../src/engine/instance.ts";
import { createMemoryLink, type MemoryGuest } from "../../src/lab/sim/memory-link.ts";
import type { Link, LinkMemory } from "../../src/link/link.ts";
import { Loop } from "../../src/loop/loop.ts";
import { check } from "../../src/sys/errno.ts";
import * as abi from "../../wasm/abi.ts";
import { engineModule } from "../support/engine-binary.ts";
import { START } from "../support/engine-harness.ts";
import {
  DNS,
  GATEWAY,
  GATEWAY_MAC,
  GUEST,
  GUEST_MAC,
  PEER,
  worldConfig,
} from "../support/engine-settings.ts";
import { FakeHost } from "../support/fake-host.ts";
import {
  arp,
  ETHERTYPE_ARP,
  ethernet,
  icmpEcho,
  ipv4,
  MAC_BROADCAST,
  PROTOCOL_ICMP,
  PROTOCOL_UDP,
  udp,
} from "../support/packet.ts";
import { decodeFrame } from "../support/packet-decode.ts";

export const OF_FLOW = 0;
export const OF_LINK = 1;
const OF_CONTROL = 2;
export const OF_LISTENER = 3;

export interface FakeEvent {
  readonly bits: number;
  readonly lo: number;
  readonly hi: number;
}

export const LINK_READABLE: FakeEvent = { bits: abi.EVENT_READABLE, lo: 0, hi: OF_LINK };
export const LINK_WRITABLE: FakeEvent = { bits: abi.EVENT_WRITABLE, lo: 0, hi: OF_LINK };
export const CONTROL: FakeEvent = { bits: abi.EVENT_READABLE, lo: 0, hi: OF_CONTROL };

class NotingEngine extends HostEngine {
  readonly notes: string[];

  constructor(notes: string[]) {
    super(instantiateEngine(engineModule("simd")));
    this.notes = notes;
    this.start(worldConfig());
  }

  override guestRx(count: number, now: number): void {
    this.notes.push(`guestRx ${count}`);
    super.guestRx(count, now);
  }

  override upstreamEvent(handle: number, events: number, now: number): void {
    this.notes.push(`upstreamEvent ${handle} ${events}`);
    super.upstreamEvent(handle, events, now);
  }

  override step(now: number): void {
    this.notes.push("step");
    super.step(now);
  }

  override complete(now: number): void {
    this.notes.push("complete");
    super.complete(now);
  }

  override txDone(): void {
    this.notes.push("txDone");
    super.txDone();
  }
}

export class Stage {
  readonly notes: string[] = [];
  readonly engine = new NotingEngine(this.notes);
  readonly host = new FakeHost(this.engine);
  readonly guest: MemoryGuest;
  readonly loop: Loop;
  now = START;
  /** Events the next waits find; a wait beyond them finds CONTROL. */
  readonly script: FakeEvent[][] = [];
  /** How long each wait was allowed to take, microseconds. */
  readonly sleeps: number[] = [];
  /** Frames the link takes before it is full. */
  room = Number.POSITIVE_INFINITY;
  receiveErrno = 0;
  waitErrno = 0;
  /** When each wait began. */
  readonly waits: number[] = [];
  /** A source that always has news unless it is left alone, and until when. */
  #insistent: { readonly event: FakeEvent; readonly end: number } | undefined;
  readonly #paused = new Set<string>();
  /** What accepting gives. */
  accepted = 1;
  transmitErrno = 0;
  /** When the housekeeping wants to be called, microseconds from now. */
  chore: number | undefined;
  /** Microseconds that a turn takes. */
  turnTime = 0;
  /** Times that the loop measured, seconds. */
  readonly turns: number[] = [];
  readonly blocks: number[] = [];
  /** What the control channel says. */
  goesOn = false;
  /** Frames that the link is best asked for. */
  batchFrames: number | undefined;
  /** Frames that the link has lent. */
  lentCount = 0;

  /** @param lends the link does, and what is done with it is noted */
  constructor(lends = false) {
    const { link, guest } = createMemoryLink();
    this.guest = guest;
    const { notes } = this;
    this.loop = new Loop({
      engine: this.engine,
      link: this.#link(link),
      memory: this.#memory(),
      lent: lends ? this.#lent() : undefined,
      events: this.#events(),
      upstream: {
        execute: (_base, count) => {
          notes.push(`execute ${count}`);
          this.host.execute();
        },
        quieten: (handle) => notes.push(`quieten ${handle}`),
        heed: () => notes.push("heed"),
      },
      listeners: {
        accept: (index, now) => {
          notes.push(`accept ${index} ${now - START}`);
          return this.accepted;
        },
        arrived: (index, now) => notes.push(`arrived ${index} ${now - START}`),
      },
      sources: {
        pause: (token, kind) => {
          notes.push(`pause ${token} ${kind}`);
          this.#paused.add(`${token} ${kind}`);
        },
        resume: (token, kind) => {
          notes.push(`resume ${token} ${kind}`);
          this.#paused.delete(`${token} ${kind}`);
          return true;
        },
      },
      onRest: (token, kind, errno) => notes.push(`rests ${token} ${kind} ${errno}`),
      control: () => {
        notes.push("control");
        return this.goesOn;
      },
      housekeeping: {
        wait: () => this.chore,
        poll: () => {
          notes.push("poll");
          this.now += this.turnTime;
        },
        notice: (kind) => notes.push(`notice ${kind}`),
      },
      meters: {
        turn: { observe: (seconds) => this.turns.push(seconds) },
        blocked: { observe: (seconds) => this.blocks.push(seconds) },
      },
      clock: () => this.now,
    });
  }

  #lent() {
    const { notes } = this;
    const count = (): number => this.lentCount;
    return {
      get count(): number {
        return count();
      },
      copy: () => notes.push("copy"),
      settle: () => notes.push("settle"),
    };
  }

  #memory(): LinkMemory {
    const { rxDescriptors, rxBuffers, txRecords } = this.engine.bases;
    const { words, octets } = this.engine;
    return { buffer: octets.buffer, base: 0, u32: words, rxDescriptors, rxBuffers, txRecords };
  }

  #link(real: Link): Link {
    const { vnetSize, flags, queueFrames, mtuMax } = real;
    const batch = (): number | undefined => this.batchFrames;
    return {
      get batchFrames() {
        return batch();
      },
      ...{ vnetSize, flags, queueFrames, mtuMax, refused: 0 },
      watch: () => 0,
      event: (_token, bits) => (bits & ~abi.EVENT_WRITABLE) !== 0,
      wantRoom: (on) => this.notes.push(`wantRoom ${on}`),
      receive: (memory, max) => {
        const n = this.receiveErrno < 0 ? this.receiveErrno : real.receive(memory, max);
        this.notes.push(`receive ${max}: ${n}`);
        return n;
      },
      transmit: (memory, first, count) => {
        const last = Math.min(count, first + this.room);
        const n = this.transmitErrno < 0 ? this.transmitErrno : real.transmit(memory, first, last);
        if (n > 0) this.room -= n;
        this.notes.push(`transmit ${first}-${count}: ${n}`);
        return n;
      },
      release: () => {
        this.notes.push("release");
        this.lentCount = 0;
      },
      close: () => real.close(),
    };
  }

  #events() {
    let events: readonly FakeEvent[] = [];
    return {
      wait: (max: number, microseconds: number): number => {
        this.sleeps.push(microseconds);
        this.waits.push(this.now);
        this.notes.push(`wait ${max}`);
        events = this.script.shift() ?? this.#whatInsists(microseconds) ?? [CONTROL];
        return check(this.waitErrno < 0 ? this.waitErrno : events.length, "Wait for events");
      },
      eventBits: (i: number): number => events[i]?.bits ?? 0,
      dataLo: (i: number): number => events[i]?.lo ?? 0,
      dataHi: (i: number): number => events[i]?.hi ?? 0,
    };
  }

  /** From now on waiting takes time, and the source has news in all of it. */
  insist(event: FakeEvent, microseconds: number): void {
    this.#insistent = { event, end: this.now + microseconds };
    this.waits.length = 0;
    this.notes.length = 0;
  }

  #whatInsists(microseconds: number): readonly FakeEvent[] | undefined {
    if (this.#insistent === undefined) return undefined;
    const { event, end } = this.#insistent;
    const isHeard = !this.#paused.has(`${event.lo} ${event.hi}`);
    this.now += isHeard ? 10 : microseconds;
    if (this.now >= end) return undefined;
    return isHeard ? [event] : [];
  }

  /** Sequence numbers of the answers to pings that the guest has got, in order. */
  pingSequences(): number[] {
    const found: number[] = [];
    for (let octets = this.guest.receive(); octets; octets = this.guest.receive()) {
      const frame = decodeFrame(octets, { vnetSize: 0, mtu: 1500 });
      if (frame.kind === "icmp") found.push(frame.rest & 0xffff);
    }
    return found;
  }

  /** One turn that finds these events; what was done in it. */
  turn(...events: readonly FakeEvent[]): string[] {
    this.script.unshift([...events]);
    this.loop.turn(0);
    return this.notes.splice(0);
  }

  /** Writes the engine's word that says whether work is left. */
  setReady(bits: number): void {
    const { engine } = this;
    engine.view.setUint32(engine.bases.control + abi.CONTROL_READY_OFFSET, bits, true);
  }

  // -------------------------------------------------------------- what the guest sends

  /** A question that the engine answers with one frame. */
  sendArp(): void {
    const fields = { operation: 1, senderMac: GUEST_MAC, senderAddress: GUEST };
    const link = { destination: MAC_BROADCAST, source: GUEST_MAC, type: ETHERTYPE_ARP };
    this.guest.send(ethernet(link, arp({ ...fields, targetAddress: GATEWAY })));
  }

  /** Another one. */
  sendPing(sequence: number): void {
    const fields = { source: GUEST, destination: DNS, protocol: PROTOCOL_ICMP };
    this.#sendIp(ipv4(fields, icmpEcho(1, sequence, "data")));
  }

  /** A datagram, which the host has to open a socket for. */
  sendDatagram(port = 40_000): void {
    const addresses = { source: GUEST, destination: PEER };
    const datagram = udp({ ...addresses, sourcePort: port, destinationPort: 9 }, "data");
    this.#sendIp(ipv4({ ...addresses, protocol: PROTOCOL_UDP }, datagram));
  }

  #sendIp(packet: Uint8Array): void {
    this.guest.send(ethernet({ destination: GATEWAY_MAC, source: GUEST_MAC }, packet));
  }
}
