/**
 * Frames of which only the headers are in their receive slot: the payload is lent.
 *
 * Theory of operation
 *  A link whose guest shares its memory need not copy a large frame to have it sent. It puts the
 *  headers into the slot and says in the descriptor how far they reach; the rest stays where the
 *  guest has it, until all operations of the turn have been carried out. The engine goes on as if
 *  the frame were in the slot: payload is an address in it, entries and iovecs point there. What
 *  carries out a send puts the places of the guest's buffers in their stead.
 *
 *  What may not happen is that octets of the lent part are read here: what lies in the slot there
 *  is of some earlier frame. Payload is read in one case only, where it is kept (`tcp/reassembly`):
 *  out of order, or not taken by the host's socket. It is then not copied but listed to be copied,
 *  and the host does that as soon as the call returns. Nobody reads a chunk that is held before a
 *  later operation sends it. A chunk that is given back and used again within the call may be in
 *  the list twice: the order of the list is the order of copies, so from the first entry on every
 *  copy of the call is listed, of frames that are not lent as well.
 *
 *  The link lends nothing else that would be read: TCP whose checksum is vouched for, no SYN, no
 *  fragment, nothing an ICMP error could quote (`payload-start.ts` of the link).
 *
 *  A full list is like a full pool: the octets are dropped, and the guest sends them again.
 */
import * as abi from "./abi/index";
import { CONTROL, RX_BUFFERS, RX_DESCRIPTORS } from "./memory";

const COPY_SHIFT: i32 = 4;
const COPIES: usize = memory.data(abi.LENT_COPY_CAPACITY_COUNT * abi.LENT_COPY_SIZE, 16);
let copyCount: i32 = 0;

/** A call begins: the host has made the copies of the last one. */
export function lentReset(): void {
  copyCount = 0;
}

/** Tells the host what to copy. */
export function lentPublish(): void {
  store<i32>(CONTROL + abi.LENT_CONTROL_COUNT_OFFSET, copyCount);
  store<u32>(CONTROL + abi.LENT_CONTROL_BASE_OFFSET, <u32>COPIES);
}

/** Octets of frame `i` in its slot where the rest is lent, 0 = all of them. */
export function lentFrom(i: i32): u32 {
  const descriptor = RX_DESCRIPTORS + <usize>i * abi.RX_DESCRIPTOR_SIZE;
  return load<u32>(descriptor, abi.RX_DESCRIPTOR_LENGTH_OFFSET) >>> abi.LENT_SHIFT;
}

/** Whether payload at `p` is copied by the host: it is lent, or others were before it. */
function isListed(p: usize): bool {
  if (copyCount > 0) return true;
  const offset = <u32>(p - RX_BUFFERS);
  const slot = offset / abi.RX_SLOT_SIZE;
  return slot < <u32>abi.RX_SLOT_COUNT && lentFrom(<i32>slot) != 0;
}

/** Whether octets at `p` can be kept. */
export function lentRoom(p: usize): bool {
  return copyCount < abi.LENT_COPY_CAPACITY_COUNT || !isListed(p);
}

/** Keeps `length` octets of payload at `from` in memory of our own, now or by the host. */
export function lentCopy(to: usize, from: usize, length: u32): void {
  if (!isListed(from)) {
    memory.copy(to, from, length);
    return;
  }
  const copy = COPIES + ((<usize>copyCount) << COPY_SHIFT);
  store<u32>(copy, <u32>to, abi.LENT_COPY_TO_OFFSET);
  store<u32>(copy, <u32>from, abi.LENT_COPY_FROM_OFFSET);
  store<u32>(copy, length, abi.LENT_COPY_LENGTH_OFFSET);
  copyCount++;
}

if (abi.LENT_COPY_SIZE != 1 << COPY_SHIFT) ERROR("a copy has another size");
