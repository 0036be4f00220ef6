/** Options of `doctor`. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readDoctorOptions } from "../../src/config/doctor.ts";
import { ConfigError } from "../../src/config/errors.ts";
import type { Setting } from "../../src/config/settings.ts";

function read(values: Readonly<Record<string, readonly string[]>>) {
  const settings = Object.entries(values).map(([name, each]): [string, Setting] => [
    name,
    { values: [...each], origin: name },
  ]);
  return readDoctorOptions(new Map(settings));
}

describe("doctor: options", () => {
  test("what it looks at with nothing asked for", () => {
    const options = read({});
    assert.equal(options.flowsMax, 16384);
    assert.equal(options.publishedSockets, 0);
    assert.equal(options.lowestPort, undefined);
    assert.equal(options.hooksDir, "/var/run/kubevirt-hooks");
    assert.deepEqual([options.json, options.inGuest, options.dns], [false, false, []]);
  });

  test("sockets of published ports, and the lowest of these", () => {
    const options = read({ publish: ["8080:80", "443:443", "5000-5009:53/udp"] });
    assert.equal(options.lowestPort, 443);
    assert.equal(options.publishedSockets, 2 + 2 + 10);
    const four = read({ publish: ["8080:80"], "no-ipv6": ["true"] });
    assert.equal(four.publishedSockets, 1);
  });

  test("resolvers are addresses", () => {
    assert.deepEqual(read({ dns: ["192.0.2.1", "2001:db8::1"] }).dns, ["192.0.2.1", "2001:db8::1"]);
    assert.throws(() => read({ dns: ["resolver.example"] }), ConfigError);
  });
});
