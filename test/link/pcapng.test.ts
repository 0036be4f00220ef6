/** The file format: what is in the blocks, and that Wireshark's programs read it the same way. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { concat } from "../../src/lib/bytes.ts";
import { CaptureWriter } from "../../src/link/capture-writer.ts";
import { rxSlot, writeRxDescriptor } from "../../src/link/frames.ts";
import { pcapngHeader, pcapngStatistics, STATISTICS_SIZE } from "../../src/link/pcapng.ts";
import { which } from "../support/e2e/shell.ts";
import { readPcapng } from "../support/pcapng.ts";
import { testFrame } from "./suite.ts";
import { TestMemory } from "./test-memory.ts";

const INFO = { interfaceName: "tap0", filter: "tcp and not port 22", snapLength: 128 };
const BEGAN = 1_700_000_000_123_456;

/** A file of two frames, the first one dropped. */
function sample(): Uint8Array {
  const pieces: Uint8Array[] = [pcapngHeader(INFO)];
  const sink = {
    write: (octets: Uint8Array) => pieces.push(octets.slice()) > 0,
    close: () => undefined,
  };
  const memory = new TestMemory();
  const now = (): number => BEGAN;
  const writer = new CaptureWriter({ sink, now, snapLength: 128, reasons: ["none", "tcp_window"] });
  const octets = testFrame(201, 1);
  new Uint8Array(memory.buffer).set(octets, rxSlot(memory, 0));
  writeRxDescriptor(memory, 0, rxSlot(memory, 0), octets.length);
  memory.mark(0, 1, 65_537);
  writer.received(memory, 0, 0, true);
  memory.putFrames([[testFrame(61, 2)]]);
  writer.transmitted(memory, 0, 0);
  writer.close();
  return concat(...pieces);
}

describe("pcapng", () => {
  test("has interface, filter, snap length, frames and statistics", () => {
    const found = readPcapng(sample());
    const { packets, ...rest } = found;
    assert.deepEqual(rest, {
      application: "slirp-binding",
      interfaceName: "tap0",
      filter: "tcp and not port 22",
      snapLength: 128,
      statistics: { seen: 2, lost: 0, accepted: 2 },
    });
    const time = BigInt(BEGAN) * 1000n;
    assert.deepEqual(
      packets.map((packet) => [packet.length, packet.data.length, packet.direction]),
      [
        [201, 128, "inbound"],
        [61, 61, "outbound"],
      ],
    );
    assert.ok(packets.every((packet) => packet.time - time < 1000n && time - packet.time < 1000n));
    assert.deepEqual(packets[0]?.comments, ["dropped: tcp_window", "flow 65537"]);
  });

  test("says of a filter that lets everything through nothing", () => {
    assert.equal(readPcapng(pcapngHeader()).filter, undefined);
    assert.equal(readPcapng(pcapngHeader({ filter: "" })).filter, undefined);
    assert.equal(readPcapng(pcapngHeader({ snapLength: 1e9 })).snapLength, 262_144);
  });

  test("of any names and figures is whole", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.nat(), fc.maxSafeNat(), (name, filter, a, b) => {
        const header = pcapngHeader({ interfaceName: name, filter: `x${filter}` });
        const last = pcapngStatistics({ began: a, ended: b / 2048, seen: b, accepted: a, lost: a });
        assert.equal(last.length, STATISTICS_SIZE);
        const found = readPcapng(concat(header, last));
        const well = (text: string): string => new TextDecoder().decode(Buffer.from(text));
        assert.deepEqual([found.interfaceName, found.filter], [well(name), well(`x${filter}`)]);
        assert.deepEqual(found.statistics, { seen: b, lost: a, accepted: a });
      }),
      { seed: 20261130 },
    );
  });
});

const SKIP = which("tshark") === undefined && "needs tshark (Debian package tshark)";

describe("pcapng as Wireshark reads it", { skip: SKIP }, () => {
  const read = (command: string, args: readonly string[]): string => {
    const folder = mkdtempSync(join(tmpdir(), "slirp-pcapng-"));
    try {
      const file = join(folder, "a.pcapng");
      writeFileSync(file, sample());
      const { stdout, status, stderr } = spawnSync(command, [...args, file], { encoding: "utf8" });
      assert.equal(status, 0, stderr);
      return stdout;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };

  test("tshark shows lengths, directions, times and comments", () => {
    const fields = ["frame.len", "frame.cap_len", "frame.packet_flags_direction", "frame.comment"];
    const shown = read("tshark", [
      ...["-T", "fields", ...fields.flatMap((field) => ["-e", field])],
      ...["-e", "frame.interface_name", "-e", "frame.time_epoch", "-r"],
    ]);
    const lines = shown
      .trimEnd()
      .split("\n")
      .map((line) => line.split("\t"));
    assert.deepEqual(
      lines.map((line) => line.slice(0, 5)),
      [
        ["201", "128", "0x00000001", "dropped: tcp_window,flow 65537", "tap0"],
        ["61", "61", "0x00000002", "", "tap0"],
      ],
    );
    assert.match(lines[0]?.[5] ?? "", /^1700000000\.12345[56]\d{3}$/);
  });

  test("capinfos shows the application, the filter and the precision", () => {
    const shown = read("capinfos", []);
    assert.match(shown, /File type: +Wireshark\/\.\.\. - pcapng/);
    assert.match(shown, /Capture application: +slirp-binding/);
    assert.match(shown, /Number of packets: +2/);
    assert.match(shown, /Filter string = tcp and not port 22/);
    assert.match(shown, /Time precision = nanoseconds \(9\)/);
    assert.match(shown, /Name = tap0/);
  });
});
