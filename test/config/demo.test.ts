/** What the demonstration can be told. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readDemoOptions } from "../../src/config/demo.ts";
import { ConfigError } from "../../src/config/errors.ts";
import type { Setting } from "../../src/config/settings.ts";

function read(given: Readonly<Record<string, string>>): ReturnType<typeof readDemoOptions> {
  const settings = new Map<string, Setting>();
  for (const [name, text] of Object.entries(given)) {
    settings.set(name, { values: [text], origin: `--${name}` });
  }
  return readDemoOptions(settings);
}

describe("options of demo", () => {
  test("all have defaults", () => {
    const none = { pcap: undefined, cache: undefined };
    assert.deepEqual(read({}), { guest: "sim", link: "client", sizeMib: 64, ...none });
    assert.ok(Object.isFrozen(read({})));
  });

  test("are read", () => {
    const given = { guest: "qemu", link: "stream", size: "1", pcap: "a.pcap", cache: "/c" };
    const { size, ...rest } = given;
    assert.deepEqual(read(given), { ...rest, sizeMib: Number(size) });
  });

  test("are refused where they make no sense", () => {
    for (const given of [{ guest: "bochs" }, { link: "user" }, { size: "0" }, { pcap: "" }]) {
      assert.throws(() => read(given as Record<string, string>), ConfigError);
    }
  });
});
