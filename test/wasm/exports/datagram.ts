/**
 * Test module of the parts of `wasm/flow` that a whole engine does not show plainly: what addresses
 * mean, control messages, the queue of sockets to close, peers of UDP ports.
 */
import * as abi from "../../../wasm/abi/index";
import { controlAppend, controlFind, controlReceive } from "../../../wasm/flow/control";
import { emitInit } from "../../../wasm/flow/emit";
import * as evict from "../../../wasm/flow/evict";
import * as nat from "../../../wasm/flow/nat";
import { ownInit } from "../../../wasm/flow/own";
import * as peers from "../../../wasm/flow/peers";
import { tableInit } from "../../../wasm/flow/table";
import { Msg } from "../../../wasm/layout";
import { CONFIG, CONTROL, memoryInit } from "../../../wasm/memory";
import { prngInit } from "../../../wasm/prng";
import { msgAlloc, msgControl, opsFree, ringInit, ringTurn } from "../../../wasm/ring";

export { natIsGuest, natToGuest, natToHost, natUnusable } from "../../../wasm/flow/nat";
export { ownHas, ownIsDual, ownPublished, ownTake } from "../../../wasm/flow/own";
export { closeFlush, closeLater } from "../../../wasm/flow/evict";

export function configBase(): usize {
  return CONFIG;
}

export function controlBase(): usize {
  return CONTROL;
}

export function init(): void {
  memoryInit();
  prngInit();
  ringInit();
  emitInit();
  ownInit();
  evict.evictInit();
  tableInit();
  peers.peersInit();
}

export function natInside(address: u32): bool {
  return nat.natInside(address);
}

/** `address:port` has sent to port 53 of the guest at `guest` and is shown as `shown`. */
export function remember(guest: u32, shown: u32, port: u32, address: u32, now: u32): void {
  const peer = peers.peerRemember(guest, shown, (53 << 16) | port, <i64>now * 1_000_000);
  peer.address = address;
  peer.asked = 0;
  peer.spot = 0;
  peer.owner = guest;
}

/** True address of whom the guest answers; 0 = nobody is remembered. `now` in seconds. */
export function recall(guest: u32, shown: u32, port: u32, now: u32): u32 {
  const peer = peers.peerFind(guest, shown, (53 << 16) | port, <i64>now * 1_000_000);
  return changetype<usize>(peer) == 0 ? 0 : peer.address;
}

export function closePending(): u32 {
  return evict.closePending();
}

export function closeRoom(): u32 {
  return evict.closeRoom();
}

export function operationsFree(): i32 {
  return opsFree();
}

/** The host has carried out everything. */
export function turn(): void {
  ringTurn();
}

// ---------------------------------------------------------------- control messages

let message: usize = 0;

/** Starts a message and returns the address of its control buffer. */
export function controlStart(): usize {
  ringTurn();
  message = msgAlloc(1);
  memory.fill(msgControl(message), 0, abi.MSG_CONTROL_SIZE);
  return msgControl(message);
}

export function append(level: u32, type: u32, value: u32, size: u32): void {
  controlAppend(message, level, type, value, size);
}

export function controlLength(): u32 {
  return <u32>changetype<Msg>(message).controlLength;
}

/** Searches `length` octets that a test has put into the buffer. */
export function find(length: u32, level: u32, type: u32, size: u32): usize {
  controlReceive(message);
  changetype<Msg>(message).controlLength = length;
  return controlFind(message, level, type, size);
}
