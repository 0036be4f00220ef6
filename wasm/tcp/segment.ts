/**
 * The segment under way: the packet of `flow/packet`, read as TCP. Like that record it is filled
 * once, and holds until the next segment.
 */
import * as abi from "../abi/index";
import { natUnusable } from "../flow/nat";
import { packet, transportChecksumOk } from "../flow/packet";
import { drop } from "../stats";
import { PROTOCOL_TCP, WIRE_OK } from "../wire/ipv4";
import {
  TCP_ACK,
  TCP_DATA_OFFSET,
  TCP_FIN,
  TCP_HEADER_SIZE,
  TCP_RST,
  TCP_SYN,
  TcpView,
  tcpCheck,
} from "../wire/tcp";
import { TcpOptions, tcpOptionsParse } from "../wire/tcp-options";

/** Of TOS or traffic class: ECN is between the two ends of each connection (RFC 3168 §6.1). */
const TOS_DSCP: u32 = 0xfc;

@unmanaged
export class Segment extends TcpOptions {
  /** The guest's port << 16 | that of the other end. */
  ports: u32;
  sequence: u32;
  acknowledgment: u32;
  flags: u32;
  /** As on the wire, not scaled. */
  window: u32;
  /** Urgent pointer. */
  urgent: u32;
  payload: usize;
  payloadLength: u32;
  /** What of the TOS field goes on to the host. */
  tos: u8;
}

export const segment: Segment = changetype<Segment>(memory.data(<i32>offsetof<Segment>(), 4));

/** Reads the packet; false = it is malformed or has no business here, which is counted. */
export function segmentRead(): bool {
  const p = packet.data;
  const length = packet.length;
  const code = tcpCheck(p, length);
  if (code != WIRE_OK) {
    drop(code == TCP_DATA_OFFSET ? abi.DROP_TCP_DATA_OFFSET : abi.DROP_TCP_TRUNCATED);
    return false;
  }
  const source = packet.source;
  const destination = packet.destination;
  if (
    !packet.isChecksumTrusted &&
    !transportChecksumOk(p, length, source, destination, PROTOCOL_TCP)
  ) {
    drop(abi.DROP_TCP_CHECKSUM);
    return false;
  }
  const view = TcpView.at(p);
  if (view.sourcePort == 0 || view.destinationPort == 0) {
    drop(abi.DROP_TCP_PORT);
    return false;
  }
  const flags = view.flags;
  const kinds = flags & (TCP_SYN | TCP_FIN | TCP_RST);
  // At most one of SYN, FIN, RST, and never nothing at all.
  if ((kinds & (kinds - 1)) != 0 || (flags & (TCP_ACK | kinds)) == 0) {
    drop(abi.DROP_TCP_FLAGS);
    return false;
  }
  if (natUnusable(destination)) {
    drop(abi.DROP_IP_DESTINATION);
    return false;
  }
  const offset = view.dataOffset;
  segment.ports = (view.sourcePort << 16) | view.destinationPort;
  segment.sequence = view.sequence;
  segment.acknowledgment = view.acknowledgment;
  segment.flags = flags;
  segment.window = view.window;
  segment.urgent = view.urgent;
  segment.payload = p + offset;
  segment.payloadLength = length - offset;
  segment.tos = <u8>(packet.tos & TOS_DSCP);
  tcpOptionsParse(p + TCP_HEADER_SIZE, offset - TCP_HEADER_SIZE, segment);
  return true;
}

export function segmentHas(bits: u32): bool {
  return (segment.flags & bits) != 0;
}

/** Whether the segment is a SYN and nothing else. */
export function segmentIsSyn(): bool {
  return (segment.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/** Sequence numbers the segment takes. */
export function segmentSpan(): u32 {
  return segment.payloadLength + (segmentHas(TCP_SYN | TCP_FIN) ? 1 : 0);
}
