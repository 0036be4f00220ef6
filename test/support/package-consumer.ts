/** Programs of a consumer of the package, as text: they are run where it is installed. */

/** Uses what is exported, with types that have to fit. */
export const CONSUMER = `
import {
  createNetwork,
  dhcpOptions,
  dial,
  EngineError,
  readFlows,
  readStats,
  withServices,
  type Connection,
  type Network,
  type NetworkSettings,
  type TcpEvents,
  type TcpSocket,
  type TcpTarget,
  type Upstream,
} from "slirp-engine";
import { drawPlan, simulate, type Verdict } from "slirp-engine/sim";

class Nowhere implements Upstream {
  readonly families = [4] as const;
  connect(_target: TcpTarget, events: TcpEvents): TcpSocket {
    events.failed("EHOSTUNREACH");
    return { send: () => 0, receive: () => 0, shutdown() {}, close() {} };
  }
  openUdp(): undefined {}
  close(): void {}
}

const settings: NetworkSettings = { mtu: 9000, dhcp: dhcpOptions({ hostName: "guest" }) };

export async function play(engine: Uint8Array<ArrayBuffer>): Promise<number> {
  const upstream = withServices([], new Nowhere());
  const network: Network = await createNetwork({ engine, upstream, settings });
  network.link.onFrame = (frame) => frame.byteLength > 0;
  const room: boolean = network.link.receive(new Uint8Array(60));
  const connection: Connection = dial(network, 22);
  connection.abort();
  const names: string[] = network.inspect(readFlows).map(({ guest }) => guest);
  network.dispose();
  const verdict: Verdict = simulate(engine, drawPlan("random", 1));
  return network.inspect(readStats).arpReplies + names.length + Number(room) + verdict.turns;
}

export function why(error: unknown): "ABI" | "OTHER" {
  return error instanceof EngineError && error.code === "ABI" ? error.code : "OTHER";
}

// @ts-expect-error a code that there is none of
export const wrong: EngineError["code"] = "NONE";
`;

/** What one misuse came to. */
export interface Misuse {
  readonly what: string;
  readonly wanted: string;
  readonly code: string;
  /** It is an \`EngineError\`. */
  readonly isTyped: boolean;
  readonly message: string;
}

/** Misuses the package and prints a list of \`Misuse\`. */
export const MISUSE = `
import { createNetwork, createNetworkSync, dhcpOptions, dial } from "slirp-engine";
import { EngineError, readStats } from "slirp-engine";
import { readEngine } from "slirp-engine/node";

const octets = await readEngine();
const engine = await WebAssembly.compile(octets);
const found = [];
async function misuse(wanted, what, act) {
  let error;
  try {
    await act();
  } catch (thrown) {
    error = thrown;
  }
  const isTyped = error instanceof EngineError && error.name === "EngineError";
  found.push({ what, wanted, code: String(error?.code), isTyped, message: String(error?.message) });
}
const make = (settings, more = {}) => createNetworkSync({ engine, settings, ...more });

const network = make();
await misuse("FRAME", "a frame of no octets", () => network.link.receive(new Uint8Array(0)));
await misuse("FRAME", "a frame too long", () => network.link.receive(new Uint8Array(69_633)));
const batch = network.link.openBatch();
await misuse("FRAME", "a frame of a batch too long", () => batch.next(69_633));
await misuse("FRAME", "half an octet", () => batch.next(1.5));
await misuse("BUSY", "a batch while another is in work", () => network.link.openBatch());
batch.next(60);
batch.end();
await misuse("BUSY", "a batch that has ended", () => batch.next(60));
await misuse("BUSY", "the end of one, twice", () => batch.end());
await misuse("CONFIG", "a port that is none", () => dial(network, 65_536));
network.dispose();
network.dispose();
await misuse("DISPOSED", "a frame after the end", () => network.link.receive(new Uint8Array(60)));
await misuse("DISPOSED", "a batch after the end", () => network.link.openBatch());
await misuse("DISPOSED", "counters after the end", () => network.inspect(readStats));
await misuse("DISPOSED", "a call after the end", () => dial(network, 80));
await misuse("DISPOSED", "room after the end", () => network.link.resume());

// i32.const 1028, i32.const 2, i32.store: the version in the control block.
const version = [0x41, 0x84, 0x08, 0x41, 2, 0x36, 2, 0];
const patched = octets.slice();
const isThere = (at) => version.every((each, i) => patched[at + i] === each);
const places = [...patched.keys()].filter(isThere);
if (places.length !== 1) throw new Error("the version is stored otherwise: mend this test");
patched[places[0] + 4] = 3;
await misuse("ABI", "another ABI", () => createNetwork({ engine: patched }));
const HEAD = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const empty = Uint8Array.from(HEAD);
// (import "a" "b" (func)), of the type of functions without arguments.
const wants = [...HEAD, 1, 4, 1, 0x60, 0, 0, 2, 7, 1, 1, 0x61, 1, 0x62, 0, 0];
await misuse("EXPORTS", "another module", () => createNetwork({ engine: empty }));
await misuse("EXPORTS", "one that is compiled", async () =>
  createNetwork({ engine: await WebAssembly.compile(empty) }),
);
await misuse("IMPORTS", "a module with imports", () =>
  createNetwork({ engine: Uint8Array.from(wants) }),
);
await misuse("IMPORTS", "one that is compiled, with imports", async () =>
  createNetwork({ engine: await WebAssembly.compile(Uint8Array.from(wants)) }),
);
await misuse("MODULE", "octets of something else", () =>
  createNetwork({ engine: new TextEncoder().encode("<!doctype html>") }),
);
await misuse("MODULE", "no octets", () => createNetwork({ engine: new ArrayBuffer(0) }));
await misuse("MODULE", "no octets, at once", () =>
  createNetworkSync({ engine: new ArrayBuffer(0) }),
);
await misuse("MODULE", "half an engine", () => createNetwork({ engine: octets.slice(0, 50_000) }));

for (const settings of [
  { mtu: 575 },
  { mtu: 65_521 },
  { mtu: "1500" },
  { flows: 0 },
  { bufferMib: 65 },
  { ipv4: "10.0.2.0/33" },
  { ipv4: false, ipv6: false },
  { ipv6: "fe80::/64" },
  { gateway: "10.0.3.2" },
  { gatewayMac: "52:55" },
  { resolvers: ["dns.example"] },
  { udpTimeout: 0 },
]) {
  await misuse("CONFIG", JSON.stringify(settings), () => make(settings));
}
await misuse("CONFIG", "a short seed", () => make({}, { seed: new Uint8Array(31) }));
await misuse("CONFIG", "a host name that is none", () => dhcpOptions({ hostName: "a b" }));
console.log(JSON.stringify(found));
`;
