/**
 * The guest's network: the engine between the emulator's card and the relay.
 *
 * The card has no room at times and tells nobody when it has again. It gets room back when the
 * guest has read frames, which it mostly acknowledges, so room is looked for whenever the guest
 * sends, and every RETRY_ms beside that.
 */
import {
  createNetwork,
  EngineError,
  type Network,
  type NetworkFlow,
  readFlows,
  readStats,
  type SentFrames,
} from "../../../src/network/index.ts";
import { type GuestFetch, guestFetch, webUpstream } from "../../../src/network/web/index.ts";
import { SERVICE_PORT } from "../addresses.ts";
import type { DemoSettings } from "../settings.ts";
import type { Card } from "./card.ts";
import type { FlowLine, Observation } from "./observation.ts";

const RETRY_ms = 2;
const DROP_PREFIX = "drop";

export class GuestNetwork {
  /** Asks the HTTP server in the guest. */
  readonly fetchGuest: GuestFetch;
  readonly #network: Network;
  #card: Card | undefined;
  /** Frames of the guest for a network that is over. */
  #lost = 0;
  /** Times that the card had no room. */
  #waits = 0;
  #isWaiting = false;

  private constructor(network: Network) {
    this.#network = network;
    this.fetchGuest = guestFetch(network, SERVICE_PORT);
  }

  static async open({ files, relay }: DemoSettings, mtu: number): Promise<GuestNetwork> {
    const engine = await WebAssembly.compileStreaming(fetch(files.engine));
    const resolver = new URL("/dns-query", location.href).href;
    const upstream = webUpstream({ relay, resolver });
    const network = await createNetwork({ engine, upstream, settings: { mtu, offloads: "tcp" } });
    return new GuestNetwork(network);
  }

  /** Rejects with the reason if the network fails. */
  get closed(): Promise<void> {
    return this.#network.closed;
  }

  /** Puts a card on this network. */
  plugIn(card: Card): void {
    const { link } = this.#network;
    this.#card = card;
    card.onSend = (frames) => {
      for (const frame of frames) {
        try {
          // A batch is answered at once, while the guest still runs: its next acknowledgment does
          // not wait for the page's turn, which on a busy machine is many milliseconds away.
          const batch = link.openBatch();
          const place = batch.next(frame.length);
          if (place !== undefined) frame.copy(place);
          batch.end();
          this.#retry();
        } catch (error) {
          // The network is over, which `closed` tells; the machine goes on without it.
          if (!(error instanceof EngineError)) throw error;
          this.#lost += 1;
        }
      }
    };
    link.onFrames = (frames) => this.#deliver(card, frames);
  }

  #deliver(card: Card, frames: SentFrames): number {
    let taken = 0;
    for (; taken < frames.count && card.hasRoom; taken += 1) {
      const frame = taken;
      card.put(frames.length(frame), (target) => frames.copy(frame, target));
    }
    card.flush();
    if (taken < frames.count) {
      this.#waits += 1;
      this.#wait();
    }
    return taken;
  }

  #wait(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    setTimeout(() => this.#retry(), RETRY_ms);
  }

  #retry(): void {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    this.#network.link.resume();
  }

  /** What there is to be seen now. */
  observe(): Observation {
    const stats = this.#network.inspect(readStats);
    const drops = Object.entries(stats).filter(([name]) => name.startsWith(DROP_PREFIX));
    return {
      time_ms: Date.now(),
      counters: {
        framesFromGuest: stats.guestRxFrames,
        framesToGuest: stats.guestTxFrames,
        bytesFromGuest: stats.guestRxBytes,
        bytesToGuest: stats.guestTxBytes,
        retransmits: stats.tcpRetransmits,
        drops: drops.reduce(
          (sum, [, count]) => sum + count,
          this.#lost + (this.#card?.refused ?? 0),
        ),
        waits: this.#waits,
      },
      flows: this.#network.inspect(readFlows).map(lineOf).sort(byState),
    };
  }
}

/** Those that still live first. */
function byState(a: FlowLine, b: FlowLine): number {
  const ended = ({ state }: FlowLine): number => (state === "TIME_WAIT" ? 1 : 0);
  return ended(a) - ended(b) || b.id - a.id;
}

function lineOf(flow: NetworkFlow): FlowLine {
  const { handle: id, kind, state = "", bytesToHost, bytesToGuest } = flow;
  const guest = `${flow.guest}:${flow.guestPort}`;
  const peer = `${flow.peer}:${flow.peerPort}`;
  return { id, kind, state, guest, peer, bytesToHost, bytesToGuest };
}
