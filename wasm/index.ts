/** The exports of the engine. i32 and f64 only; times are microseconds. See `abi.ts`. */
import * as engine from "./engine";

/** Address of the control block. */
export function control(): i32 {
  return <i32>engine.control();
}

/** Reads the configuration and starts over: 0, or -1 when it makes no sense. */
export function init(): i32 {
  return engine.init();
}

export function guest_rx(count: i32, now: f64): void {
  engine.guestRx(count, <i64>now);
}

export function upstream_event(handle: i32, events: i32, now: f64): void {
  engine.upstreamEvent(handle, events, <i64>now);
}

export function step(now: f64): void {
  engine.step(<i64>now);
}

export function complete(now: f64): void {
  engine.complete(<i64>now);
}

export function tx_done(): void {
  engine.txDone();
}

export function inbound_tcp(
  guestPort: i32,
  peerAddress: i32,
  peerPort: i32,
  guest: i32,
  now: f64,
): i32 {
  return engine.inboundTcp(guestPort, peerAddress, peerPort, guest, <i64>now);
}

/** `code`: FAMILY_SIX or 0, and the spot from INBOUND_SPOT_SHIFT on. */
export function inbound_udp(guestPort: i32, hostPort: i32, code: i32, guest: i32, now: f64): i32 {
  return engine.inboundUdp(guestPort, hostPort, code, guest, <i64>now);
}

/** Number that stands for the IPv6 address in the control block; 0 = there is no room. */
export function address_six(): i32 {
  return engine.addressSix();
}

/** An own address of the host or a published port, see HOST_*; 0 = it could not be taken. */
export function host_address(kind: i32): i32 {
  return engine.hostAddress(<u32>kind) ? 1 : 0;
}

/** The link has lost its peer, see `guest`. */
export function guest_gone(now: f64): void {
  engine.guestGone(<i64>now);
}

/** The end is near: prepares frames that tell the guest. */
export function farewell(): void {
  engine.farewell();
}

export function next_deadline(): f64 {
  return <f64>engine.nextDeadline();
}
