/**
 * A screenshot with 256 colours: a third of the octets, and nobody sees it.
 *
 * Reads what browsers write (8 bits, RGB or RGBA without transparency, not interlaced) and writes
 * PNG with a palette (https://www.w3.org/TR/png/): the colours that are most frequent, and for
 * others the nearest of these.
 */
import { crc32, deflateSync, inflateSync } from "node:zlib";

const SIGNATURE = Buffer.from("89504e470d0a1a0a", "hex");
const COLORS_MAX = 256;
const TYPE_RGB = 2;
const TYPE_PALETTE = 3;
const COMPRESSION = 9;

interface Image {
  readonly width: number;
  readonly height: number;
  /** 0xRRGGBB each, row by row. */
  readonly pixels: Uint32Array;
}

export function shrinkPng(png: Buffer): Buffer {
  const image = readPng(png);
  const counts = new Map<number, number>();
  for (const pixel of image.pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const byCount = [...counts].sort(([, a], [, b]) => b - a).map(([color]) => color);
  const palette = byCount.slice(0, COLORS_MAX);
  const indices = new Map(byCount.map((color) => [color, nearest(color, palette)]));
  return writePng(image, palette, indices);
}

function nearest(color: number, palette: readonly number[]): number {
  let [best, least] = [0, Number.POSITIVE_INFINITY];
  palette.forEach((other, i) => {
    const distance = [16, 8, 0].reduce((sum, shift) => {
      return sum + (((color >> shift) & 255) - ((other >> shift) & 255)) ** 2;
    }, 0);
    if (distance < least) [best, least] = [i, distance];
  });
  return best;
}

function readPng(png: Buffer): Image {
  const data: Buffer[] = [];
  let [width, height, channels] = [0, 0, 0];
  for (let at = SIGNATURE.length; at < png.length; ) {
    const size = png.readUInt32BE(at);
    const kind = png.toString("latin1", at + 4, at + 8);
    const body = png.subarray(at + 8, at + 8 + size);
    if (kind === "IHDR") {
      [width, height] = [body.readUInt32BE(0), body.readUInt32BE(4)];
      channels = body[9] === TYPE_RGB ? 3 : 4;
    }
    if (kind === "IDAT") data.push(body);
    at += size + 12;
  }
  return { width, height, pixels: unfilter(inflateSync(Buffer.concat(data)), width, channels) };
}

/** Takes the five filters of PNG back. */
function unfilter(lines: Buffer, width: number, channels: number): Uint32Array {
  const stride = width * channels;
  const height = lines.length / (stride + 1);
  const octets = Buffer.alloc(stride * height);
  for (let y = 0; y < height; y += 1) {
    const filter = lines[y * (stride + 1)] ?? 0;
    for (let x = 0; x < stride; x += 1) {
      const place = y * stride + x;
      const left = x >= channels ? (octets[place - channels] ?? 0) : 0;
      const up = y > 0 ? (octets[place - stride] ?? 0) : 0;
      const corner = x >= channels && y > 0 ? (octets[place - stride - channels] ?? 0) : 0;
      const guesses = [0, left, up, (left + up) >> 1, paeth(left, up, corner)];
      octets[place] = (lines[y * (stride + 1) + 1 + x] ?? 0) + (guesses[filter] ?? 0);
    }
  }
  return Uint32Array.from({ length: width * height }, (_, i) => octets.readUIntBE(i * channels, 3));
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [a, b, c] = [left, up, corner].map((each) => Math.abs(guess - each));
  if (a === undefined || b === undefined || c === undefined) return 0;
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

function writePng(
  { width, height, pixels }: Image,
  palette: readonly number[],
  indices: ReadonlyMap<number, number>,
): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, TYPE_PALETTE], 8);
  const colors = Buffer.alloc(palette.length * 3);
  palette.forEach((color, i) => {
    colors.writeUIntBE(color, i * 3, 3);
  });
  // A filter of 0 before each row.
  const lines = Buffer.alloc((width + 1) * height);
  pixels.forEach((pixel, i) => {
    const row = Math.floor(i / width);
    lines[row * (width + 1) + 1 + (i % width)] = indices.get(pixel) ?? 0;
  });
  const body = deflateSync(lines, { level: COMPRESSION });
  const chunks = [chunk("IHDR", head), chunk("PLTE", colors), chunk("IDAT", body)];
  return Buffer.concat([SIGNATURE, ...chunks, chunk("IEND", Buffer.alloc(0))]);
}

function chunk(kind: string, body: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(kind, "latin1"), body]);
  const octets = Buffer.alloc(named.length + 8);
  octets.writeUInt32BE(body.length, 0);
  octets.set(named, 4);
  octets.writeUInt32BE(crc32(named), named.length + 4);
  return octets;
}
