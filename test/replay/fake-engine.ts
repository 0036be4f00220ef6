/**
 * An engine that does nothing by itself: a memory laid out as the ABI has it, and functions that
 * note how they are called and answer what the test says. Lays frames, operations and msghdrs out
 * in that memory, with addresses as a host process would have them.
 */
import type { EngineFunctions, EngineModule } from "../../src/engine/module.ts";
import { EngineMemory } from "../../src/replay/memory.ts";
import * as abi from "../../wasm/abi.ts";

const PAGE_SIZE = 65_536;
const ALIGNMENT = 64;
/** Free for records of tests, and what they refer to. */
const FREE_SIZE = 1 << 18;

/** Octets of the regions that recordings look at, by `REGION_*`. */
const SIZES = new Map<number, number>([
  [abi.REGION_CONTROL, abi.CONTROL_SIZE],
  [abi.REGION_CONFIG, abi.CONFIG_SIZE],
  [abi.REGION_RX_DESCRIPTORS, abi.RX_SLOT_COUNT * abi.RX_DESCRIPTOR_SIZE],
  [abi.REGION_RX_BUFFERS, abi.RX_SLOT_COUNT * abi.RX_SLOT_SIZE],
  [abi.REGION_TX_RECORDS, abi.TX_CAPACITY_COUNT * abi.TX_RECORD_SIZE],
  [abi.REGION_OPS, abi.OP_CAPACITY_COUNT * abi.OP_SIZE],
]);

export type Call = readonly [name: keyof EngineFunctions, ...args: number[]];

export interface OperationFields {
  readonly kind: number;
  readonly handle?: number;
  readonly result?: number;
  readonly a?: number;
  readonly b?: number;
  readonly c?: number;
  readonly pointer?: number;
  readonly count?: number;
}

export interface MessageFields {
  readonly name?: Uint8Array;
  readonly control?: Uint8Array;
  readonly pieces?: readonly Uint8Array[];
  readonly flags?: number;
  readonly received?: number;
}

export class FakeEngine {
  readonly module: EngineModule;
  readonly memory: EngineMemory;
  readonly calls: Call[] = [];
  /** What a function does when it is called, and answers. */
  readonly acts: { -readonly [name in keyof EngineFunctions]?: (...args: number[]) => number } = {};
  #free: number;

  /** @param base address of the memory in the host process, in force from `init` on */
  constructor(base = 0) {
    let end = ALIGNMENT;
    const regions = Array.from({ length: abi.REGION_COUNT }, (_, region) => {
      const size = SIZES.get(region) ?? 0;
      const place = { base: end, size };
      end += Math.ceil(size / ALIGNMENT) * ALIGNMENT;
      return place;
    });
    this.#free = end;
    const pages = Math.ceil((end + FREE_SIZE) / PAGE_SIZE);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.module = { memory, regions, functions: this.#functions() };
    this.memory = new EngineMemory(this.module);
    this.#word(abi.REGION_CONFIG, abi.CONFIG_HOST_BASE_LO_OFFSET, base % 2 ** 32);
    this.#word(abi.REGION_CONFIG, abi.CONFIG_HOST_BASE_HI_OFFSET, Math.floor(base / 2 ** 32));
    this.#word(abi.REGION_CONTROL, abi.CONTROL_OP_BASE_OFFSET, this.memory.base(abi.REGION_OPS));
    this.memory.locate();
  }

  /** Names of the functions that were called, in order. */
  get names(): string[] {
    return this.calls.map(([name]) => name);
  }

  /** Room for so many octets, zeros, at a multiple of 8. */
  take(length: number): number {
    const at = this.#free;
    this.#free += Math.ceil(length / 8) * 8;
    return at;
  }

  /** Puts octets into the memory; returns where. */
  put(octets: Uint8Array): number {
    const at = this.take(octets.length);
    this.memory.octets.set(octets, at);
    return at;
  }

  /** Writes a pointer, as the host process has it, to the engine offset `to`. */
  point(at: number, to: number): void {
    const address = to === 0 ? 0 : to + this.memory.link.base;
    this.memory.words[at >> 2] = address % 2 ** 32;
    this.memory.words[(at >> 2) + 1] = Math.floor(address / 2 ** 32);
  }

  /** An array of iovecs, a piece each; returns where it lies. */
  iovecs(pieces: readonly Uint8Array[]): number {
    const at = this.take(pieces.length * abi.IOV_SIZE);
    pieces.forEach((piece, i) => {
      this.point(at + i * abi.IOV_SIZE + abi.IOV_BASE_OFFSET, this.put(piece));
      this.memory.setField(at + i * abi.IOV_SIZE, abi.IOV_LENGTH_OFFSET, piece.length);
    });
    return at;
  }

  /** Lists frames for the guest, each of its pieces. */
  setFrames(frames: readonly (readonly Uint8Array[])[]): void {
    frames.forEach((pieces, i) => {
      const record = this.memory.base(abi.REGION_TX_RECORDS) + i * abi.TX_RECORD_SIZE;
      this.memory.setField(record, abi.TX_IOV_OFFSET, this.iovecs(pieces));
      this.memory.setField(record, abi.TX_IOV_COUNT_OFFSET, pieces.length);
    });
    this.#word(abi.REGION_CONTROL, abi.CONTROL_TX_COUNT_OFFSET, frames.length);
  }

  /** Lists frames of the guest in their receive slots. */
  setReceived(frames: readonly Uint8Array[]): void {
    const slots = this.memory.base(abi.REGION_RX_BUFFERS);
    frames.forEach((frame, i) => {
      const at = slots + i * abi.RX_SLOT_SIZE;
      this.memory.octets.set(frame, at);
      const descriptor = this.memory.base(abi.REGION_RX_DESCRIPTORS) + i * abi.RX_DESCRIPTOR_SIZE;
      this.memory.setField(descriptor, abi.RX_DESCRIPTOR_POINTER_OFFSET, at);
      this.memory.setField(descriptor, abi.RX_DESCRIPTOR_LENGTH_OFFSET, frame.length);
    });
  }

  /** Lists operations; returns the words they begin at. */
  setOperations(operations: readonly OperationFields[]): number[] {
    this.#word(abi.REGION_CONTROL, abi.CONTROL_OP_COUNT_OFFSET, operations.length);
    return operations.map((fields, i) => {
      const at = this.memory.base(abi.REGION_OPS) + i * abi.OP_SIZE;
      const { kind, handle = 0, result = 0, a = 0, b = 0, c = 0, pointer = 0, count = 0 } = fields;
      const values = [kind, handle, result, a, b, c, pointer, count];
      this.memory.words.set(values, at >> 2);
      return at >> 2;
    });
  }

  /** A row of msghdrs; returns the engine offset of the first. */
  messages(rows: readonly MessageFields[]): number {
    const first = this.take(rows.length * abi.MSG_SIZE);
    rows.forEach(({ name, control, pieces = [], flags = 0, received = 0 }, i) => {
      const at = first + i * abi.MSG_SIZE;
      if (name !== undefined) this.point(at + abi.MSG_NAME_OFFSET, this.put(name));
      if (control !== undefined) this.point(at + abi.MSG_CONTROL_OFFSET, this.put(control));
      if (pieces.length > 0) this.point(at + abi.MSG_IOV_OFFSET, this.iovecs(pieces));
      this.memory.setField(at, abi.MSG_NAME_LENGTH_OFFSET, name?.length ?? 0);
      this.memory.setField(at, abi.MSG_CONTROL_LENGTH_OFFSET, control?.length ?? 0);
      this.memory.setField(at, abi.MSG_IOV_COUNT_OFFSET, pieces.length);
      this.memory.setField(at, abi.MSG_FLAGS_OFFSET, flags);
      this.memory.setField(at, abi.MSG_RECEIVED_OFFSET, received);
    });
    return first;
  }

  /** Changes a word of CONFIG. */
  setConfig(offset: number, value: number): void {
    this.#word(abi.REGION_CONFIG, offset, value);
  }

  /** Writes words of an address into the control block. */
  setAddress(words: readonly number[]): void {
    const at = this.memory.base(abi.REGION_CONTROL) + abi.CONTROL_ADDRESS_OFFSET;
    this.memory.words.set(words, at >> 2);
  }

  get address(): number[] {
    const at = (this.memory.base(abi.REGION_CONTROL) + abi.CONTROL_ADDRESS_OFFSET) >> 2;
    return [...this.memory.words.subarray(at, at + 5)];
  }

  #word(region: number, offset: number, value: number): void {
    const base = this.module.regions[region]?.base ?? 0;
    this.memory.setField(base, offset, value);
  }

  #functions(): EngineFunctions {
    const noted =
      (name: keyof EngineFunctions) =>
      (...args: number[]): number => {
        this.calls.push([name, ...args]);
        return this.acts[name]?.(...args) ?? 0;
      };
    return {
      control: noted("control"),
      init: noted("init"),
      guest_rx: noted("guest_rx"),
      upstream_event: noted("upstream_event"),
      step: noted("step"),
      complete: noted("complete"),
      tx_done: noted("tx_done"),
      inbound_tcp: noted("inbound_tcp"),
      inbound_udp: noted("inbound_udp"),
      address_six: noted("address_six"),
      host_address: noted("host_address"),
      guest_gone: noted("guest_gone"),
      farewell: noted("farewell"),
      next_deadline: noted("next_deadline"),
    };
  }
}

/** `length` octets that differ from their neighbours and by `seed`. */
export function pattern(length: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + seed * 31 + (i >> 8)) & 0xff);
}
