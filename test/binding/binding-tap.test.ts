/** How a tap is asked for: the device, and what is configured of it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { tapRequestOf } from "../../src/binding/outer-end.ts";
import { readAttachOptions } from "../../src/config/attach.ts";
import { settingsOf } from "../config/support.ts";

describe("what is asked for a tap", () => {
  /** The request for a tap with these options. */
  const requestOf = (more: Readonly<Record<string, string>>) => {
    const settings = settingsOf({ tap: "tap3", ...more });
    const { network, link } = readAttachOptions(settings, false);
    assert.ok(link.kind === "tap");
    return tapRequestOf(network, link);
  };

  test("is the device alone where nothing is to be configured", () => {
    const { offloads = 0, ...rest } = requestOf({}).tap;
    assert.deepEqual(rest, { name: "tap3", vnetHeader: true });
    assert.ok(offloads > 0);
    assert.deepEqual(requestOf({}).setup, {});
    const plain = { name: "tap3", vnetHeader: false, offloads: 0 };
    assert.deepEqual(requestOf({ "no-vnet": "true" }).tap, plain);
  });

  test("is addresses of both versions, or of the one there is", () => {
    const asked = { configure: "true", netns: "1", mtu: "1400" };
    const common = { mtu: 1400, up: true, loopback: true };
    const ipv4 = { address: 0x0a00_020f, prefixLength: 24, gateway: 0x0a00_0202 };
    const fd10 = (last: number) => [0xfd, 0x10, 0, 0, 0, 2, ...Array(9).fill(0), last];
    const ipv6 = { address: fd10(2), prefixLength: 64, gateway: fd10(1) };
    const setupOf = (more = {}) =>
      JSON.parse(JSON.stringify(requestOf({ ...asked, ...more }).setup));
    assert.deepEqual(setupOf(), { ...common, ...ipv4, ipv6 });
    assert.deepEqual(setupOf({ "no-ipv6": "true" }), { ...common, ...ipv4 });
    assert.deepEqual(setupOf({ "no-ipv4": "true" }), { ...common, ipv6 });
  });
});
