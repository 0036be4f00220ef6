/**
 * The engine as the rest of the program sees it: its calls, views over its memory, and what its
 * control block says. Nothing here allocates except the methods marked cold. What only a host with
 * sockets and links of an operating system needs is in `HostEngine` (`host-engine.ts`).
 *
 * A host's turn, in this order:
 *   1. `upstreamEvent` for every event of an upstream socket;
 *   2. frames of the guest into the receive slots, their descriptors filled, `guestRx`;
 *   3. `step`;
 *   4. repeat: send the `txCount` frames to the guest and call `txDone`; stop when `opCount` is 0;
 *      else carry out the operations from `opBase` on, write each result in place, `complete`.
 * While `ready` holds there is work left and the next turn starts at once; else it may wait until
 * `nextDeadline`. `guestRx` is only allowed when no operation is waiting and `mustFlush` does not
 * hold: then 3 and 4 come first.
 *
 * Frames that the link has no room for stay listed, in their places, and `txDone` waits for the
 * last of them. Turns go on meanwhile, all of 4 but the sending: operations are carried out, frames
 * of the guest taken although `mustFlush` may hold, and `ready` means nothing, as what is left to
 * do waits for room. The engine takes `step` or `complete` with frames of an earlier one left to
 * mean that the link is full.
 *
 * Times are microseconds of any clock that never goes back, above 0. Addresses and ports are plain
 * numbers in host order; an IPv6 address is a number the engine gives it (`addressSix`), which
 * `addressText` reads.
 */
import * as abi from "../../wasm/abi.ts";
import { type EngineConfigValues, encodeEngineConfig } from "./config.ts";
import { EngineError } from "./errors.ts";
import type { EngineFunctions, EngineModule } from "./module.ts";

/** Addresses of the first octet of each region. */
export interface EngineBases {
  readonly control: number;
  readonly config: number;
  readonly stats: number;
  readonly rxDescriptors: number;
  readonly rxBuffers: number;
  readonly txRecords: number;
  readonly txBuffers: number;
  readonly ops: number;
  readonly flows: number;
  readonly chunks: number;
  readonly scratch: number;
  readonly addresses: number;
}

const OP_COUNT_WORD = abi.CONTROL_OP_COUNT_OFFSET >> 2;
const OP_BASE_WORD = abi.CONTROL_OP_BASE_OFFSET >> 2;
const TX_COUNT_WORD = abi.CONTROL_TX_COUNT_OFFSET >> 2;
const FLOW_COUNT_WORD = abi.CONTROL_FLOW_COUNT_OFFSET >> 2;
const CHUNK_COUNT_WORD = abi.CONTROL_CHUNK_COUNT_OFFSET >> 2;
const READY_WORD = abi.CONTROL_READY_OFFSET >> 2;

export class Engine {
  /** The whole memory; it never grows, so the views stay valid for the engine's life. */
  readonly octets: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  readonly words: Uint32Array<ArrayBuffer>;
  readonly integers: Int32Array<ArrayBuffer>;
  readonly bases: EngineBases;
  /** Where engine memory lies in the host process; 0 = nobody asks. */
  protected hostBase = 0n;
  protected readonly calls: EngineFunctions;
  protected readonly control: Uint32Array;
  #config: EngineConfigValues | undefined;

  constructor(module: EngineModule) {
    const buffer = ownBuffer(module.memory);
    this.octets = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.words = new Uint32Array(buffer);
    this.integers = new Int32Array(buffer);
    const base = (region: number): number => module.regions[region]?.base ?? 0;
    this.bases = {
      control: base(abi.REGION_CONTROL),
      config: base(abi.REGION_CONFIG),
      stats: base(abi.REGION_STATS),
      rxDescriptors: base(abi.REGION_RX_DESCRIPTORS),
      rxBuffers: base(abi.REGION_RX_BUFFERS),
      txRecords: base(abi.REGION_TX_RECORDS),
      txBuffers: base(abi.REGION_TX_BUFFERS),
      ops: base(abi.REGION_OPS),
      flows: base(abi.REGION_FLOWS),
      chunks: base(abi.REGION_CHUNKS),
      scratch: base(abi.REGION_SCRATCH),
      addresses: base(abi.REGION_ADDRESSES),
    };
    this.calls = module.functions;
    this.control = new Uint32Array(buffer, this.bases.control, abi.CONTROL_SIZE >> 2);
  }

  /** Writes the configuration and starts. Cold. Throws `EngineError`, `RangeError`. */
  start(config: EngineConfigValues): void {
    if (this.#config !== undefined) {
      throw new EngineError("START", "cannot start an engine twice");
    }
    const { view, bases } = this;
    encodeEngineConfig(view, bases.config, config);
    view.setBigUint64(bases.config + abi.CONFIG_HOST_BASE_LO_OFFSET, this.hostBase, true);
    const result = this.calls.init();
    if (result !== 0) {
      throw new EngineError("START", `cannot start the engine: init returned "${result}"`);
    }
    this.#config = config;
  }

  protected get isStarted(): boolean {
    return this.#config !== undefined;
  }

  /** What the engine was started with. Throws `EngineError` before `start`. */
  get config(): EngineConfigValues {
    if (this.#config === undefined) throw new EngineError("START", "start the engine first");
    return this.#config;
  }

  // -------------------------------------------------------------- input

  /** Takes the frames of the first `count` receive descriptors. */
  guestRx(count: number, now: number): void {
    this.calls.guest_rx(count, now);
  }

  /** Takes the `EVENT_*` bits of an upstream socket; a stale handle is counted and ignored. */
  upstreamEvent(handle: number, events: number, now: number): void {
    this.calls.upstream_event(handle, events, now);
  }

  /** Fires what is due, asks sockets for data, prepares frames and operations. */
  step(now: number): void {
    this.calls.step(now);
  }

  /** All operations have been carried out and their results written. */
  complete(now: number): void {
    this.calls.complete(now);
  }

  /** All frames for the guest have been taken or given up by the link. */
  txDone(): void {
    this.calls.tx_done();
  }

  /**
   * Opens a connection to the guest for a socket that the host has accepted. Returns the handle of
   * its flow, or 0 when there is no room: then the host closes the socket.
   * @param guest address of the guest it leads to and no other; 0 = the guest's, whichever it has
   */
  inboundTcp(port: number, peerAddress: number, peerPort: number, now: number, guest = 0): number {
    return this.calls.inbound_tcp(port, peerAddress, peerPort, guest, now) >>> 0;
  }

  /**
   * Number that stands for an IPv6 address of 16 octets, for `inboundTcp` in the same turn; 0 = the
   * table is full of addresses in use.
   * @param scope interface index of a link-local address on the host's side
   */
  addressSix(octets: ArrayLike<number>, scope = 0): number {
    const { control } = this.bases;
    this.octets.set(octets, control + abi.CONTROL_ADDRESS_OFFSET);
    this.view.setUint32(control + abi.CONTROL_SCOPE_OFFSET, scope, true);
    return this.calls.address_six() >>> 0;
  }

  // -------------------------------------------------------------- output

  /** When `step` wants to be called next, microseconds; 0 = no deadline. Early, never late. */
  nextDeadline(): number {
    return this.calls.next_deadline();
  }

  /** Operations that wait to be carried out. */
  get opCount(): number {
    return this.control[OP_COUNT_WORD] ?? 0;
  }

  /** Address of the first of them. */
  get opBase(): number {
    return this.control[OP_BASE_WORD] ?? 0;
  }

  /** Frames that wait for the guest. */
  get txCount(): number {
    return this.control[TX_COUNT_WORD] ?? 0;
  }

  /** Work is left: start the next turn at once. */
  get ready(): boolean {
    return this.control[READY_WORD] !== 0;
  }

  /** Rings were full: `step` again before `guestRx`, unless the link is full. */
  get mustFlush(): boolean {
    return ((this.control[READY_WORD] ?? 0) & abi.READY_FLUSH) !== 0;
  }

  /** Flows in use. */
  get flowCount(): number {
    return this.control[FLOW_COUNT_WORD] ?? 0;
  }

  /** Payload chunks in use. */
  get chunkCount(): number {
    return this.control[CHUNK_COUNT_WORD] ?? 0;
  }
}

/** Memory without `shared` has a plain buffer; the type does not say so. */
function ownBuffer(memory: WebAssembly.Memory): ArrayBuffer {
  const { buffer } = memory;
  if (buffer instanceof ArrayBuffer) return buffer;
  throw new EngineError("MEMORY", "refuse an engine with shared memory");
}
