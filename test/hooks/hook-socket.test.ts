/**
 * One socket from below: what goes out first, what stands in the file system, and everything that
 * a connection can do to a server other than a proper call. After each the server answers.
 */
import assert from "node:assert/strict";
import { lstatSync, rmSync, statSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { createShares } from "../../src/hooks/calls.ts";
import { type ListenOptions, listenOn } from "../../src/hooks/hook-socket.ts";
import {
  CLIENT_PREFACE,
  call,
  callback,
  closed,
  connectRaw,
  INFO,
  received,
} from "../support/hook-client.ts";
import {
  keepingLog,
  startTestServer,
  type TestServer,
  temporaryFolder,
} from "../support/hook-server.ts";
import { message } from "../support/protobuf.ts";
import { staleSocket } from "../support/stale-socket.ts";

const SETTINGS_FRAME = 4;
const GOAWAY_FRAME = 7;
const ACK = 1;

/** Octets of a frame (RFC 9113 section 4.1). */
function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Types of the frames that begin in `bytes`. */
function frameTypes(bytes: Buffer): number[] {
  const types: number[] = [];
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    types.push(bytes.readUInt8(at + 3));
  }
  return types;
}

/** A header field without indexing, its name and value as they are (RFC 7541 section 6.2.2). */
function field(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
}

const HEADERS = frame(
  1,
  4,
  1,
  Buffer.concat([
    field(":method", "POST"),
    field(":scheme", "http"),
    field(":path", callback("v1alpha3", "OnDefineDomain")),
    field(":authority", "localhost"),
    field("content-type", "application/grpc"),
    field("te", "trailers"),
  ]),
);
/** A message of 1,000 octets is announced, 20 of them follow. */
const HALF_BODY = frame(0, 0, 1, Buffer.concat([Buffer.from([0, 0, 0, 3, 232]), Buffer.alloc(20)]));

describe("connections", () => {
  let own: TestServer;
  before(async () => {
    own = await startTestServer();
  });
  after(() => own.end());
  afterEach(async () => {
    assert.ok((await call(own.path, INFO)).length > 0, "the server answers after all that");
  });

  test("SETTINGS go out before the client has said anything", async () => {
    const socket = await connectRaw(own.path);
    const first = await received(socket);
    assert.equal(first[3], SETTINGS_FRAME);
    assert.equal((first[4] ?? 0) & ACK, 0);
    // No push, 32 streams, windows of 256 KiB, headers of 16 KiB (RFC 9113 section 6.5.2).
    const settings = new Map<number, number>();
    for (let at = 9; at < 9 + first.readUIntBE(0, 3); at += 6) {
      settings.set(first.readUInt16BE(at), first.readUInt32BE(at + 2));
    }
    assert.deepEqual(
      [2, 3, 4, 6].map((id) => settings.get(id)),
      [0, 32, 256 * 1024, 16 * 1024],
    );
    socket.destroy();
  });

  test("idle ones cost nothing but themselves", async () => {
    const idle = await Promise.all(Array.from({ length: 100 }, () => connectRaw(own.path)));
    const greeted = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const socket = await connectRaw(own.path);
        socket.write(CLIENT_PREFACE);
        await received(socket);
        return socket;
      }),
    );
    assert.ok((await call(own.path, INFO)).length > 0);
    for (const socket of [...idle, ...greeted]) socket.destroy();
  });

  const begun = Buffer.concat([CLIENT_PREFACE, HEADERS, HALF_BODY]);
  const places: readonly (readonly [string, number])[] = [
    ["in the middle of the preface", 10],
    ["after the preface", CLIENT_PREFACE.length],
    ["in the middle of a frame's head", CLIENT_PREFACE.length + 5],
    ["in the middle of the headers", CLIENT_PREFACE.length + 60],
    ["after the headers", CLIENT_PREFACE.length + HEADERS.length],
    ["in the middle of the message", begun.length],
  ];
  for (const [name, length] of places) {
    test(`cut off ${name}`, async () => {
      for (const cut of ["end", "destroy"] as const) {
        const socket = await connectRaw(own.path);
        socket.write(begun.subarray(0, length));
        await received(socket);
        if (cut === "end") socket.end();
        else socket.destroy();
        await closed(socket);
      }
    });
  }

  test("cut off at every octet", async () => {
    for (let length = 0; length < begun.length; length += 1) {
      const socket = await connectRaw(own.path);
      socket.end(begun.subarray(0, length));
      await closed(socket);
    }
  });

  test("a proper call by hand is answered, so the octets above are good ones", async () => {
    const socket = await connectRaw(own.path);
    const chunks: Buffer[] = [];
    socket.on("data", (chunk) => chunks.push(chunk));
    const body = message([1, "<domain/>"]);
    const data = frame(0, 1, 1, Buffer.concat([Buffer.from([0, 0, 0, 0, body.length]), body]));
    socket.write(Buffer.concat([CLIENT_PREFACE, HEADERS, data]));
    while (!Buffer.concat(chunks).includes("<domain/>")) await received(socket);
    socket.destroy();
  });

  const garbage: readonly (readonly [string, Uint8Array])[] = [
    ["HTTP/1.1", Buffer.from("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")],
    ["TLS", Buffer.concat([Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]), Buffer.alloc(100)])],
    ["zeroes", Buffer.alloc(10_000)],
    ["a frame of an impossible length", Buffer.concat([CLIENT_PREFACE, Buffer.alloc(9, 255)])],
    ["data on no stream", Buffer.concat([CLIENT_PREFACE, frame(0, 0, 0, Buffer.alloc(10))])],
    [
      "headers nobody can read",
      Buffer.concat([CLIENT_PREFACE, frame(1, 5, 1, Buffer.alloc(9, 255))]),
    ],
  ];
  for (const [name, bytes] of garbage) {
    test(`${name} instead of HTTP/2 ends that connection`, async () => {
      const socket = await connectRaw(own.path);
      // Some runtimes say GOAWAY and leave the closing to the client.
      const farewell = new Promise<void>((resolve) => {
        let all = Buffer.alloc(0);
        socket.on("data", (chunk) => {
          all = Buffer.concat([all, chunk]);
          if (frameTypes(all).includes(GOAWAY_FRAME)) resolve();
        });
      });
      socket.write(bytes);
      await Promise.race([farewell, closed(socket)]);
      socket.destroy();
    });
  }

  test("they leave lines of debugging, and a word for calls that were cut off", () => {
    const usual = /^debug |^info {2}call aborted path=\S+OnDefineDomain$/;
    assert.deepEqual(
      own.lines.filter((line) => !usual.test(line)),
      [`info  listening for hooks path=${own.path}`],
    );
  });
});

describe("the file", () => {
  const parts = (log = keepingLog().log): ListenOptions => ({
    listener: () => {},
    log,
    shares: createShares(log, () => 0),
  });

  test("is a socket that owner and group may use, whatever the umask", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "a.sock");
    const socket = await listenOn(path, parts());
    const { mode } = statSync(path);
    assert.ok(statSync(path).isSocket());
    assert.equal((mode & 0o777).toString(8), "660");
    await socket?.close();
    assert.equal(lstatSync(path, { throwIfNoEntry: false }), undefined);
    rmSync(folder, { recursive: true });
  });

  test("is removed when nobody answers there any more", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "a.sock");
    await staleSocket(path);
    const { log, lines } = keepingLog();
    const socket = await listenOn(path, parts(log));
    assert.deepEqual(lines, [`warn  removed stale socket path=${path}`]);
    (await connectRaw(path)).destroy();
    await socket?.close();
    rmSync(folder, { recursive: true });
  });

  test("is not taken from one who listens, however he does it", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "a.sock");
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(path, resolve));
    assert.equal(await listenOn(path, parts()), undefined);
    await listenOn(path, parts());
    (await connectRaw(path)).destroy();
    await new Promise((resolve) => other.close(resolve));
    rmSync(folder, { recursive: true });
  });

  test("is never reached through a link", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "a.sock");
    await staleSocket(join(folder, "other"));
    symlinkSync("other", path);
    await assert.rejects(listenOn(path, parts()), /is not a socket/);
    assert.ok(lstatSync(join(folder, "other")).isSocket());
    rmSync(folder, { recursive: true });
  });
});
