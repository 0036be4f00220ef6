/** Where the demonstration takes place, on machines of several kinds. */
import assert from "node:assert/strict";
import type { networkInterfaces } from "node:os";
import { describe, test } from "node:test";
import { mayPing, placeOn } from "../../src/lab/demo/place.ts";

type Interfaces = ReturnType<typeof networkInterfaces>;

function card(address: string, prefixLength: number, internal = false): Interfaces[string] {
  const cidr = `${address}/${prefixLength}`;
  const mac = "00:00:00:00:00:00";
  return [{ family: "IPv4", address, netmask: "", cidr, internal, mac }];
}

const LO = card("127.0.0.1", 8, true);

describe("the place", () => {
  test("is the machine's own address", () => {
    assert.deepEqual(placeOn({ lo: LO, eth0: card("192.0.2.2", 24) }), {
      address: "192.0.2.2",
      isLoopback: false,
      cidr: "10.0.2.0/24",
      reached: "192.0.2.2",
    });
  });

  test("is loopback where there is nothing else, reached by the gateway's address", () => {
    assert.deepEqual(placeOn({ lo: LO }), {
      address: "127.0.0.1",
      isLoopback: true,
      cidr: "10.0.2.0/24",
      reached: "10.0.2.2",
    });
  });

  test("has a guest network that is not the machine's, which may itself be a guest", () => {
    assert.equal(placeOn({ eth0: card("10.0.2.15", 24) }).cidr, "10.0.3.0/24");
    assert.equal(placeOn({ eth0: card("10.0.2.15", 8) }).cidr, "192.168.230.0/24");
    assert.equal(placeOn({ eth0: card("10.0.2.200", 30) }).cidr, "10.0.3.0/24");
  });
});

describe("whether one may ping", () => {
  test("is a matter of groups", () => {
    assert.equal(mayPing("1\t0\n", [0, 1]), false);
    assert.equal(mayPing("0\t2147483647\n", [1000]), true);
    assert.equal(mayPing("100 200", [99, 201]), false);
    assert.equal(mayPing("100 200", [99, 200]), true);
    assert.equal(mayPing("", [0]), false);
  });
});
