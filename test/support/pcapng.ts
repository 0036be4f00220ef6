/** An independent reader of captures: blocks of pcapng, little-endian, one interface. */
import assert from "node:assert/strict";

export interface CapturedPacket {
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  /** Of the frame as it was. */
  readonly length: number;
  readonly data: Uint8Array;
  readonly direction: "inbound" | "outbound";
  readonly comments: readonly string[];
}

export interface ReadCapture {
  readonly application: string;
  readonly interfaceName: string | undefined;
  readonly filter: string | undefined;
  readonly snapLength: number;
  readonly packets: readonly CapturedPacket[];
  /** Of the last block; undefined: there is none. */
  readonly statistics:
    | { readonly seen: number; readonly lost: number; readonly accepted: number }
    | undefined;
}

interface Option {
  readonly code: number;
  readonly value: Uint8Array<ArrayBuffer>;
}

function text(options: readonly Option[], code: number): string | undefined {
  const found = options.find((option) => option.code === code);
  return found && new TextDecoder().decode(found.value);
}

/** The blocks of a file: type, and where what it holds begins and ends. */
function* blocksOf(view: DataView): Generator<readonly [type: number, at: number, end: number]> {
  for (let at = 0; at < view.byteLength; ) {
    const size = view.getUint32(at + 4, true);
    assert.equal(size % 4, 0);
    const end = at + size - 4;
    assert.equal(view.getUint32(end, true), size, "the length stands at both ends");
    yield [view.getUint32(at, true), at, end];
    at += size;
  }
}

function optionsOf(view: DataView, from: number, end: number): Option[] {
  const options: Option[] = [];
  for (let at = from; at < end; ) {
    const [code, length] = [view.getUint16(at, true), view.getUint16(at + 2, true)];
    if (code === 0) {
      assert.equal(at + 4, end, "nothing follows the end of options");
      return options;
    }
    const next = at + 4 + ((length + 3) & ~3);
    for (let i = at + 4 + length; i < next; i += 1) assert.equal(view.getUint8(i), 0, "padding");
    options.push({ code, value: octetsOf(view, at + 4, length) });
    at = next;
  }
  return options;
}

function octetsOf(view: DataView, at: number, length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(view.buffer, view.byteOffset + at, length).slice();
}

function packetOf(view: DataView, at: number, end: number): CapturedPacket {
  const u32 = (offset: number): number => view.getUint32(at + offset, true);
  assert.equal(u32(8), 0);
  const data = octetsOf(view, at + 28, u32(20));
  const options = optionsOf(view, at + 28 + ((data.length + 3) & ~3), end);
  const [flags = 0] = options.find(({ code }) => code === 2)?.value ?? [];
  const comments = options.filter(({ code }) => code === 1);
  return {
    time: (BigInt(u32(12)) << 32n) | BigInt(u32(16)),
    length: u32(24),
    data,
    direction: flags === 1 ? "inbound" : "outbound",
    comments: comments.map(({ value }) => new TextDecoder().decode(value)),
  };
}

function statisticsOf(view: DataView, at: number, end: number): ReadCapture["statistics"] {
  const options = optionsOf(view, at + 20, end);
  const count = (code: number): number => {
    const value = options.find((option) => option.code === code)?.value ?? new Uint8Array(8);
    return Number(new DataView(value.buffer).getBigUint64(0, true));
  };
  return { seen: count(4), lost: count(5), accepted: count(6) };
}

type Described = Pick<ReadCapture, "interfaceName" | "filter" | "snapLength">;

function descriptionOf(view: DataView, at: number, end: number): Described {
  const options = optionsOf(view, at + 16, end);
  assert.equal(view.getUint16(at + 8, true), 1, "Ethernet");
  assert.deepEqual([...(options.find(({ code }) => code === 9)?.value ?? [])], [9]);
  const filter = text(options, 11)?.slice(1);
  return { interfaceName: text(options, 2), filter, snapLength: view.getUint32(at + 12, true) };
}

/** Reads a whole file; fails where it is not what the format says. */
export function readPcapng(file: Uint8Array): ReadCapture {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  assert.equal(view.getUint32(8, true), 0x1a2b3c4d);
  assert.deepEqual([view.getUint16(12, true), view.getUint16(14, true)], [1, 0]);
  let application: string | undefined;
  let described: Described | undefined;
  let statistics: ReadCapture["statistics"];
  const packets: CapturedPacket[] = [];
  for (const [type, at, end] of blocksOf(view)) {
    assert.equal(statistics, undefined, "statistics are last");
    if (type === 0x0a0d0d0a) application = text(optionsOf(view, at + 24, end), 4);
    else if (type === 1) described = descriptionOf(view, at, end);
    else if (type === 6) packets.push(packetOf(view, at, end));
    else {
      assert.equal(type, 5);
      statistics = statisticsOf(view, at, end);
    }
  }
  assert.ok(application !== undefined && described !== undefined);
  return { application, ...described, packets, statistics };
}
