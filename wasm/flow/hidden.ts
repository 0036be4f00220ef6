/**
 * Peers the guest sees as the gateway: processes on the host's loopback, and hosts whose address
 * lies in the guest network. Their true address is remembered, so that the guest can answer them,
 * also where it may not speak to the host's loopback of its own accord.
 *
 * Theory of operation
 *   128 sets by flow slot, 64 peers each, the oldest overwritten first. Published ports are opened
 *   first and so have sets of their own: each remembers its last 64 peers. A peer is known by the
 *   flow's handle and the port it uses; of two with the same port the later one gets the answers.
 */
import { addressMark } from "./addresses";
import { flowOf, isNone } from "./table";

const SET_COUNT: u32 = 128;
const WAY_COUNT: u32 = 64;
/** {handle u32, port u32, address u32} */
const PEER_SIZE: u32 = 12;
const PEERS: usize = memory.data(98304, 16);
const CURSORS: usize = memory.data(128, 16);

// @ts-ignore: decorator
@inline function setOf(handle: u32): u32 {
  return handle & (SET_COUNT - 1);
}

// @ts-ignore: decorator
@inline function peerAt(set: u32, way: u32): usize {
  return PEERS + <usize>((set * WAY_COUNT + way) * PEER_SIZE);
}

/** Forgets all. */
export function hiddenInit(): void {
  memory.fill(PEERS, 0, SET_COUNT * WAY_COUNT * PEER_SIZE);
  memory.fill(CURSORS, 0, SET_COUNT);
}

/** Where the peer is, or 0. The way heard of last is looked at first: it is mostly the one. */
function locate(handle: u32, port: u32): usize {
  const set = setOf(handle);
  const cursor = <u32>load<u8>(CURSORS + set);
  for (let i: u32 = 1; i <= WAY_COUNT; i++) {
    const peer = peerAt(set, (cursor - i) & (WAY_COUNT - 1));
    if (load<u32>(peer) == handle && load<u32>(peer, 4) == port) return peer;
  }
  return 0;
}

/** `address:port` has sent to the flow and was shown as the gateway. */
export function hiddenRemember(handle: u32, port: u32, address: u32): void {
  let peer = locate(handle, port);
  if (peer == 0) {
    const set = setOf(handle);
    const cursor = <u32>load<u8>(CURSORS + set);
    peer = peerAt(set, cursor);
    store<u8>(CURSORS + set, <u8>((cursor + 1) & (WAY_COUNT - 1)));
    store<u32>(peer, handle);
    store<u32>(peer, port, 4);
  }
  store<u32>(peer, address, 8);
}

/** Marks the addresses of all peers of live flows, see `addresses`. */
export function hiddenMark(): void {
  for (let p = PEERS; p < PEERS + SET_COUNT * WAY_COUNT * PEER_SIZE; p += PEER_SIZE) {
    if (!isNone(flowOf(load<u32>(p)))) addressMark(load<u32>(p, 8));
  }
}

/** True address of the gateway's `port` for this flow; 0 = nobody there has spoken. */
export function hiddenFind(handle: u32, port: u32): u32 {
  const peer = locate(handle, port);
  return peer == 0 ? 0 : load<u32>(peer, 8);
}

if (SET_COUNT * WAY_COUNT * PEER_SIZE != 98304) ERROR("hidden.ts reserves the wrong size");
