/** Addresses that are this machine's. */
import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import { OwnAddresses } from "../../../src/network/node/own-addresses.ts";

test("own addresses and link-local ones are near, loopback and all others are not", () => {
  const near = new OwnAddresses();
  for (const { address, internal } of Object.values(networkInterfaces()).flatMap(
    (one) => one ?? [],
  )) {
    assert.equal(near.has(address), !internal, address);
  }
  for (const address of ["169.254.0.1", "169.254.255.254"]) assert.ok(near.has(address), address);
  for (const address of ["127.0.0.1", "::1", "192.0.2.1", "2001:db8::1", "169.25.4.1"]) {
    assert.ok(!near.has(address), address);
  }
});
