/**
 * Guest datagrams into the batch of their flow, one entry each, or a few for a run that the link
 * has not cut.
 */
import * as abi from "../abi/index";
import { drop } from "../stats";
import { turnNow } from "../timer";
import { UDP_HEADER_SIZE } from "../wire/udp";
import { F_ASKING, F_LOCAL, has, UdpFlow } from "./datagram";
import { datagramAppend } from "./datagram-send";
import { packet } from "./packet";
import { PATH_FITS, PATH_REFUSED, PATH_UNKNOWN, pathJudge } from "./path-mtu";

/** Datagrams and octets one entry of a run may hold: what one UDP_SEGMENT message can carry. */
const RUN_COUNT_MAX: u32 = 64;
const RUN_SIZE_MAX: u32 = 65507;

/**
 * Queues the datagram under way for `address:port`. `ttl` 0 = the host's usual; `from` = address of
 * the host it leaves from, 0 = the host's choice.
 */
export function udpQueue(flow: UdpFlow, address: u32, port: u32, ttl: u32, from: u32): void {
  const ip = packet.ip;
  const payload = packet.data + UDP_HEADER_SIZE;
  const length = packet.length - UDP_HEADER_SIZE;
  const segment = packet.segmentSize;
  const isRun = segment != 0 && segment < length;
  const step = isRun ? segment * min(RUN_COUNT_MAX, RUN_SIZE_MAX / segment) : length;
  const size = <u32>(payload - ip) + (isRun ? segment : length);
  const verdict = has(flow, F_LOCAL)
    ? PATH_FITS
    : pathJudge(ip, size, address, packet.mac, turnNow);
  if (verdict == PATH_REFUSED) {
    drop(abi.DROP_PATH_MTU);
    return;
  }
  if (verdict == PATH_UNKNOWN) flow.flags |= F_ASKING;
  let offset: u32 = 0;
  do {
    const part = min(step, length - offset);
    const entry = datagramAppend(flow, payload + offset, part);
    if (changetype<usize>(entry) == 0) {
      drop(abi.DROP_OP_LIMIT);
      return;
    }
    entry.address = address;
    entry.port = <u16>port;
    entry.ttl = <u8>ttl;
    entry.tos = <u8>packet.tos;
    entry.quote = <u32>ip;
    entry.from = from;
    if (verdict == PATH_UNKNOWN) entry.asks = 1;
    if (isRun) entry.segment = <u16>segment;
    offset += part;
  } while (offset < length);
}
