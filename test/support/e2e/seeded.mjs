/**
 * A byte stream that depends on a seed alone, with every 4 KiB marked by its place.
 *
 * Two runs of one seed give the same bytes; a lost, doubled or swapped piece of any size shows in
 * the hash because no two places of a stream are equal. As a program: `seeded.mjs SEED COUNT`
 * writes COUNT bytes to standard output.
 */

import { createHash } from "node:crypto";
import process from "node:process";
import { fileURLToPath } from "node:url";

const BLOCK_SIZE = 65536;
const MARK_STRIDE = 4096;

/** The 64 KiB that all blocks of a seed have in common (xorshift32). */
function basis(seed) {
  const block = Buffer.alloc(BLOCK_SIZE);
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  for (let offset = 0; offset < BLOCK_SIZE; offset += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    block.writeInt32LE(state | 0, offset);
  }
  return block;
}

/** Yields `count` bytes of the stream of `seed` in fresh buffers of up to 64 KiB. */
export function* blocks(seed, count) {
  const common = basis(seed);
  for (let at = 0; at < count; at += BLOCK_SIZE) {
    const block = Buffer.from(common);
    for (let offset = 0; offset < BLOCK_SIZE; offset += MARK_STRIDE) {
      block.writeDoubleLE(at + offset, offset);
    }
    yield count - at >= BLOCK_SIZE ? block : block.subarray(0, count - at);
  }
}

/** Hex SHA-256 of the first `count` bytes of the stream of `seed`. */
export function sha256Of(seed, count) {
  const hash = createHash("sha256");
  for (const block of blocks(seed, count)) {
    hash.update(block);
  }
  return hash.digest("hex");
}

/** Writes the stream to a writable, waiting for it to drain; `goOn` may stop it early. */
export async function writeTo(writable, seed, count, goOn = () => true) {
  for (const block of blocks(seed, count)) {
    if (!goOn()) {
      return;
    }
    if (!writable.write(block)) {
      await new Promise((resolve) => {
        const done = () => {
          writable.off("drain", done);
          writable.off("close", done);
          resolve();
        };
        writable.once("drain", done);
        writable.once("close", done);
      });
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [seed, count] = process.argv.slice(2).map(Number);
  await writeTo(process.stdout, seed, count);
}
