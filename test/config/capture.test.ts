/** What is written of the traffic: files, and the bounds of what goes into them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CAPTURE_OPTIONS, SERVE_CAPTURE_OPTIONS } from "../../src/config/capture.ts";
import { readGroup } from "../../src/config/option.ts";
import { settingsOf } from "./support.ts";

for (const [name, group] of [
  ["attach", CAPTURE_OPTIONS],
  ["serve", SERVE_CAPTURE_OPTIONS],
] as const) {
  describe(`captures of ${name}`, () => {
    const read = (given: Readonly<Record<string, string>>) => readGroup(group, settingsOf(given));

    test("are none by default", () => {
      const none = { pcap: undefined, pcapLimitMib: undefined, record: undefined };
      assert.deepEqual(read({}), { ...none, pcapSnap: 262144, recordLimitMib: 1024 });
    });

    test("take files and sizes within bounds", () => {
      assert.deepEqual(
        read({ pcap: "a", "pcap-snap": "64", "pcap-limit": "1", record: "b", "record-limit": "1" }),
        { pcap: "a", pcapSnap: 64, pcapLimitMib: 1, record: "b", recordLimitMib: 1 },
      );
      const most = { "pcap-snap": "262144", "pcap-limit": "1048576", "record-limit": "1048576" };
      const { pcapSnap, pcapLimitMib, recordLimitMib } = read(most);
      assert.deepEqual([pcapSnap, pcapLimitMib, recordLimitMib], [262144, 1048576, 1048576]);
    });

    for (const [option, text] of [
      ["pcap", ""],
      ["record", ""],
      ["pcap-snap", "63"],
      ["pcap-snap", "262145"],
      ["pcap-limit", "0"],
      ["pcap-limit", "1048577"],
      ["record-limit", "0"],
      ["record-limit", "1048577"],
    ] as const) {
      test(`refuse --${option} "${text}"`, () => {
        assert.throws(
          () => read({ [option]: text }),
          new RegExp(`^ConfigError: parse --${option} "`),
        );
      });
    }
  });
}
