/** Flows by kind and state, memory, and times of connections: what an engine has at one moment. */
import { MAILBOX_SIZE, Mailbox } from "../../../src/binding/mailbox.ts";
import { METERS_SIZE, Meters, Sampler } from "../../../src/binding/meters.ts";
import { TCP_STATE_NAMES } from "../../../src/engine/flows.ts";
import { CHUNK_SIZE } from "../../../wasm/abi.ts";
import { query } from "../../support/dns.ts";
import { EngineWorld } from "../../support/engine-harness.ts";
import { DNS, PEER, type WorldOptions } from "../../support/engine-settings.ts";
import { pattern } from "../../support/packet.ts";
import { established, reach } from "../../support/tcp-guest.ts";
import { engineRows, type Rows, scrapedRows } from "./rows.ts";

/** What a scrape says, and what it has to say of the row. */
export interface Found {
  readonly rows: Rows;
  /** Absent: anything but 0. */
  readonly value?: number;
}

export type Reading = () => Promise<Found>;

const [FLOWS, CHUNKS, WINDOW] = [100, 200, 2920];

/** An engine of a guest that has sent one frame. */
function one(frame: (world: EngineWorld) => Uint8Array): Reading {
  return async () => {
    const world = new EngineWorld();
    world.host.answersPing = false;
    world.guest(frame(world));
    return { rows: await engineRows(world.engine), value: 1 };
  };
}

/** A connection in a state. */
function connectionIn(state: (typeof TCP_STATE_NAMES)[number]): Reading {
  return async () => ({ rows: await engineRows(reach(state).world.engine), value: 1 });
}

function limitOf(value: number, options: WorldOptions): Reading {
  return async () => ({ rows: await engineRows(new EngineWorld(options).engine), value });
}

/** A connection whose guest has filled its window with what it does not acknowledge. */
function sampled(value: number): Reading {
  return async () => {
    const own = { window: WINDOW, options: { mss: WINDOW / 2 } };
    const { world, guest, socket } = established({ guest: own });
    socket.push(pattern(100));
    guest.expect({ length: 100 });
    world.advance(10_000); // which is the round trip
    guest.send();
    socket.push(pattern(2 * WINDOW));
    world.run();
    const meters = new Meters(new SharedArrayBuffer(METERS_SIZE));
    new Sampler(meters).poll(world.engine, world.now);
    const counters = new Mailbox(new SharedArrayBuffer(MAILBOX_SIZE));
    return { rows: await scrapedRows({ counters, meters }), value };
  };
}

const STATES = TCP_STATE_NAMES.filter((state) => state !== "CLOSED").map(
  (state): readonly [string, Reading] => [
    `slirp_flows{kind="tcp",state="${state.toLowerCase()}"}`,
    connectionIn(state),
  ],
);

export const FLOW_ROWS: Readonly<Record<string, Reading>> = {
  'slirp_flows{kind="udp",state=""}': one((w) => w.udp({ to: PEER, port: 9 }, "x")),
  'slirp_flows{kind="ping",state=""}': one((w) => w.ping(PEER, 1, 1, "x")),
  'slirp_flows{kind="dns",state=""}': one((w) => w.udp({ to: DNS, port: 53 }, query(1))),
  ...Object.fromEntries(STATES),
  slirp_flows_limit: limitOf(FLOWS, { flowsMax: FLOWS }),
  slirp_buffer_limit_bytes: limitOf(CHUNKS * CHUNK_SIZE, { chunksMax: CHUNKS }),
  slirp_buffer_bytes: async () => {
    const { world, socket } = established();
    socket.push("one chunk");
    world.run();
    return { rows: await engineRows(world.engine), value: CHUNK_SIZE };
  },
  slirp_tcp_guest_rtt_seconds: sampled(1),
  // The sampler looks at the seconds between its looks, two at most.
  slirp_tcp_window_limited_seconds_total: sampled(2),
};
