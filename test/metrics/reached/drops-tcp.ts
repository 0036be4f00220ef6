/** Drops of TCP segments: a scenario for each reason. */
import type { DropName } from "../../../src/engine/stats.ts";
import type { EngineWorld } from "../../support/engine-harness.ts";
import { PEER } from "../../support/engine-settings.ts";
import { PROTOCOL_TCP, pattern, type TcpFields } from "../../support/packet.ts";
import { established, reach, TcpGuest } from "../../support/tcp-guest.ts";
import { crowded } from "./drops-flow.ts";
import { once, type Scenario, sends } from "./scenario.ts";

/** Pieces that a connection may hold with holes between them. */
const HELD_MAX = 256;
const FIRST_WINDOW = 65_535;
const NARROW = { options: { mss: 1460 } };

function segment(world: EngineWorld, fields: Partial<TcpFields>): Uint8Array {
  const ports = { destination: PEER, sourcePort: 40000, destinationPort: 80 };
  return world.tcp({ ...ports, seq: 1, ack: 1, flags: "A", ...fields });
}

/** The octet at `i`, of which every other one is missing. */
function scattered(i: number): { readonly seq: number; readonly payload: Uint8Array } {
  return { seq: 2 + 2 * i, payload: pattern(1) };
}

export const TCP_DROPS = {
  dropTcpTruncated: sends((w) => w.ip({ destination: PEER, protocol: PROTOCOL_TCP }, pattern(12))),
  dropTcpDataOffset: sends((w) => segment(w, { dataOffset: 4 })),
  dropTcpChecksum: sends((w) => segment(w, { checksum: 0x1234 })),
  dropTcpFlags: sends((w) => segment(w, { flags: "SF" })),
  dropTcpPort: sends((w) => segment(w, { sourcePort: 0 })),
  dropTcpNoFlow: sends((w) => segment(w, {})),
  dropTcpWindow: once(() => {
    const { world, guest } = reach("CONNECTING");
    guest.send({ flags: "A", seq: 1 });
    return world;
  }),
  dropTcpPaws: once(() => {
    const { world, guest } = established({ guest: { timestamps: true } });
    guest.send({ payload: "x", timestamps: [guest.timestampOffset, guest.timestampEcho] });
    return world;
  }),
  dropTcpAck: once(() => {
    const { world, guest } = established();
    guest.send({ ack: guest.wanted + 1, payload: "x" });
    return world;
  }),
  dropTcpGaps: once(() => {
    const { world, guest } = established({ world: { chunksMax: 4096 } });
    for (let i = 0; i <= HELD_MAX; i += 1) guest.send(scattered(i));
    return world;
  }),
  dropTcpPool: once(() => {
    const { world, guest } = established({ world: { chunksMax: 16 } });
    for (let i = 0; world.stats.dropTcpPool === 0; i += 1) guest.send(scattered(i));
    return world;
  }),
  dropTcpDuplicate: once(() => {
    const { world, guest } = established();
    guest.send({ payload: "x" });
    guest.send({ seq: guest.next - 1, payload: "x" });
    return world;
  }),
  dropTcpTableFull: once(() => {
    const world = crowded();
    new TcpGuest(world, { port: 50_000 }).send({ flags: "S" });
    return world;
  }),
  dropTcpRst: once(() => {
    const { world, guest } = established({ guest: NARROW });
    guest.send({ flags: "R", seq: guest.next + FIRST_WINDOW + 1 });
    return world;
  }),
  dropTcpAfterFin: once(() => {
    const { world, guest } = reach("CLOSE_WAIT");
    guest.send({ payload: "more" });
    return world;
  }),
} satisfies Partial<Record<DropName, Scenario>>;
