/** Arrays of struct mmsghdr for tests: each message has one buffer, a name and a control area. */

import { Block } from "../../src/sys/block.ts";
import type { Libc } from "../../src/sys/libc.ts";
import * as abi from "../../wasm/abi.ts";

const BUFFER_SIZE = 65536;

export class Messages {
  readonly address: number;
  private readonly records: Block;
  private readonly iovecs: Block;
  private readonly names: Block;
  private readonly controls: Block;
  private readonly buffers: Block;

  constructor(sys: Libc, count: number) {
    this.records = new Block(sys, count * abi.MSG_SIZE);
    this.iovecs = new Block(sys, count * abi.IOV_SIZE);
    this.names = new Block(sys, count * abi.MSG_NAME_SIZE);
    this.controls = new Block(sys, count * abi.MSG_CONTROL_SIZE);
    this.buffers = new Block(sys, count * BUFFER_SIZE);
    this.address = this.records.address;
    for (let i = 0; i < count; i += 1) {
      const at = i * abi.MSG_SIZE;
      this.records.setU64(at + abi.MSG_IOV_OFFSET, this.iovecs.address + i * abi.IOV_SIZE);
      this.records.setU64(at + abi.MSG_IOV_COUNT_OFFSET, 1);
      const iovec = i * abi.IOV_SIZE;
      this.iovecs.setU64(iovec, this.buffers.address + i * BUFFER_SIZE);
      this.iovecs.setU64(iovec + abi.IOV_LENGTH_OFFSET, BUFFER_SIZE);
    }
  }

  /** Message i sends these octets to where the socket is connected. */
  setPayload(i: number, bytes: Uint8Array): void {
    this.buffers.bytes.set(bytes, i * BUFFER_SIZE);
    this.iovecs.setU64(i * abi.IOV_SIZE + abi.IOV_LENGTH_OFFSET, bytes.length);
  }

  /** Message i receives control messages. */
  wantControl(i: number): void {
    const at = i * abi.MSG_SIZE;
    const control = this.controls.address + i * abi.MSG_CONTROL_SIZE;
    this.records.setU64(at + abi.MSG_CONTROL_OFFSET, control);
    this.records.setU64(at + abi.MSG_CONTROL_LENGTH_OFFSET, abi.MSG_CONTROL_SIZE);
    this.records.setU64(at + abi.MSG_NAME_OFFSET, this.names.address + i * abi.MSG_NAME_SIZE);
    this.records.setI32(at + abi.MSG_NAME_LENGTH_OFFSET, abi.MSG_NAME_SIZE);
  }

  /** What recvmmsg says it received into message i. */
  received(i: number): number {
    return this.records.getI32(i * abi.MSG_SIZE + abi.MSG_RECEIVED_OFFSET);
  }

  payload(i: number, length: number): Uint8Array {
    return this.buffers.bytes.slice(i * BUFFER_SIZE, i * BUFFER_SIZE + length);
  }

  flags(i: number): number {
    return this.records.getI32(i * abi.MSG_SIZE + abi.MSG_FLAGS_OFFSET);
  }

  /** Level, type and data of the first control message of message i. */
  control(i: number): { level: number; type: number; data: Uint8Array } {
    const at = i * abi.MSG_CONTROL_SIZE;
    const length = this.controls.getU64(at);
    return {
      level: this.controls.getI32(at + 8),
      type: this.controls.getI32(at + 12),
      data: this.controls.bytes.slice(at + 16, at + length),
    };
  }
}
