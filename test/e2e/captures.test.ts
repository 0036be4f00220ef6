/** The check of captures finds what is wrong with frames of ours, and says where. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { openOutputFile } from "../../src/lib/output-file.ts";
import { CaptureWriter } from "../../src/link/capture-writer.ts";
import { pcapngHeader } from "../../src/link/pcapng.ts";
import { TestMemory } from "../link/test-memory.ts";
import { ROOT } from "../support/e2e/program.ts";
import { run, which } from "../support/e2e/shell.ts";
import {
  arp,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ethernet,
  ipv4,
  MAC_BROADCAST,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  tcp,
  udp,
} from "../support/packet.ts";
import { ETHERTYPE_IPV6, icmp6, ipv6, PROTOCOL_ICMPV6 } from "../support/packet6.ts";

const OURS = "52:55:0a:00:02:02";
const GUEST = "52:54:00:12:34:56";
const ENDS = { source: "10.0.2.2", destination: "10.0.2.15" };
const ENDS6 = { source: "fe80::1", destination: "ff02::1" };
const ROUTER_ADVERTISEMENT = 134;

function frame(source: string, type: number, payload: Uint8Array): Uint8Array {
  return ethernet({ destination: MAC_BROADCAST, source, type }, payload);
}

const REQUEST = arp({
  operation: 1,
  senderMac: OURS,
  senderAddress: ENDS.source,
  targetAddress: ENDS.destination,
});
const DATAGRAM = udp({ ...ENDS, sourcePort: 69, destinationPort: 69 }, "not what TFTP would say");

/** A packet of IPv4, whose header can be given a wrong checksum. */
function packet(protocol: number, payload: Uint8Array, flaw = 0): Uint8Array {
  const octets = ipv4({ ...ENDS, protocol }, payload);
  octets[10] = (octets[10] ?? 0) ^ flaw;
  return octets;
}

/** A router advertisement whose second option has the length 0. */
function flawedAdvertisement(): Uint8Array {
  const body = new Uint8Array(8 + 8 + 8); // fields and two options
  body.set([1, 1, 0x52, 0x55, 0x0a, 0, 2, 2, 5, 0], 8);
  const message = icmp6({ ...ENDS6, type: ROUTER_ADVERTISEMENT }, body);
  return ipv6({ ...ENDS6, protocol: PROTOCOL_ICMPV6, ttl: 255 }, message);
}

/** What the check says of captures with these frames, by name; its lines, and its code. */
async function check(captures: Readonly<Record<string, readonly Uint8Array[]>>) {
  const folder = mkdtempSync(join(tmpdir(), "slirp-check-"));
  const memory = new TestMemory();
  try {
    for (const [name, frames] of Object.entries(captures)) {
      const sink = openOutputFile(join(folder, name));
      const writer = new CaptureWriter({ sink, now: () => 1e15 });
      sink.write(pcapngHeader());
      for (const octets of frames) {
        memory.putFrames([[octets]]);
        writer.transmitted(memory, 0, 0);
      }
      writer.close();
    }
    const outcome = await run(["node", join(ROOT, "scripts/captures.mjs"), folder], 60_000);
    return { code: outcome.code, lines: outcome.stdout.trim().split("\n") };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const SKIP = which("tshark") === undefined && "needs tshark (Debian package tshark)";

describe("the check of captures", { skip: SKIP }, () => {
  test("passes sound frames, whatever their content, and what a guest sends", async () => {
    const frames = [
      frame(OURS, ETHERTYPE_ARP, REQUEST),
      frame(OURS, ETHERTYPE_IPV4, packet(PROTOCOL_UDP, DATAGRAM)),
      frame(GUEST, ETHERTYPE_ARP, REQUEST.subarray(0, 20)),
      frame(GUEST, ETHERTYPE_IPV4, packet(PROTOCOL_UDP, DATAGRAM, 1)),
      frame(GUEST, ETHERTYPE_IPV6, flawedAdvertisement()),
    ];
    assert.deepEqual(await check({ "a.pcap": frames, "b.pcap.1": frames, "c.pcap": [] }), {
      code: 0,
      lines: ["10 frames in 2 captures read by tshark"],
    });
  });

  test("names file, frame and fault", async () => {
    const { code, lines } = await check({
      "cut.pcap": [
        frame(OURS, ETHERTYPE_ARP, REQUEST),
        frame(OURS, ETHERTYPE_ARP, REQUEST.subarray(0, 20)),
      ],
      "option.pcap": [frame(OURS, ETHERTYPE_IPV6, flawedAdvertisement())],
      "sum.pcap": [frame(OURS, ETHERTYPE_IPV4, packet(PROTOCOL_UDP, DATAGRAM, 1))],
    });
    assert.equal(code, 1);
    assert.equal(lines.length, 4, lines.join("\n"));
    assert.match(lines[0] ?? "", /^cut\.pcap: frame 2 \(eth:ethertype:arp\): /);
    assert.match(lines[1] ?? "", /^option\.pcap: frame 1 \(eth:ethertype:ipv6:icmpv6\): /);
    assert.match(lines[2] ?? "", /^sum\.pcap: frame 1 .*checksum/);
    assert.equal(lines[3], "4 frames in 3 captures read by tshark");
  });

  test("checksums of TCP and UDP count where the link leaves none to others", async () => {
    const segment = tcp({ ...ENDS, sourcePort: 80, destinationPort: 1024, seq: 1, flags: "S" });
    const frames = [
      [PROTOCOL_TCP, segment, 16],
      [PROTOCOL_UDP, DATAGRAM, 6],
    ] as const;
    const flawed = frames.map(([protocol, octets, offset]) => {
      const copy = octets.slice();
      copy[offset] = (copy[offset] ?? 0) ^ 0x55;
      return frame(OURS, ETHERTYPE_IPV4, packet(protocol, copy));
    });
    const { code, lines } = await check({ "left.pcap": flawed, "own-sums.pcap": flawed });
    assert.equal(code, 1);
    assert.equal(lines.length, 3, lines.join("\n"));
    assert.match(lines[0] ?? "", /^own-sums\.pcap: frame 1 .*checksum/);
    assert.match(lines[1] ?? "", /^own-sums\.pcap: frame 2 .*checksum/);
  });

  test("a bad habit is told a few times and then counted", async () => {
    const flawed = frame(OURS, ETHERTYPE_ARP, REQUEST.subarray(0, 20));
    const { lines } = await check({ "cut.pcap": Array.from({ length: 9 }, () => flawed) });
    assert.equal(lines.length, 7, lines.join("\n"));
    assert.equal(lines[5], "cut.pcap: 4 more frames");
  });
});
