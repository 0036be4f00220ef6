/** `stats`: series with their units, chosen by pattern, histograms, and what has changed. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { FamilySchema } from "../../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";
import { showStats } from "../../../src/cli/admin/stats.ts";
import { readStats, type StatsQuestion } from "../../../src/config/inspect.ts";
import { settingsOf } from "../../config/support.ts";
import { type Stage, stage } from "./support.ts";

type Given = MessageInitShape<typeof FamilySchema>;

function families(bytes: number, flows: number): Given[] {
  return [
    {
      name: "slirp_guest_receive_bytes_total",
      type: "counter",
      samples: [{ labels: { interface: "tap0" }, value: bytes }],
    },
    {
      name: "slirp_drops_total",
      type: "counter",
      samples: [
        { labels: { interface: "tap0", reason: "tcp_checksum" }, value: 3 },
        { labels: { interface: "tap0", reason: "udp_checksum" }, value: 0 },
      ],
    },
    { name: "slirp_flows", type: "gauge", samples: [{ value: flows }] },
    {
      name: "slirp_connect_seconds",
      type: "histogram",
      samples: [
        {
          buckets: [
            { upper: 0.001, count: 5n },
            { upper: 0.1, count: 9n },
          ],
          count: 10n,
          sum: 2,
        },
      ],
    },
  ];
}

function asked(given: Readonly<Record<string, string | readonly string[]>> = {}): StatsQuestion {
  return readStats(settingsOf(given));
}

async function shown(given: Parameters<typeof asked>[0], width?: number): Promise<Stage> {
  const at = stage({ getStats: () => ({ families: families(4096, 7) }) }, width);
  await showStats(asked(given), at);
  return at;
}

describe("stats", () => {
  test("have the names of /metrics, values in units, and leave out what is zero", async () => {
    const { output } = await shown({});
    assert.deepEqual(
      output.lines.map((line) => line.replace(/ {2,}/g, "  ")),
      [
        "SERIES  VALUE",
        'slirp_guest_receive_bytes_total{interface="tap0"}  4.0K',
        'slirp_drops_total{interface="tap0",reason="tcp_checksum"}  3',
        "slirp_flows  7",
        "slirp_connect_seconds  10 mean 200ms p50 <=1.0ms p99 >100ms",
      ],
    );
  });

  test("are chosen by what is in their text, * being anything", async () => {
    const names = async (...pattern: string[]): Promise<unknown[]> => {
      const { output } = await shown({ pattern, json: "true", all: "true" });
      return output.records.map(({ name }) => name);
    };
    assert.deepEqual(await names("DROPS"), ["slirp_drops_total", "slirp_drops_total"]);
    assert.deepEqual(await names("drops*udp"), ["slirp_drops_total"]);
    assert.deepEqual(await names("udp*drops"), []);
    assert.deepEqual(await names("flows", "connect"), ["slirp_flows", "slirp_connect_seconds"]);
  });

  test("as JSON are one object each", async () => {
    const { output } = await shown({ json: "true", pattern: ["flows", "connect"] });
    assert.deepEqual(output.records, [
      { name: "slirp_flows", type: "gauge", labels: {}, value: 7 },
      {
        name: "slirp_connect_seconds",
        type: "histogram",
        labels: {},
        count: 10,
        sum: 2,
        buckets: [
          { le: 0.001, count: 5 },
          { le: 0.1, count: 9 },
        ],
      },
    ]);
  });

  test("that are none say why", async () => {
    const { output, notes } = await shown({ pattern: "udp_checksum" });
    assert.equal(output.text, "");
    assert.deepEqual(notes, ["no such series, or all are zero (--all shows them)"]);
  });

  test("fit the terminal", async () => {
    const { output } = await shown({}, 40);
    for (const line of output.lines) assert.ok([...line].length <= 40, line);
  });

  test("with --watch tell what has changed, and how fast", async () => {
    const at = stage({
      async *watchStats() {
        yield { timeUs: 1_000_000n, families: families(4096, 7) };
        yield { timeUs: 1_500_000n, families: families(4096, 7) };
        yield { timeUs: 3_500_000n, families: families(8192, 5) };
      },
    });
    await showStats(asked({ watch: "true" }), at);
    const blocks = at.output.text.split("\n\n").map((block) => block.replace(/ {2,}/g, "  "));
    assert.equal(blocks.length, 3, "two, and the end");
    assert.equal(
      blocks[1],
      "1970-01-01T00:00:03.500Z\n" +
        "SERIES  VALUE  CHANGE\n" +
        'slirp_guest_receive_bytes_total{interface="tap0"}  8.0K  2.0K/s\n' +
        "slirp_flows  5  -2",
    );
  });
});
