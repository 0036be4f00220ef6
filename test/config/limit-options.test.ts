/** Bounds that people may set, and the times that nobody is asked for. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ROOM_OPTIONS, TIMEOUT_OPTIONS, TIMEOUTS_DEFAULT } from "../../src/config/limit-options.ts";
import { readGroup } from "../../src/config/option.ts";
import { settingsOf } from "./support.ts";

const GROUP = { ...ROOM_OPTIONS, ...TIMEOUT_OPTIONS };

describe("limits", () => {
  test("have defaults", () => {
    const times = { udpTimeoutSeconds: 300, keepaliveSeconds: 0 };
    assert.deepEqual(TIMEOUTS_DEFAULT, times);
    assert.deepEqual(readGroup(GROUP, new Map()), {
      flowsMax: undefined,
      bufferMib: undefined,
      tcpIdleSeconds: 7440,
      ...times,
    });
  });

  const bounds: readonly (readonly [string, keyof typeof GROUP, readonly [number, number]])[] = [
    ["flows-max", "flowsMax", [256, 65536]],
    ["buffer-mib", "bufferMib", [4, 64]],
    ["tcp-idle-timeout", "tcpIdleSeconds", [7440, 31536000]],
    ["udp-timeout", "udpTimeoutSeconds", [120, 86400]],
    ["keepalive", "keepaliveSeconds", [30, 32767]],
  ];
  for (const [name, key, [min, max]] of bounds) {
    test(`--${name} is from ${min} to ${max}`, () => {
      const read = (number: number) =>
        readGroup(GROUP, settingsOf({ [name]: String(number) }))[key];
      assert.deepEqual([read(min), read(max)], [min, max]);
      const message = `wanted an integer from ${min} to ${max}`;
      for (const number of [min - 1, max + 1]) {
        assert.throws(() => read(number), { message: `parse --${name} "${number}": ${message}` });
      }
    });
  }

  test("keepalive is off by 0, and by no other small number", () => {
    const read = (text: string) =>
      TIMEOUT_OPTIONS.keepaliveSeconds.read(settingsOf({ keepalive: text }));
    assert.equal(read("0"), 0);
    for (const text of ["1", "00", "-0"]) assert.throws(() => read(text), /from 30 to 32767/);
  });
});
