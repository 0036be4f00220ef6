/**
 * What the engine is given to do, one load for each metric. Every load checks that the engine did
 * it: a frame that went astray is an error, not a fast frame.
 */
import process from "node:process";
import { ACK, FIN, MSS, PSH, SYN } from "./frames.ts";
import { BATCH, DATAGRAM, Stage } from "./stage.ts";

export const LOADS = [
  "tcp-up",
  "tcp-down",
  "tcp-up-offload",
  "tcp-down-offload",
  "udp-up",
  "udp-down",
  "connect",
] as const;
export type Load = (typeof LOADS)[number];

/** Flows that lie idle beside the measured one. */
export const CROWD = 10_000;

const CROWD_PORT = 10_000;
const UP_PORT = 40_001;
const DOWN_PORT = 40_002;
const UDP_UP_PORT = 40_003;
const UDP_DOWN_PORT = 40_004;
const CONNECT_PORT = 50_000;
/** A port is used again when many others have been: the guest's TIME-WAIT is over by then. */
const CONNECT_PORTS = 8192;

/** The largest frame a Linux guest makes: as many whole segments as fit into 64 KiB. */
const OFFLOAD = 44 * MSS;
/** Offload frames the loop has room for while windows are what they are. */
const OFFLOAD_BATCH = 4;

const EVENT_READABLE = 0x1;
const EVENT_WRITABLE = 0x4;
const EVENT_ENDED = 0x2011; // readable, hung up, and not to be written any more

/** Turns without progress, deadlines waited for, after which a load is broken. */
const IDLE_TURNS_MAX = 1000;
const TURNS_BETWEEN_LOOKS = 32;

/** A load that has its flows. */
interface Work {
  readonly stage: Stage;
  /** The engine has come to rest since the last turn. */
  readonly begin?: () => void;
  /** Does a unit of work. Returns the frames, datagrams or connections it was. */
  readonly turn: () => number;
}

/** What a measurement found. */
export interface Sample {
  /** Frames, datagrams or connections. */
  readonly count: number;
  /** Processor time of the whole process, microseconds. */
  readonly cpu_us: number;
}

export class Loads {
  readonly #stages = new Map<boolean, Stage>();
  readonly #works = new Map<Load, Work>();
  readonly #crowd: number;

  /** @param crowd flows that lie idle beside each load */
  constructor(crowd: number) {
    this.#crowd = crowd;
  }

  /** Has a load done for `cpu_us` of processor time at least. @throws {Error} when it stalls */
  run(load: Load, cpu_us: number): Sample {
    const work = this.#work(load);
    work.begin?.();
    let count = 0;
    let idle = 0;
    let spent_us = 0;
    const begin = process.cpuUsage();
    while (spent_us < cpu_us) {
      for (let i = 0; i < TURNS_BETWEEN_LOOKS; i += 1) {
        const more = work.turn();
        count += more;
        idle = more > 0 ? 0 : idle + 1;
        if (idle > IDLE_TURNS_MAX) throw new Error(`load "${load}" stalls`);
      }
      const { user, system } = process.cpuUsage(begin);
      spent_us = user + system;
    }
    work.stage.rest();
    return { count, cpu_us: spent_us };
  }

  #work(load: Load): Work {
    const known = this.#works.get(load);
    if (known !== undefined) return known;
    const made = WORKS[load](this.#stage(load.endsWith("-offload")));
    this.#works.set(load, made);
    return made;
  }

  #stage(offload: boolean): Stage {
    const known = this.#stages.get(offload);
    if (known !== undefined) return known;
    const stage = new Stage(offload);
    for (let i = 0; i < this.#crowd; i += BATCH) {
      const count = Math.min(BATCH, this.#crowd - i);
      open(stage, CROWD_PORT + i, count);
    }
    this.#stages.set(offload, stage);
    return stage;
  }
}

const WORKS: Readonly<Record<Load, (stage: Stage) => Work>> = {
  "tcp-up": (stage) => upload(stage, MSS, BATCH),
  "tcp-down": (stage) => download(stage, 2),
  "tcp-up-offload": (stage) => upload(stage, OFFLOAD, OFFLOAD_BATCH),
  "tcp-down-offload": (stage) => download(stage, 1),
  "udp-up": sendDatagrams,
  "udp-down": receiveDatagrams,
  connect: connectAndClose,
};

/** One segment of each of `count` connections from `port` on, and what becomes of them. */
function volley(stage: Stage, port: number, count: number, flags: number): void {
  for (let i = 0; i < count; i += 1) stage.segment(i, port + i, flags);
  stage.turn(count);
}

/** Opens connections from `port` on. Returns the handles of their sockets, in order. */
function open(stage: Stage, port: number, count: number): number[] {
  const { host } = stage;
  host.opened.length = 0;
  volley(stage, port, count, SYN);
  volley(stage, port, count, ACK);
  const handles = host.opened.splice(0);
  if (handles.length !== count) throw new Error(`opened "${handles.length}" of "${count}"`);
  return handles;
}

function upload(stage: Stage, length: number, batch: number): Work {
  const { host } = stage;
  open(stage, UP_PORT, 1);
  const turn = (): number => {
    const before = host.octets;
    const count = Math.max(0, Math.min(batch, Math.floor(stage.room(UP_PORT) / length)));
    for (let i = 0; i < count; i += 1) stage.segment(i, UP_PORT, ACK | PSH, length);
    if (count === 0) stage.wait();
    stage.turn(count);
    if (host.octets - before !== count * length) throw new Error("octets went astray");
    return count;
  };
  return { stage, turn };
}

/** @param every data frames that one acknowledgment is for */
function download(stage: Stage, every: number): Work {
  const { host, engine } = stage;
  const [handle = 0] = open(stage, DOWN_PORT, 1);
  const begin = (): void => {
    host.serve(handle);
    engine.upstreamEvent(handle, EVENT_READABLE | EVENT_WRITABLE, stage.now);
  };
  let acknowledged = 0;
  const turn = (): number => {
    const before = stage.brought[DOWN_PORT] ?? 0;
    // All have the number of the last frame: that costs the engine as much as a guest's own do.
    const count = Math.min(BATCH, Math.ceil((before - acknowledged) / every));
    for (let i = 0; i < count; i += 1) stage.segment(i, DOWN_PORT, ACK);
    acknowledged = before;
    if (count === 0) stage.wait();
    stage.turn(count);
    return (stage.brought[DOWN_PORT] ?? 0) - before;
  };
  return { stage, begin, turn };
}

function sendDatagrams(stage: Stage): Work {
  const { host } = stage;
  const turn = (): number => {
    const before = host.datagrams;
    for (let i = 0; i < BATCH; i += 1) stage.frames.udp(i, UDP_UP_PORT, DATAGRAM);
    stage.turn(BATCH);
    if (host.datagrams - before !== BATCH) throw new Error("datagrams went astray");
    return BATCH;
  };
  return { stage, turn };
}

function receiveDatagrams(stage: Stage): Work {
  const { host, engine } = stage;
  host.opened.length = 0;
  stage.frames.udp(0, UDP_DOWN_PORT, DATAGRAM);
  stage.turn(1);
  const [handle = 0] = host.opened;
  const begin = (): void => {
    host.serve(handle);
    engine.upstreamEvent(handle, EVENT_READABLE | EVENT_WRITABLE, stage.now);
  };
  const turn = (): number => {
    const before = stage.brought[UDP_DOWN_PORT] ?? 0;
    stage.turn(0);
    return (stage.brought[UDP_DOWN_PORT] ?? 0) - before;
  };
  return { stage, begin, turn };
}

/** Connections that the guest opens and closes, and that the host closes then. */
function connectAndClose(stage: Stage): Work {
  const { host, engine } = stage;
  let place = 0;
  const turn = (): number => {
    const before = engine.flowCount;
    const port = CONNECT_PORT + place;
    place = (place + BATCH) % CONNECT_PORTS;
    const handles = open(stage, port, BATCH);
    volley(stage, port, BATCH, ACK | FIN);
    for (const handle of handles) {
      host.end(handle);
      engine.upstreamEvent(handle, EVENT_ENDED, stage.now);
    }
    stage.turn(0);
    volley(stage, port, BATCH, ACK);
    if (engine.flowCount !== before) throw new Error("connections stay open");
    return BATCH;
  };
  return { stage, turn };
}
