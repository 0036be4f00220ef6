/** What is downloaded and uploaded: the same for the same seed, of the size asked for, noise. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { Content, contentSum } from "../../src/lab/demo/content.ts";

function whole(seed: number, size: number): Buffer {
  const content = new Content(seed, size);
  const parts: Uint8Array[] = [];
  for (let part = content.next(); part !== undefined; part = content.next()) parts.push(part);
  assert.equal(content.left, 0);
  return Buffer.concat(parts);
}

describe("content", () => {
  test("has exactly its size, whatever that is", () => {
    for (const size of [0, 1, 65_535, 65_536, 65_537, 300_000]) {
      assert.equal(whole(1, size).length, size);
    }
  });

  test("derives from its seed, and its sum is that of its octets", () => {
    const octets = whole(7, 200_000);
    assert.deepEqual(whole(7, 200_000), octets);
    assert.notDeepEqual(whole(8, 200_000), octets);
    assert.equal(contentSum(7, 200_000), createHash("sha256").update(octets).digest("hex"));
  });

  test("cannot be compressed: no part is like another", () => {
    assert.ok(gzipSync(whole(1, 400_000)).length > 395_000);
  });
});
