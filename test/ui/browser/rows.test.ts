/** The flows table: what is found, in which order, in which words. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toJson } from "@bufbuild/protobuf";
import { FlowSchema, Waiting } from "../../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";
import { parseFilter } from "../../../src/config/filter.ts";
import { type FlowInfo, type JsonFlow, readFlow } from "../../../src/ui/browser/model.ts";
import * as rows from "../../../src/ui/browser/rows.ts";
import { flowOf } from "../../support/ui/scene.ts";

const NOW_us = 5e12;

function info(id: number): FlowInfo {
  return readFlow(toJson(FlowSchema, flowOf(id)) as JsonFlow, NOW_us, undefined);
}

describe("rows", () => {
  const flows = Array.from({ length: 40 }, (_, i) => info(i + 1));

  test("every word of a search has to be found, wherever", () => {
    assert.equal(rows.searched(flows, "").length, 40);
    assert.equal(rows.searched(flows, "  ").length, 40);
    const found = rows.searched(flows, "ESTABLISHED :443");
    assert.ok(found.length > 0 && found.length < 40);
    for (const { state, peerPort } of found) {
      assert.deepEqual([state, peerPort], ["ESTABLISHED", 443]);
    }
    assert.equal(rows.searched(flows, "no-such-thing").length, 0);
  });

  test("every column orders both ways", () => {
    for (const { id, key } of rows.COLUMNS) {
      for (const isDescending of [true, false]) {
        const sorted = rows.ordered(flows, { column: id, isDescending }, NOW_us);
        const keys = sorted.map((each) => key(each, NOW_us));
        for (let i = 1; i < keys.length; i += 1) {
          const [a = "", b = ""] = [keys[i - 1], keys[i]];
          assert.ok(isDescending ? a >= b : a <= b, `${id}: ${a} before ${b}`);
        }
      }
    }
  });

  test("flows that are equal are in the order of their age, however they come", () => {
    const order = { column: "up", isDescending: true };
    const ages = (given: readonly FlowInfo[]): number[] =>
      rows.ordered(given, order, NOW_us).map(({ born_us }) => born_us);
    assert.deepEqual(ages(flows), ages(flows.toReversed()));
    assert.deepEqual(ages(flows), ages(flows).toSorted());
  });

  test("everything that a flow can wait for has a word and a sentence", () => {
    const names = Object.keys(Waiting).filter((name) => /^[A-Z]/.test(name));
    const known = ["UNSPECIFIED", ...Object.keys(rows.WAITING)];
    assert.deepEqual(known.sort(), names.sort());
    assert.equal(rows.waitingWord("SOMETHING_NEW"), "something new");
    assert.equal(rows.waitingWord(""), "–");
  });

  test("spans and rates for people", () => {
    const spans: readonly (readonly [number, string])[] = [
      [0, "0 ms"],
      [-5, "0 ms"],
      [250_000, "250 ms"],
      [1.5e6, "1.5 s"],
      [59.9e6, "59 s"],
      [185e6, "3 min 5 s"],
      [7440e6, "2 h 4 min"],
      [90_000e6, "1 d 1 h"],
    ];
    for (const [span_us, text] of spans) assert.equal(rows.formatSpan(span_us), text);
    assert.deepEqual([rows.formatRate(0), rows.formatRate(125)], ["–", "1 kbit/s"]);
  });

  test("the filter of a flow is one that captures take", () => {
    for (const kind of ["tcp", "udp", "dns", "ping"]) {
      for (const peer of ["192.0.2.1", "2001:db8::1"]) {
        const filter = rows.filterOf({ ...info(1), kind, peer });
        assert.doesNotThrow(() => parseFilter(filter, "frames"), filter);
      }
    }
  });
});
