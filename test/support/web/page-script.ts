/**
 * What the test of the browser has a page and a worker do: a network with a relay, a guest back to
 * back with it, a service of the page, a request into the guest.
 */
import { createNetwork, dial, withServices } from "../../../src/network/index.ts";
import {
  fetchService,
  guestFetch,
  type RelayStats,
  webUpstream,
} from "../../../src/network/web/index.ts";

/** What it is told. */
export interface Order {
  readonly relay: string;
  readonly engine: string;
  /** Port of a server that sends everything back. */
  readonly port: number;
  readonly octets: number;
  /** Whether it shall do without WebSocketStream. */
  readonly isPlain: boolean;
}

export interface Outcome {
  readonly isEqual: boolean;
  readonly service: string;
  readonly answer: string;
  readonly held: number;
  readonly stats: RelayStats | undefined;
  readonly isIsolated: boolean;
}

/** A connection of an upstream without a network: what it was told, and how the relay fared. */
interface Attempt {
  readonly told: string[];
  readonly states: string[];
}

const scope = globalThis as unknown as {
  attempt?: (order: Order) => Attempt;
  run?: (order: Order) => Promise<Outcome>;
  WebSocketStream?: unknown;
  crossOriginIsolated?: boolean;
  onmessage?: (event: { data: Order }) => void;
  postMessage?: (outcome: Outcome) => void;
};
const STEP = 65_536;

async function networks(order: Order) {
  const engine = await WebAssembly.compile(await (await fetch(order.engine)).arrayBuffer());
  const service = fetchService({
    address: "127.0.0.1",
    fetch: (request) => new Response(`page: ${new URL(request.url).pathname}`),
  });
  const relay = { url: order.relay, streamMib: 2, totalMib: 2 };
  const upstream = webUpstream({ relay, services: [service] });
  const settings = { ipv4: "10.0.2.0/24", ipv6: false, hostLoopback: true } as const;
  const guest = await createNetwork({
    engine,
    upstream: withServices([service], webUpstream({})),
    settings: { ...settings, gatewayMac: "52:55:00:00:00:01" },
  });
  const swapped = { gateway: "10.0.2.15", guest: "10.0.2.2", gatewayMac: "52:55:00:00:00:02" };
  const network = await createNetwork({ engine, upstream, settings: { ...settings, ...swapped } });
  guest.link.onFrame = (frame) => network.link.receive(frame);
  network.link.onFrame = (frame) => guest.link.receive(frame);
  guest.link.onRoom = () => network.link.resume();
  network.link.onRoom = () => guest.link.resume();
  return { guest, network, upstream };
}

scope.run = async (order) => {
  if (order.isPlain) scope.WebSocketStream = undefined;
  const { guest, network, upstream } = await networks(order);
  const sent = new Uint8Array(order.octets);
  for (let at = 0; at < sent.length; at += STEP)
    crypto.getRandomValues(sent.subarray(at, at + STEP));
  const connection = dial(guest, order.port);
  const writer = connection.writable.getWriter();
  const written = (async () => {
    for (let at = 0; at < sent.length; at += STEP) await writer.write(sent.subarray(at, at + STEP));
  })();
  const got = new Uint8Array(sent.length);
  let [size, held] = [0, 0];
  const reader = connection.readable.getReader();
  while (size < got.length) {
    const { done, value } = await reader.read();
    if (done) break;
    got.set(value, size);
    size += value.length;
    held = Math.max(held, upstream.relayStats()?.held ?? 0);
  }
  await written;
  const service = await (await guestFetch(guest, 80)("/from-a-guest")).text();
  const answer = await (await guestFetch(network, 80)("/from-the-page")).text();
  const stats = upstream.relayStats();
  const isEqual = sent.every((octet, index) => octet === got[index]);
  guest.dispose();
  network.dispose();
  const isIsolated = scope.crossOriginIsolated === true;
  return { isEqual, service, answer, held, stats, isIsolated };
};

scope.attempt = (order) => {
  if (order.isPlain) scope.WebSocketStream = undefined;
  const attempt: Attempt = { told: [], states: [] };
  const onChange = ({ state }: RelayStats): unknown => attempt.states.push(state);
  const upstream = webUpstream({ relay: { url: order.relay, onChange } });
  upstream.connect(
    { address: "127.0.0.1", port: order.port, tos: 0 },
    {
      connected: () => attempt.told.push("connected"),
      readable: () => attempt.told.push("readable"),
      writable: () => attempt.told.push("writable"),
      failed: (code) => attempt.told.push(code),
    },
  );
  return attempt;
};

scope.onmessage = ({ data }) => {
  scope.run?.(data).then((outcome) => scope.postMessage?.(outcome));
};
