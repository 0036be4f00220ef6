/** Frames and operations in one line, for people who read a trace. */
import * as abi from "../../../wasm/abi.ts";
import { formatIpv4 } from "../../lib/addr.ts";
import { get16, get32 } from "./guest/octets.ts";
import { Segment } from "./guest/tcp-segment.ts";

const ETHERNET = 14;
const FLAGS = "FSRPAUEC";

const OPERATIONS = new Map<number, string>([
  [abi.OP_TCP_CONNECT, "connect"],
  [abi.OP_TCP_SEND, "send"],
  [abi.OP_TCP_RECV, "receive"],
  [abi.OP_TCP_SHUTDOWN, "shutdown"],
  [abi.OP_CLOSE, "close"],
  [abi.OP_UDP_OPEN, "open-udp"],
  [abi.OP_UDP_SEND, "send-datagrams"],
  [abi.OP_UDP_RECV, "receive-datagrams"],
  [abi.OP_RECV_ERROR, "receive-error"],
  [abi.OP_PING_OPEN, "open-ping"],
  [abi.OP_TCP_KEEPALIVE, "keepalive"],
  [abi.OP_TCP_ERROR, "take-error"],
  [abi.OP_TCP_TOS, "tos"],
  [abi.OP_TCP_AT_MARK, "at-mark"],
]);

function operationName(kind: number): string {
  return OPERATIONS.get(kind) ?? String(kind);
}

export function describeOperation(kind: number, handle: number, result: number): string {
  return `${operationName(kind)} of ${handle.toString(16)}: ${result}`;
}

/** The words of an operation, and the octets it sends. */
export interface Request {
  readonly code: number;
  readonly handle: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly count: number;
  readonly length: number;
}

/** What an operation asks for. */
export function describeRequest({ code, handle, a, b, c, count, length }: Request): string {
  const what = `${operationName(code)} of ${handle.toString(16)}`;
  if (code === abi.OP_TCP_CONNECT) return `${what} to ${formatIpv4(a)}:${b} count ${count}`;
  if (code === abi.OP_UDP_OPEN) return `${what} at ${a} to ${formatIpv4(b)}:${c} count ${count}`;
  return `${what}: ${a} ${b} ${c} count ${count}, ${length} octets to send`;
}

/** What is in an Ethernet frame, as far as it can be read. */
export function describeFrame(frame: Uint8Array): string {
  const type = get16(frame, 12);
  if (type === 0x0806) {
    const what = get16(frame, ETHERNET + 6) === 1 ? "asks for" : "answers to";
    return `ARP ${formatIpv4(get32(frame, ETHERNET + 14))} ${what} ${formatIpv4(get32(frame, 38))}`;
  }
  if (type !== 0x0800) return `type 0x${type.toString(16)}`;
  const from = formatIpv4(get32(frame, ETHERNET + 12));
  const to = formatIpv4(get32(frame, ETHERNET + 16));
  const protocol = frame[ETHERNET + 9] ?? 0;
  const at = ETHERNET + ((frame[ETHERNET] ?? 0) & 15) * 4;
  const length = ETHERNET + get16(frame, ETHERNET + 2) - at;
  const fragment = get16(frame, ETHERNET + 6) & 0x3fff;
  if (fragment !== 0) {
    const more = fragment & 0x2000 ? "+" : "";
    return `fragment ${(fragment & 0x1fff) * 8}${more} ${from} > ${to} ${length}`;
  }
  if (protocol === 6) return `TCP ${from}:${get16(frame, at)} > ${to}${tcp(frame, at, length)}`;
  const ports = `${from}:${get16(frame, at)} > ${to}:${get16(frame, at + 2)}`;
  if (protocol === 17) return `UDP ${ports} ${length - 8}`;
  if (protocol !== 1) return `protocol ${protocol} ${from} > ${to} ${length}`;
  return `ICMP ${frame[at]}/${frame[at + 1]} ${from} > ${to} ${length - 8}`;
}

function tcp(frame: Uint8Array, at: number, length: number): string {
  const segment = new Segment();
  const wrong = segment.read(frame, at, length);
  if (wrong !== undefined) return ` ${wrong}`;
  const { flags, seq, ack, window, payloadLength } = segment;
  const letters = [...FLAGS].filter((_, bit) => flags & (1 << bit)).join("");
  const { destinationPort } = segment;
  let text = `:${destinationPort} ${letters} ${seq}+${payloadLength} ack ${ack} win ${window}`;
  if (segment.mss > 0) text += ` mss ${segment.mss}`;
  if (segment.scale >= 0) text += ` scale ${segment.scale}`;
  if (segment.hasTimestamps) text += ` ts ${segment.timestamp}/${segment.timestampEcho}`;
  for (let i = 0; i < segment.sackCount; i += 1) {
    text += ` sack ${segment.sack[i * 2]}-${segment.sack[i * 2 + 1]}`;
  }
  return text;
}
