/**
 * Packets of the Wisp protocol, one to a WebSocket message: type u8, stream u32, payload. Numbers
 * are little-endian.
 *
 *     1 CONNECT   kind u8 (1 TCP, 2 UDP), port u16, host      client
 *     2 DATA      octets                                      both
 *     3 CONTINUE  packets that may be sent u32                server
 *     4 CLOSE     reason u8                                   both
 *     5 INFO      version u8 u8, (id u8, length u32, …)*      both, version 2
 *
 * Source: Wisp protocol, version 1 and draft 4 of version 2 (MercuryWorkshop/wisp-protocol).
 */
import { joined } from "../../upstream/messages.ts";

const CONNECT = 1;
export const DATA = 2;
export const CONTINUE = 3;
export const CLOSE = 4;
export const INFO = 5;

export const KIND_TCP = 1;
export const KIND_UDP = 2;
export type StreamKind = typeof KIND_TCP | typeof KIND_UDP;

/** The far side has ended it, or we have; the connection to the relay is lost. */
export const VOLUNTARY = 2;
export const LOST = 3;

/** Extensions: streams of UDP; a CONTINUE tells that a stream's far side has accepted. */
export const EXTENSION_UDP = 1;
export const EXTENSION_CONFIRM = 5;

export const HEADER_SIZE = 5;
/** What one packet may carry, octets; servers send what they read at once, 64 KiB as a rule. */
const PAYLOAD_MAX = 4 << 20;
const MAJOR = 2;
const INFO_SIZE = 2;
const EXTENSION_SIZE = 5;
const EXTENSIONS_MAX = 64;

/** Memory for a packet of so many octets, to be filled and sent. */
type PacketRoom = (size: number) => Uint8Array<ArrayBuffer>;

export interface Packet {
  readonly type: number;
  readonly stream: number;
  /** Part of the message. */
  readonly payload: Uint8Array;
}

/** What a server says of itself. */
export interface Info {
  readonly major: number;
  readonly extensions: ReadonlySet<number>;
}

const text = new TextEncoder();

/** Reads a message; undefined = it is no packet. */
export function readPacket(message: Uint8Array): Packet | undefined {
  const { length } = message;
  if (length < HEADER_SIZE || length > HEADER_SIZE + PAYLOAD_MAX) return undefined;
  const payload = message.subarray(HEADER_SIZE);
  return { type: message[0] ?? 0, stream: readU32(message, 1), payload };
}

/** Credits of a CONTINUE; undefined = malformed. */
export function readCredits({ payload }: Packet): number | undefined {
  return payload.length < 4 ? undefined : readU32(payload, 0);
}

/** Reason of a CLOSE; what has none is one of an unknown reason. */
export function readReason({ payload }: Packet): number {
  return payload[0] ?? 1;
}

/** Reads an INFO; undefined = malformed. */
export function readInfo({ payload }: Packet): Info | undefined {
  if (payload.length < INFO_SIZE) return undefined;
  const extensions = new Set<number>();
  let at = INFO_SIZE;
  for (let i = 0; at < payload.length; i += 1) {
    if (i === EXTENSIONS_MAX || payload.length < at + EXTENSION_SIZE) return undefined;
    extensions.add(payload[at] ?? 0);
    at += EXTENSION_SIZE + readU32(payload, at + 1);
    if (at > payload.length) return undefined;
  }
  return { major: payload[0] ?? 0, extensions };
}

export function connectPacket(
  stream: number,
  kind: StreamKind,
  host: string,
  port: number,
): Uint8Array<ArrayBuffer> {
  const head = Uint8Array.of(kind, port & 0xff, port >> 8);
  return packet(CONNECT, stream, [head, text.encode(host)]);
}

/** @param room makes the memory for it */
export function dataPacket(
  stream: number,
  pieces: readonly Uint8Array[],
  room: PacketRoom,
): Uint8Array<ArrayBuffer> {
  return packet(DATA, stream, pieces, room);
}

export function closePacket(stream: number, reason: number): Uint8Array<ArrayBuffer> {
  return packet(CLOSE, stream, [Uint8Array.of(reason)]);
}

/** What we say of ourselves, with extensions that need no more than their name. */
export function infoPacket(extensions: readonly number[]): Uint8Array<ArrayBuffer> {
  const listed = extensions.map((id) => Uint8Array.of(id, 0, 0, 0, 0));
  return packet(INFO, 0, [Uint8Array.of(MAJOR, 0), ...listed]);
}

function packet(
  type: number,
  stream: number,
  pieces: readonly Uint8Array[],
  room?: PacketRoom,
): Uint8Array<ArrayBuffer> {
  const head = Uint8Array.of(type, stream, stream >>> 8, stream >>> 16, stream >>> 24);
  return joined([head, ...pieces], room);
}

function readU32(octets: Uint8Array, at: number): number {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength).getUint32(at, true);
}
