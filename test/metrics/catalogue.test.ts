/** The catalogue: complete, its names as Prometheus wants them, docs/metrics.md made from it. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { DROP_NAMES, STAT_NAMES } from "../../src/engine/stats.ts";
import {
  PEER_NAMES,
  seriesOfDrop,
  seriesOfPeers,
  seriesOfStat,
} from "../../src/metrics/catalogue.ts";
import { DROP_HELP } from "../../src/metrics/drop-reasons.ts";
import { FAMILIES, type Family } from "../../src/metrics/families.ts";
import { NO_PEERS } from "../support/no-peers.ts";
import { allSeries, metricsPage, written } from "./page.ts";
import { OUTSIDE_ENGINE, whereDrop, whereStat } from "./where.ts";

describe("catalogue", () => {
  test("every counter has a series of its own, with the labels of its family", () => {
    const all = allSeries();
    const names = all.map(written);
    assert.equal(new Set(names).size, names.length);
    assert.equal(all.length, STAT_NAMES.length + DROP_NAMES.length - 1 + PEER_NAMES.length);
    for (const { family, labels } of all) {
      const { labels: allowed = [], type }: Family = FAMILIES[family];
      assert.deepEqual(Object.keys(labels), allowed, family);
      assert.equal(type, "counter", family);
    }
  });

  test("what is counted of peers is all that links count", () => {
    const { hasPeer, ...counters } = NO_PEERS;
    assert.equal(hasPeer, false);
    assert.deepEqual([...PEER_NAMES].sort(), Object.keys(counters).sort());
  });

  test("names and labels are of Prometheus' form, counters end in _total", () => {
    for (const [name, { type, labels = [], help }] of Object.entries<Family>(FAMILIES)) {
      assert.match(name, /^(?:slirp|process)_[a-z0-9_]+$/);
      assert.equal(name.endsWith("_total"), type === "counter", name);
      if (type === "histogram") assert.match(name, /_seconds$/);
      for (const label of labels) assert.match(label, /^[a-z]+$/);
      assert.match(help, /^[A-Z01].*[^.]$/);
    }
    for (const { labels } of allSeries()) {
      for (const value of Object.values(labels)) assert.match(value, /^[a-z0-9_]+$/);
    }
  });

  test("units are base units, said at the end of the name", () => {
    for (const [name, { help, type }] of Object.entries<Family>(FAMILIES)) {
      const unit = /_(bytes|seconds)(?:_total)?$/.exec(name)?.[1];
      assert.equal(unit === "bytes", /^(?:Octets|(?:Payload )?[Mm]emory)\b/.test(help), name);
      const tellsTime = /\b(?:[Tt]ime (?:of|until|used|that)|round trip|How long|When)\b/.test(
        help,
      );
      assert.equal(unit === "seconds", tellsTime || name === "process_cpu_seconds_total", name);
      assert.ok(type !== "histogram" || unit !== undefined, name);
      assert.doesNotMatch(name, /_(?:ms|us|ns|millis\w*|micros\w*|kib|mib|kilo\w*|mega\w*)(?:_|$)/);
    }
  });

  test("each row is counted somewhere, and its sources exist", () => {
    const engine = [
      ...STAT_NAMES.map((name) => [seriesOfStat(name).family, whereStat(name)] as const),
      ...DROP_NAMES.filter((name) => name !== "dropNone").map(
        (name) => [seriesOfDrop(name).family, whereDrop(name)] as const,
      ),
    ];
    const all = [...engine, ...Object.entries(OUTSIDE_ENGINE)];
    for (const [family, where] of all) {
      assert.ok(where.length > 0, family);
      for (const file of where) {
        assert.ok(existsSync(new URL(`../../${file}`, import.meta.url)), file);
      }
    }
    const families = new Set(all.map(([family]) => family));
    assert.deepEqual([...families].sort(), Object.keys(FAMILIES).sort());
  });

  test("some series by name", () => {
    assert.equal(
      written(seriesOfDrop("dropTcpChecksum")),
      'slirp_drops_total{reason="tcp_checksum"}',
    );
    assert.equal(seriesOfDrop("dropTcpChecksum").help, DROP_HELP.dropTcpChecksum);
    assert.equal(written(seriesOfStat("guestRxBytes")), "slirp_guest_receive_bytes_total");
    assert.equal(written(seriesOfPeers("connections")), "slirp_link_connections_total");
  });

  test("docs/metrics.md is made from it: node --import tsx test/metrics/update-docs.ts", () => {
    const page = readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8");
    assert.equal(page, metricsPage());
  });
});
