/** `capture`: where the octets go, what is asked for, and that a file is whole however it ends. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { WholeBlocks } from "../../../src/cli/admin/blocks.ts";
import { capture } from "../../../src/cli/admin/capture.ts";
import { type CaptureQuestion, readCapture } from "../../../src/config/steer.ts";
import { settingsOf } from "../../config/support.ts";
import { stage } from "./support.ts";

const folder = mkdtempSync(join(tmpdir(), "slirp-capture-"));
after(() => rmSync(folder, { recursive: true }));

/** A block of that type, its body zeros but for the magic of a section. */
function block(type: number, size: number, isLittle: boolean): Buffer {
  const octets = Buffer.alloc(size);
  const view = new DataView(octets.buffer, octets.byteOffset, size);
  view.setUint32(0, type, isLittle);
  view.setUint32(4, size, isLittle);
  if (type === 0x0a0d0d0a) view.setUint32(8, 0x1a2b3c4d, isLittle);
  view.setUint32(size - 4, size, isLittle);
  return octets;
}

function stream(isLittle: boolean): Buffer {
  const kinds = [
    [0x0a0d0d0a, 28],
    [1, 20],
    [6, 100],
    [6, 32],
  ] as const;
  return Buffer.concat(kinds.map(([type, size]) => block(type, size, isLittle)));
}

function asked(given: Readonly<Record<string, string | readonly string[]>>): CaptureQuestion {
  return readCapture(settingsOf(given));
}

describe("blocks", () => {
  test("come out whole, however the stream is cut, in both orders of octets", () => {
    for (const isLittle of [true, false]) {
      const all = stream(isLittle);
      for (const step of [1, 7, 50, 1000]) {
        const blocks = new WholeBlocks();
        const out: Uint8Array[] = [];
        for (let at = 0; at < all.length; at += step)
          out.push(blocks.push(all.subarray(at, at + step)));
        assert.deepEqual(Buffer.concat(out), all);
        assert.equal(blocks.packets, 2);
      }
      const cut = new WholeBlocks();
      assert.equal(cut.push(all.subarray(0, all.length - 1)).length, 148);
      assert.equal(cut.packets, 1);
    }
  });

  test("that are none are handed on as they are", () => {
    const blocks = new WholeBlocks();
    const text = Buffer.from("this is no capture at all");
    assert.deepEqual(blocks.push(text), text);
    assert.deepEqual(blocks.push(text), text);
  });
});

describe("capture", () => {
  test("goes into a file of ours alone, and asks for what was said", async () => {
    const file = join(folder, "a.pcapng");
    writeFileSync(file, "old");
    const requests: unknown[] = [];
    const at = stage({
      async *capture({ $typeName: _, ...request }) {
        requests.push(request);
        yield { octets: stream(true), framesLost: 4n };
      },
    });
    const given = { filter: ["udp", "port", "53"], write: file, count: "5", seconds: "6" };
    await capture(asked({ ...given, snap: "128", interface: "tap0" }), at);
    assert.deepEqual(readFileSync(file), stream(true));
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(at.notes, ["frames captured: 2, lost: 4"]);
    const limits = { snapLength: 128, framesMax: 5n, octetsMax: 0n, secondsMax: 6 };
    assert.deepEqual(requests, [{ network: "tap0", filter: "udp port 53", ...limits }]);
  });

  test("goes to standard output, but not to a terminal", async () => {
    const service = {
      async *capture() {
        yield { octets: stream(true) };
      },
    };
    for (const given of [{}, { write: "-" }]) {
      const at = stage(service);
      await capture(asked(given), at);
      assert.deepEqual(Buffer.concat(at.output.octets), stream(true));
      await assert.rejects(capture(asked(given), stage(service, 80)), /no text for a terminal/);
    }
  });

  test("that is cut off leaves whole blocks, and one that is refused no file at all", async () => {
    const file = join(folder, "b.pcapng");
    const at = stage({
      async *capture() {
        yield { octets: stream(true).subarray(0, 100) };
        throw new ConnectError("gone", Code.Unavailable);
      },
    });
    await assert.rejects(capture(asked({ write: file }), at), /gone/);
    assert.deepEqual(readFileSync(file), stream(true).subarray(0, 48));
    const refused = stage({
      capture: () => {
        throw new ConnectError("too many captures", Code.ResourceExhausted);
      },
    });
    const other = join(folder, "c.pcapng");
    await assert.rejects(capture(asked({ write: other }), refused), /too many/);
    assert.equal(statSync(other, { throwIfNoEntry: false }), undefined);
    assert.deepEqual(refused.notes, []);
  });

  test("on the other side is started, listed and stopped", async () => {
    const running = { id: 3, network: "tap0", filter: "tcp", file: "/tmp/x", frames: 9n };
    const calls: unknown[] = [];
    const at = stage({
      startCapture: ({ file, capture: what }) => {
        calls.push([file, what?.filter]);
        return { capture: running };
      },
      listCaptures: () => ({ captures: [running, { id: 4 }] }),
      stopCapture: ({ id }) => {
        calls.push(id);
        return { capture: running };
      },
    });
    await capture(asked({ "on-instance": "/tmp/x", filter: "tcp" }), at);
    await capture(asked({ stop: "3", json: "true" }), at);
    await capture(asked({ list: "true" }), at);
    assert.deepEqual(calls, [["/tmp/x", "tcp"], 3]);
    const [head, first, json, , , second] = at.output.lines;
    assert.match(head ?? "", /^ID +FRAMES +SIZE/);
    assert.match(first ?? "", /^ *3 +9 .*\/tmp\/x/);
    assert.equal(JSON.parse(json ?? "").file, "/tmp/x");
    assert.match(second ?? "", /\(a caller\)/);
    const none = stage({ listCaptures: () => ({}) });
    await capture(asked({ list: "true" }), none);
    assert.deepEqual(none.notes, ["no captures are under way"]);
  });
});
