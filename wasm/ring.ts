/**
 * What the engine hands to the host: operations on host sockets, frames for the guest, and the
 * payload lists that tie guest frames to the operation that will carry them.
 *
 * Operations sit in two banks. The engine fills one; the host carries out what it finds there and
 * writes each result in place; `ringTurn` then swaps the banks, so results can be read while new
 * operations are emitted. iovecs, msghdrs, names and control buffers belong to the same bank and
 * keep still until the swap after next.
 *
 * Frames for the guest are a linear list, emptied as a whole once the link has taken them all. A
 * frame is a header in a slot of its own (with room for the virtio_net_hdr in front) followed by
 * pieces of payload wherever they lie; nothing is copied but what lies in the memory of a batch
 * (`txKeep`), for the next batch may come in while the link is full.
 *
 * A full link shows by `linkFull`: frames that an earlier turn published are still there. The list
 * then goes on growing, up to its capacity, by what answers the guest; what was listed keeps its
 * place, as the link may have taken a part of it.
 *
 * Payload entries describe octets that still lie in the receive slots of this batch. They are
 * consumed before the next batch comes in (`batchReset`), so the slots can be reused.
 *
 * At the bounds: `opAlloc` and `iovAlloc` return 0 and the caller leaves its flow in the dirty list
 * for the next turn; `txBegin` returns 0 and counts DROP_TX_FULL.
 */
import * as abi from "./abi/index";
import {
  IOV_SHIFT,
  Iov,
  MSG_SHIFT,
  Msg,
  OP_SHIFT,
  Op,
  TX_RECORD_SHIFT,
  TX_SLOT_SHIFT,
  TxRecord,
  VIRTIO_NET_NEEDS_CSUM,
  VirtioNetHeader,
} from "./layout";
import { absolute, CONTROL, config, TX_BUFFERS, TX_RECORDS } from "./memory";
import { mappedOf, SOCKADDR_SIZE, SOCKADDR6_SIZE, sockaddr4, sockaddr6 } from "./sockaddr";
import { count, countMany, drop } from "./stats";
import { CHECKED } from "./trap";

const ENTRY_SHIFT: i32 = 5;
/** Octets of one of the two banks. */
const OP_BANK_SIZE: i32 = abi.OP_CAPACITY_COUNT * abi.OP_SIZE;
const IOV_BANK_SIZE: i32 = abi.IOV_CAPACITY_COUNT * abi.IOV_SIZE;
const MSG_BANK_SIZE: i32 = abi.MSG_CAPACITY_COUNT * abi.MSG_SIZE;
export const OPS_SIZE: u32 = 2 * OP_BANK_SIZE;
export const OPS: usize = memory.data(2 * OP_BANK_SIZE, 16);
const IOVS: usize = memory.data(2 * IOV_BANK_SIZE, 16);
const MSGS: usize = memory.data(2 * MSG_BANK_SIZE, 16);
/** For each message 32 octets of address, and 128 of control buffer. */
const NAMES: usize = memory.data(MSG_BANK_SIZE, 16);
const CONTROLS: usize = memory.data(4 * MSG_BANK_SIZE, 16);
const TX_PIECES_MAX: i32 = 12;
/** A full list of frames of so many pieces. */
const TX_IOV_CAPACITY: i32 = abi.TX_CAPACITY_COUNT * TX_PIECES_MAX;
const TX_IOVS: usize = memory.data(TX_IOV_CAPACITY * abi.IOV_SIZE, 16);
/** Octets in a TX slot before the Ethernet header. */
const TX_HEADROOM: usize = 16;
const ENTRY_CAPACITY: i32 = 256;
const ENTRIES: usize = memory.data(ENTRY_CAPACITY << ENTRY_SHIFT, 16);

let bank: i32 = 0;
let opCount: i32 = 0;
let iovCount: i32 = 0;
let msgCount: i32 = 0;
let txIovCount: i32 = 0;
let entryCount: i32 = 0;
/** Payload of answers that lay in a batch, 32 of the largest. */
/** What is kept begins at multiples of 16. */
const KEPT_ALIGN: usize = 15;
const KEPT_SIZE: i32 = 32 * 65536;
const KEPT: usize = memory.data(KEPT_SIZE, 16);
let keptUsed: usize = 0;
let isPublished: bool = false;
/** The link has not taken the frames of an earlier turn. */
export let linkFull: bool = false;
export let txCount: i32 = 0;
export let vnetSize: u32 = 0;

/** First operation and count of the bank whose results are being read. */
export let resultBase: usize = 0;
export let resultCount: i32 = 0;

export function ringInit(): void {
  bank = 0;
  opCount = 0;
  iovCount = 0;
  msgCount = 0;
  entryCount = 0;
  linkFull = false;
  vnetSize = config(abi.CONFIG_VNET_SIZE_OFFSET);
  txReset();
  ringPublish();
}

/** Where the bank that fills is, of a region of two. */
function bankOf(region: usize, size: i32): usize {
  return region + <usize>(bank * size);
}

/** Tells the host what is waiting. */
export function ringPublish(): void {
  store<i32>(CONTROL + abi.CONTROL_OP_COUNT_OFFSET, opCount);
  store<u32>(CONTROL + abi.CONTROL_OP_BASE_OFFSET, <u32>bankOf(OPS, OP_BANK_SIZE));
  store<i32>(CONTROL + abi.CONTROL_TX_COUNT_OFFSET, txCount);
}

/** The host has carried out the operations: their results become readable, the other bank fills. */
export function ringTurn(): void {
  resultBase = bankOf(OPS, OP_BANK_SIZE);
  resultCount = opCount;
  bank ^= 1;
  opCount = 0;
  iovCount = 0;
  msgCount = 0;
}

export function opsFree(): i32 {
  return abi.OP_CAPACITY_COUNT - opCount;
}
export function iovsFree(): i32 {
  return abi.IOV_CAPACITY_COUNT - iovCount;
}
export function msgsFree(): i32 {
  return abi.MSG_CAPACITY_COUNT - msgCount;
}

/** A new operation, all fields zero but kind and handle; address 0 when the bank is full. */
export function opAlloc(kind: i32, handle: u32): Op {
  if (opCount >= abi.OP_CAPACITY_COUNT) return changetype<Op>(0);
  const p = bankOf(OPS, OP_BANK_SIZE) + ((<usize>opCount) << OP_SHIFT);
  opCount++;
  memory.fill(p, 0, abi.OP_SIZE);
  const op = changetype<Op>(p);
  if (CHECKED) assert(handle != 0, "an operation is a flow's");
  op.kind = kind;
  op.handle = handle;
  return op;
}

/** `n` consecutive iovecs of this bank, or 0. */
export function iovAlloc(n: i32): usize {
  if (iovCount + n > abi.IOV_CAPACITY_COUNT) return 0;
  const p = bankOf(IOVS, IOV_BANK_SIZE) + ((<usize>iovCount) << IOV_SHIFT);
  iovCount += n;
  return p;
}

export function iovSet(iov: usize, index: i32, p: usize, length: u32): void {
  const v = changetype<Iov>(iov + ((<usize>index) << IOV_SHIFT));
  if (CHECKED) {
    const first = bankOf(IOVS, IOV_BANK_SIZE);
    const end = first + ((<usize>iovCount) << IOV_SHIFT);
    assert(iov >= first && changetype<usize>(v) < end, "iovecs were asked for, in this bank");
  }
  v.base = absolute(p);
  v.length = length;
}

/** `n` consecutive mmsghdrs of this bank, zeroed, or 0. */
export function msgAlloc(n: i32): usize {
  if (msgCount + n > abi.MSG_CAPACITY_COUNT) return 0;
  const p = bankOf(MSGS, MSG_BANK_SIZE) + ((<usize>msgCount) << MSG_SHIFT);
  msgCount += n;
  memory.fill(p, 0, (<usize>n) << MSG_SHIFT);
  return p;
}

/** The 32 octets for the socket address that belong to a message. */
export function msgName(msg: usize): usize {
  return NAMES + ((msg - MSGS) >> 1);
}
/** The 128 octets of control buffer that belong to a message. */
export function msgControl(msg: usize): usize {
  return CONTROLS + ((msg - MSGS) << 1);
}

export function msgSetIov(msg: usize, iov: usize, n: i32): void {
  const m = changetype<Msg>(msg);
  m.iov = absolute(iov);
  m.iovCount = n;
}

/** Lets the message carry a struct sockaddr_in. */
export function msgSetName4(msg: usize, address: u32, port: u32): void {
  const name = msgName(msg);
  sockaddr4(name, address, port);
  const m = changetype<Msg>(msg);
  m.name = absolute(name);
  m.nameLength = SOCKADDR_SIZE;
}

/** Lets the message carry a struct sockaddr_in6 of the address at a location. */
export function msgSetName6(msg: usize, address: usize, scope: u32, port: u32): void {
  const name = msgName(msg);
  sockaddr6(name, address, scope, port);
  const m = changetype<Msg>(msg);
  m.name = absolute(name);
  m.nameLength = SOCKADDR6_SIZE;
}

/** The same of ::ffff:A.B.C.D, for a socket of both versions. */
export function msgSetNameMapped(msg: usize, address: u32, port: u32): void {
  msgSetName6(msg, mappedOf(address), 0, port);
}

// ---------------------------------------------------------------- frames for the guest

/** The link has taken every frame: start over. */
export function txReset(): void {
  txCount = 0;
  txIovCount = 0;
  keptUsed = 0;
  isPublished = false;
}

/** The host works on: whatever was published and is still here, the link has no room for. */
export function txTurn(): void {
  linkFull = isPublished;
}

/** The frames listed so far are the host's to send. */
export function txPublish(): void {
  isPublished = txCount > 0;
}

/**
 * Copies payload of a frame under way out of the memory of a batch, to where it stays until the
 * link has taken the frame. Address 0 when there is no room (the caller counts the drop).
 */
export function txKeep(p: usize, length: u32): usize {
  const size = (<usize>length + KEPT_ALIGN) & ~KEPT_ALIGN;
  if (txCount == 0) keptUsed = 0; // what was kept for a frame that came to nothing
  if (keptUsed + size > <usize>KEPT_SIZE) return 0;
  const kept = KEPT + keptUsed;
  keptUsed += size;
  memory.copy(kept, p, length);
  return kept;
}

export function txFree(): i32 {
  return min(abi.TX_CAPACITY_COUNT - txCount, (TX_IOV_CAPACITY - txIovCount) / TX_PIECES_MAX);
}

/** The frame under way to the guest. */
@unmanaged
export class TxFrame {
  /** Pieces of it, the header included; they begin at TX iovec `txIovCount`. */
  pieces: i32;
  /** Octets, virtio_net_hdr included. */
  length: u32;
  /** Sum of the payload, for whoever adds it and has to checksum it. */
  payloadSum: u32;
}

export const txFrame: TxFrame = changetype<TxFrame>(memory.data(<i32>offsetof<TxFrame>(), 4));

/** Address of the Ethernet header of a new frame, its virtio_net_hdr zeroed, or 0 (counted). */
export function txBegin(): usize {
  if (txFree() <= 0) {
    drop(abi.DROP_TX_FULL);
    return 0;
  }
  const slot = TX_BUFFERS + ((<usize>txCount) << TX_SLOT_SHIFT);
  store<u64>(slot, 0);
  store<u64>(slot, 0, sizeof<u64>());
  return slot + TX_HEADROOM;
}

/** Fills the virtio_net_hdr (virtio 1.2 §5.1.6) of the frame begun at `ethernet`. */
export function txOffload(
  ethernet: usize,
  gsoType: u32,
  headerLength: u32,
  gsoSize: u32,
  start: u32,
  offset: u32,
): void {
  const header = changetype<VirtioNetHeader>(ethernet - vnetSize);
  header.flags = VIRTIO_NET_NEEDS_CSUM;
  header.gsoType = <u8>gsoType;
  header.headerLength = <u16>headerLength;
  header.gsoSize = <u16>gsoSize;
  header.checksumStart = <u16>start;
  header.checksumOffset = <u16>offset;
}

/** Starts the list of pieces with the header: `length` octets from the Ethernet header on. */
export function txHeader(ethernet: usize, length: u32): void {
  if (CHECKED) {
    const slot = TX_BUFFERS + ((<usize>txCount) << TX_SLOT_SHIFT);
    assert(ethernet == slot + TX_HEADROOM, "a frame is in the slot it was begun in");
    assert(length <= <u32>(<usize>abi.TX_SLOT_SIZE - TX_HEADROOM), "its header fits the slot");
  }
  txFrame.pieces = 1;
  txFrame.length = length + vnetSize;
  const v = changetype<Iov>(TX_IOVS + ((<usize>txIovCount) << IOV_SHIFT));
  v.base = absolute(ethernet - vnetSize);
  v.length = txFrame.length;
}

/** Adds payload; at most 11 pieces. */
export function txPiece(p: usize, length: u32): void {
  if (CHECKED)
    assert(txFrame.pieces > 0 && txFrame.pieces < TX_PIECES_MAX, "a frame has so many pieces");
  const v = changetype<Iov>(TX_IOVS + ((<usize>(txIovCount + txFrame.pieces)) << IOV_SHIFT));
  v.base = absolute(p);
  v.length = length;
  txFrame.pieces++;
  txFrame.length += length;
}

/** The frame is complete and will be sent. */
export function txEnd(handle: u32): void {
  if (CHECKED) {
    assert(
      txFrame.pieces > 0 && txIovCount + txFrame.pieces <= TX_IOV_CAPACITY,
      "there is room for its pieces",
    );
  }
  const record = changetype<TxRecord>(TX_RECORDS + ((<usize>txCount) << TX_RECORD_SHIFT));
  record.iov = <u32>(TX_IOVS + ((<usize>txIovCount) << IOV_SHIFT));
  record.iovCount = txFrame.pieces;
  record.length = txFrame.length;
  record.handle = handle;
  txIovCount += txFrame.pieces;
  txCount++;
  count(abi.STAT_GUEST_TX_FRAMES);
  countMany(abi.STAT_GUEST_TX_BYTES, txFrame.length - vnetSize);
}

/** A frame that lies in its slot as a whole, checksums done. */
export function txCommit(ethernet: usize, length: u32, handle: u32): void {
  txHeader(ethernet, length);
  txEnd(handle);
}

// ---------------------------------------------------------------- payload of this batch

/** Octets of a guest frame on their way to a host socket. */
@unmanaged
export class Entry {
  pointer: u32;
  length: u32;
  next: i32;
  address: u32;
  port: u16;
  /** Size of each datagram when this is a run of equal ones (USO), else 0. */
  segment: u16;
  ttl: u8;
  tos: u8;
  /** 1 = no frame of the guest stands for it: the engine sends it of its own accord. */
  isOwn: u8;
  /** 1 = whether the way out takes it is still to be found out (`path-mtu`). */
  asks: u8;
  /** Start of the IP header, to quote in an ICMP error; 0 if it is gone. */
  quote: u32;
  /** Address of the host it is to leave from; 0 = the host's choice. */
  from: u32;
}

export function batchReset(): void {
  entryCount = 0;
}

/** Index of a new payload entry, or -1 when the batch holds no more. */
export function entryAlloc(pointer: usize, length: u32): i32 {
  if (entryCount >= ENTRY_CAPACITY) return -1;
  const e = entryAt(entryCount);
  e.address = 0;
  e.from = 0;
  e.asks = 0;
  e.pointer = <u32>pointer;
  e.length = length;
  e.next = -1;
  return entryCount++;
}

/** Entries that this batch has room for. */
export function entriesFree(): i32 {
  return ENTRY_CAPACITY - entryCount;
}

/** Entries of this batch. */
export function entriesUsed(): i32 {
  return entryCount;
}

export function entryAt(index: i32): Entry {
  return changetype<Entry>(ENTRIES + ((<usize>index) << ENTRY_SHIFT));
}

if (offsetof<Entry>() != 1 << ENTRY_SHIFT) ERROR("an entry has another size");
