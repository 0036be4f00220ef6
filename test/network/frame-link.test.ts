/** What a link of frames says that its guest takes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameLink } from "../../src/network/frame-link.ts";
import {
  LINK_CSUM,
  LINK_RX_TSO,
  LINK_TSO4,
  LINK_TSO6,
  LINK_USO,
  LINK_USO6,
} from "../../wasm/abi.ts";

const OWNER = { onFrames: (): void => {}, onRoom: (): void => {} };
const TCP = LINK_CSUM | LINK_TSO4 | LINK_TSO6 | LINK_RX_TSO;

test("a guest without offloads gets whole frames, and no header", () => {
  const { flags, vnetSize } = new FrameLink(false, OWNER);
  assert.deepEqual({ flags, vnetSize }, { flags: 0, vnetSize: 0 });
});

test("a guest with all of them gets large datagrams, too", () => {
  const { flags, vnetSize } = new FrameLink(true, OWNER);
  assert.deepEqual({ flags, vnetSize }, { flags: TCP | LINK_USO | LINK_USO6, vnetSize: 12 });
});

test("a guest whose driver does not know large datagrams gets none", () => {
  const { flags, vnetSize } = new FrameLink("tcp", OWNER);
  assert.deepEqual({ flags, vnetSize }, { flags: TCP, vnetSize: 12 });
});
