/**
 * End to end: what the program writes besides packets is stuck. The guest's traffic goes on all the
 * time, SIGTERM ends the program, and whoever reads in the end gets what is whole.
 */
import assert from "node:assert/strict";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { pcapngHeader } from "../../src/link/pcapng.ts";
import { GATEWAY } from "../support/e2e/program.ts";
import { cannotRun, createWorld, oursOnly, type World } from "../support/e2e/setup.ts";
import { must, until } from "../support/e2e/shell.ts";
import { writeResolvConf } from "../support/e2e/world.ts";

const LIMIT = { timeout: 60_000 };

let folder = "";
let held: number[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "slirp-writers-"));
  held = [];
});
afterEach(() => {
  for (const fd of held) closeSync(fd);
  rmSync(folder, { recursive: true, force: true });
});

function makeFifo(): string {
  const path = join(folder, "fifo");
  must(["mkfifo", path]);
  return path;
}

/** Opens it for both, so that it has a reader, which reads when the test says so. */
function hold(path: string): number {
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  held.push(fd);
  return fd;
}

/** Leaves no room in it. */
function fill(fd: number): void {
  try {
    for (;;) writeSync(fd, new Uint8Array(4096).fill(0x78));
  } catch (error) {
    assert.match(String(error), /EAGAIN/);
  }
}

/** All that can be read now. */
function readAll(fd: number): Buffer {
  const parts: Buffer[] = [];
  const part = Buffer.alloc(65536);
  try {
    for (let length = 1; length > 0; ) {
      length = readSync(fd, part);
      parts.push(Buffer.from(part.subarray(0, length)));
    }
  } catch (error) {
    assert.match(String(error), /EAGAIN/);
  }
  return Buffer.concat(parts);
}

async function pings(world: World, count = 5): Promise<void> {
  const argv = ["ping", "-n", "-c", String(count), "-i", "0.01", "-W", "5", GATEWAY];
  const { code, stdout } = await world.guest.run(argv);
  assert.equal(code, 0, stdout);
}

async function inWorld(
  options: Parameters<typeof createWorld>[0],
  run: (world: World) => Promise<void>,
): Promise<void> {
  const world = await createWorld(options);
  try {
    await run(world);
    const { running } = world.program;
    assert.equal((await world.program.stop()).code, 0, running.stderr());
  } finally {
    await world.remove();
  }
}

describe("attach: writers that are stuck", { skip: cannotRun("ping") || oursOnly() }, () => {
  test("standard error that nobody reads, and later somebody does", LIMIT, async () => {
    const path = makeFifo();
    const fd = hold(path);
    fill(fd);
    const prefix = ["sh", "-c", 'exec 2>"$0"; exec "$@"', path];
    const args = ["--log-format", "pretty"];
    await inWorld({ prefix, args }, async (world) => {
      writeResolvConf(world.host, "nameserver 192.0.2.77\n"); // the worker has something to say
      for (let i = 0; i < 800; i += 1) world.program.running.signal("SIGUSR1");
      await pings(world);
      let text = "";
      await until(
        () => {
          text += readAll(fd).toString().replace(/^x+/, "");
          world.program.running.signal("SIGUSR1");
          return text.includes("counters");
        },
        () => `lines to come: ${text.slice(-200)}`,
      );
      fill(fd);
      await pings(world);
    });
  });

  test(
    "a capture into a FIFO without a reader, one that reads, one that stops",
    LIMIT,
    async () => {
      const pcap = makeFifo();
      await inWorld({ pcap, mtu: 1500 }, async (world) => {
        await pings(world);
        const fd = hold(pcap);
        const header = Buffer.from(pcapngHeader({ interfaceName: "tap0" }));
        let octets = Buffer.alloc(0);
        await until(() => {
          octets = Buffer.concat([octets, readAll(fd)]);
          return octets.length >= header.length;
        }, "a header");
        assert.deepEqual(octets.subarray(0, header.length), header);
        await pings(world);
        await until(() => {
          octets = Buffer.concat([octets, readAll(fd)]);
          return octets.length > header.length;
        }, "frames");
        assert.equal(octets.readUInt32LE(header.length + 24), 98); // an echo request
        fill(fd);
        await pings(world, 50);
      });
    },
  );

  test("capture and recording on a device that is full", LIMIT, async () => {
    await inWorld({ pcap: "/dev/full", args: ["--record", "/dev/full"] }, async (world) => {
      await pings(world);
      const { running } = world.program;
      const hasEnded = (): boolean => running.stderr().includes("capture stopped: cannot write");
      await until(hasEnded, () => `the capture's end: ${running.stderr()}`);
      await pings(world);
    });
  });
});
