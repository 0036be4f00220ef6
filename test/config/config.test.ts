/**
 * `readAttachOptions`. Goal: a value that needs no further check, frozen all the way down. How each
 * option looks on the command line is tested in `test/cli/options.test.ts`.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type AttachOptions, readAttachOptions } from "../../src/config/config.ts";
import type { Setting } from "../../src/config/settings.ts";

function read(given: Readonly<Record<string, readonly string[]>>): AttachOptions {
  const settings = new Map<string, Setting>([["tap", { values: ["tap0"], origin: "--tap" }]]);
  for (const [name, values] of Object.entries(given)) {
    settings.set(name, { values, origin: `--${name}` });
  }
  return readAttachOptions(settings, false);
}

function assertFrozen(value: unknown, path: string): void {
  if (typeof value !== "object" || value === null) return;
  assert.ok(Object.isFrozen(value), `${path} is frozen`);
  for (const [key, part] of Object.entries(value)) assertFrozen(part, `${path}.${key}`);
}

test("an AttachOptions is frozen all the way down", () => {
  const options = read({
    publish: ["80-82:80"],
    dns: ["1.1.1.1"],
    search: ["a.org"],
    seed: ["0".repeat(64)],
  });
  assertFrozen(options, "options");
  assert.throws(() => Object.assign(options.subnet, { guest: 0 }), TypeError);
});

test("without a link nothing can be attached", () => {
  assert.throws(() => readAttachOptions(new Map(), false), {
    name: "ConfigError",
    message: 'choose one of "--tap", "--listen" and "--connect": none given',
  });
});

test("the log is pretty on a terminal and JSON elsewhere", () => {
  const settings = new Map<string, Setting>([["tap", { values: ["t"], origin: "--tap" }]]);
  assert.equal(readAttachOptions(settings, true).logFormat, "pretty");
  assert.equal(readAttachOptions(settings, false).logFormat, "json");
});

describe("values that depend on each other", () => {
  test("the gateway's MAC follows its address", () => {
    const { gatewayMac, subnet } = read({ cidr: ["192.168.7.0/28"] });
    assert.deepEqual(gatewayMac, [0x52, 0x55, 192, 168, 7, 2]);
    assert.equal(subnet.guest, 0xc0a80704);
  });

  test("configuring is for another namespace than our own", () => {
    assert.throws(() => read({ configure: ["true"] }), {
      message: 'add "--netns" to "--configure": our own namespace is left as it is',
    });
    const { link } = read({ configure: ["true"], netns: ["1"] });
    assert.ok(link.kind === "tap" && link.configure);
  });

  test("forwards are checked against each other", () => {
    assert.throws(() => read({ publish: ["80:80", "80:81"] }), /once, not twice$/);
  });

  test("a search list too long for DHCP is refused at once", () => {
    const search = Array.from({ length: 40 }, (_, index) => `${"y".repeat(40)}.d${index}`);
    assert.throws(() => read({ search }), /^ConfigError: shorten DHCP options/);
  });

  test("at most three resolvers", () => {
    const dns = ["1.1.1.1", "1.1.1.2", "1.1.1.3"];
    assert.deepEqual(read({ dns }).dns, dns);
    assert.throws(() => read({ dns: [...dns, "1.1.1.4"] }), {
      message: "give at most 3 resolvers, not 4",
    });
  });
});
