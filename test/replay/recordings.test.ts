/**
 * Recordings made on a real tap by the version of 2026-11-30: what the engine did then, it does
 * now, bit for bit. Each has pings, a download and an upload over both versions of IP, datagrams of
 * all sizes (with fragments), a name, a refused connection and one to a published port.
 *
 *     plain   MTU 1500, one flow each way and version
 *     loss    MTU 1500, two; the guest's firewall drops every ninth segment in and eleventh out
 *     jumbo   MTU 65520, two
 *     novnet  MTU 1500, two, on a tap without the virtio-net header
 *
 * A change of behaviour that is meant makes new ones, and CHANGELOG.md says so.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { engineBytes } from "../../src/assets.ts";
import { loadEngine } from "../../src/engine/instance.ts";
import { describeResult } from "../../src/lab/commands/replay-report.ts";
import { hashOctets } from "../../src/lib/hash64.ts";
import { replayRecording } from "../../src/replay/replayer.ts";

const FOLDER = new URL("../fixtures/recordings/", import.meta.url);

/** A file in memory, as the replayer reads it. */
function source(octets: Uint8Array): { read(target: Uint8Array): number } {
  let at = 0;
  return {
    read(target) {
      const part = octets.subarray(at, at + target.length);
      target.set(part);
      at += part.length;
      return part.length;
    },
  };
}

describe("recordings of an earlier version", () => {
  const files = readdirSync(FOLDER);
  test("there are four", () => assert.equal(files.length, 4));
  for (const file of files) {
    for (const isFast of [true, false]) {
      test(`${file}, ${isFast ? "simd" : "scalar"} engine`, () => {
        const octets = engineBytes(isFast);
        const engine = { module: loadEngine(octets), build: hashOctets(octets) };
        const recording = source(gunzipSync(readFileSync(new URL(file, FOLDER))));
        const result = replayRecording(recording, () => engine);
        assert.equal(result.difference, undefined, describeResult(result).join("\n"));
        assert.ok(result.framesIn > 50 && result.framesOut > 40 && result.operations > 50);
      });
    }
  }
});
