/** Address classes, by table: first and last address of each and their neighbours. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { wireModules } from "../../support/wire.ts";

function address(text: string): number {
  return text.split(".").reduce((value, octet) => value * 256 + Number(octet), 0);
}

const CLASSES: Readonly<Record<string, readonly [first: string, last: string]>> = {
  addressIsThisNetwork: ["0.0.0.0", "0.255.255.255"],
  addressIsLoopback: ["127.0.0.0", "127.255.255.255"],
  addressIsLinkLocal: ["169.254.0.0", "169.254.255.255"],
  addressIsMulticast: ["224.0.0.0", "239.255.255.255"],
  addressIsReserved: ["240.0.0.0", "255.255.255.255"],
};

const SAMPLES = [
  ...["0.0.0.0", "0.0.0.1", "0.255.255.255", "1.0.0.0", "10.0.2.15", "126.255.255.255"],
  ...["127.0.0.0", "127.0.0.1", "127.255.255.255", "128.0.0.0", "169.253.255.255", "169.254.0.0"],
  ...["169.254.255.255", "169.255.0.0", "192.168.1.255", "223.255.255.255", "224.0.0.0"],
  ...["239.255.255.255", "240.0.0.0", "255.255.255.254", "255.255.255.255"],
];

const UNUSABLE = [
  "addressIsThisNetwork",
  "addressIsLoopback",
  "addressIsMulticast",
  "addressIsReserved",
];

function inClass(name: string, text: string): boolean {
  const range = CLASSES[name];
  assert.ok(range);
  return address(range[0]) <= address(text) && address(text) <= address(range[1]);
}

for (const [variant, wire] of wireModules()) {
  describe(`wire/addr (${variant})`, () => {
    for (const name of Object.keys(CLASSES)) {
      test(`${name} knows its range`, () => {
        for (const text of SAMPLES) {
          assert.equal(wire.bool(name, address(text)), inClass(name, text), text);
        }
      });
    }

    test("multicast, broadcast, reserved, loopback and 0/8 are usable in no packet", () => {
      for (const text of SAMPLES) {
        const unusable = UNUSABLE.some((name) => inClass(name, text));
        assert.equal(wire.bool("addressIsUnusableSource", address(text)), unusable, text);
        assert.equal(wire.bool("addressIsUnusableDestination", address(text)), unusable, text);
      }
    });

    test("a prefix matches by its first bits only, 0 to 32 of them", () => {
      const network = address("10.0.2.0");
      const cases: readonly (readonly [string, number, boolean])[] = [
        ["10.0.2.0", 24, true],
        ["10.0.2.255", 24, true],
        ["10.0.3.0", 24, false],
        ["10.0.1.255", 24, false],
        ["10.255.255.255", 8, true],
        ["11.0.0.0", 8, false],
        ["10.0.2.0", 32, true],
        ["10.0.2.1", 32, false],
        ["10.0.2.1", 31, true],
        ["127.255.255.255", 1, true],
        ["128.0.0.0", 1, false],
        ["255.255.255.255", 0, true],
        ["0.0.0.0", 0, true],
      ];
      for (const [text, length, inside] of cases) {
        const found = wire.bool("addressInPrefix", address(text), network, length);
        assert.equal(found, inside, `${text}/${length}`);
      }
      assert.ok(wire.bool("addressInPrefix", address("10.0.2.7"), address("10.0.2.99"), 24));
    });

    test("the group bit is the lowest of the first octet", () => {
      assert.equal(wire.u64("macBroadcast"), 0xffffffffffffn);
      assert.ok(wire.bool("macIsGroup", 0xffffffffffffn));
      assert.ok(wire.bool("macIsGroup", 0x01005e000001n));
      assert.ok(!wire.bool("macIsGroup", 0x525400123456n));
      assert.ok(!wire.bool("macIsGroup", 0xfeffffffffffn));
    });
  });
}
