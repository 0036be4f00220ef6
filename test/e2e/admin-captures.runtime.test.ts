/**
 * End to end: captures and samples of drops of a program that runs, by its admin socket, after it
 * has given its rights up: into files, to callers, with filters and limits.
 */
import assert from "node:assert/strict";
import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { type AdminClient, adminClient } from "../../src/admin/client.ts";
import { concat } from "../../src/lib/bytes.ts";
import { cannotRun, createWorld, oursOnly, type World } from "../support/e2e/setup.ts";
import { until } from "../support/e2e/shell.ts";
import { HOST_ADDRESS } from "../support/e2e/world.ts";
import { readPcapng } from "../support/pcapng.ts";

const LIMIT = { timeout: 90_000 };

describe("attach: captures while it runs", { skip: cannotRun() || oursOnly() }, () => {
  const folder = mkdtempSync(join(tmpdir(), "slirp-admin-captures-"));
  const socket = join(folder, "admin.sock");
  let world: World;
  let admin: AdminClient;
  before(async () => {
    chmodSync(folder, 0o1777); // the program is somebody else by then
    world = await createWorld({ args: ["--admin", `unix:${socket}`] });
    admin = adminClient(socket);
  }, LIMIT);
  after(async () => {
    admin.close();
    await world.remove();
    rmSync(folder, { recursive: true, force: true });
  }, LIMIT);

  const ping = (to = HOST_ADDRESS): Promise<unknown> =>
    world.guest.run(["ping", "-c", "3", "-i", "0.2", "-W", "1", to]);

  async function refused(call: Promise<unknown>, code: Code, message: RegExp): Promise<void> {
    await assert.rejects(call, (error) => {
      assert.ok(error instanceof ConnectError, String(error));
      assert.equal(Code[error.code], Code[code]);
      assert.match(error.rawMessage, message);
      return true;
    });
  }

  test(
    "a file has what its filter lets through, of both directions, with the flow",
    LIMIT,
    async () => {
      const file = join(folder, "pings.pcapng");
      const { capture } = await admin.calls.startCapture({ file, capture: { filter: "icmp" } });
      assert.equal(capture?.filter, "icmp");
      await ping();
      const { captures } = await admin.calls.listCaptures({});
      assert.deepEqual(
        captures.map(({ id, file: to, network }) => [id, to, network]),
        [[capture?.id, file, "tap0"]],
      );
      const stopped = await admin.calls.stopCapture({ id: capture?.id ?? 0 });
      const { packets, filter, interfaceName } = readPcapng(readFileSync(file));
      assert.equal(Number(stopped.capture?.frames), packets.length);
      assert.deepEqual([filter, interfaceName], ["icmp", "tap0"]);
      assert.equal(packets.length, 6);
      assert.ok(packets.every(({ data }) => data[23] === 1));
      const flows = new Set(packets.flatMap(({ comments }) => comments));
      assert.match([...flows].join(), /^flow \d+$/, "of one flow");
      assert.deepEqual(
        new Set(packets.map(({ direction }) => direction)),
        new Set(["inbound", "outbound"]),
      );
      assert.equal(lstatSync(file).mode & 0o777, 0o600);
      const { events } = await admin.calls.listEvents({});
      const messages = events.map(({ message }) => message);
      assert.ok(
        messages.includes("capture started") && messages.includes("capture stopped: asked for"),
      );
    },
  );

  test("a caller gets it as it comes, until it ends the call", LIMIT, async () => {
    const controller = new AbortController();
    const pieces: Uint8Array[] = [];
    const reading = (async () => {
      const stream = admin.calls.capture({ filter: "icmp" }, { signal: controller.signal });
      for await (const { octets } of stream) pieces.push(octets);
    })().catch((error: unknown) => error);
    const packets = () => (pieces.length === 0 ? [] : readPcapng(concat(...pieces)).packets);
    await until(() => pieces.length > 0, "the header to come");
    await ping();
    await until(() => packets().length === 6, "the frames to come");
    controller.abort();
    await reading;
    await until(
      async () => (await admin.calls.listCaptures({})).captures.length === 0,
      "the capture to end with its call",
    );
  });

  test("a limit ends it and the call", LIMIT, async () => {
    const pieces: Uint8Array[] = [];
    const stream = admin.calls.capture({ filter: "icmp", framesMax: 2n, snapLength: 60 });
    const reading = (async () => {
      for await (const { octets } of stream) pieces.push(octets);
    })();
    await until(() => pieces.length > 0, "the header to come");
    await ping();
    await reading;
    const { packets, statistics } = readPcapng(concat(...pieces));
    assert.deepEqual(
      packets.map(({ data }) => data.length),
      [60, 60],
    );
    assert.equal(statistics?.accepted, 2);
  });

  test(
    "nothing is written into what is there, and requests that cannot be meant are refused",
    LIMIT,
    async () => {
      const there = join(folder, "there");
      const link = join(folder, "link");
      writeFileSync(there, "mine");
      symlinkSync(join(folder, "elsewhere"), link);
      const start = (file: string, filter = "") =>
        admin.calls.startCapture({ file, capture: { filter } });
      await refused(start(there), Code.AlreadyExists, /cannot make .*there/);
      await refused(start(link), Code.AlreadyExists, /cannot make .*link/);
      await refused(start("relative"), Code.InvalidArgument, /absolute/);
      await refused(start(join(folder, "none", "a")), Code.FailedPrecondition, /cannot make/);
      await refused(start(join(folder, "new"), "host"), Code.InvalidArgument, /at character 5/);
      await refused(admin.calls.stopCapture({ id: 999 }), Code.NotFound, /no capture 999/);
      await refused(
        admin.calls.startCapture({ file: join(folder, "new"), capture: { network: "tap9" } }),
        Code.NotFound,
        /no network "tap9"/,
      );
      assert.equal(readFileSync(there, "utf8"), "mine");
      assert.throws(() => lstatSync(join(folder, "new")));
      assert.deepEqual((await admin.calls.listCaptures({})).captures, []);
    },
  );

  test(
    "dropped frames are told of by their headers, and captured with their reason",
    LIMIT,
    async () => {
      const file = join(folder, "dropped.pcapng");
      const { capture } = await admin.calls.startCapture({ file, capture: { filter: "dropped" } });
      await ping("239.1.2.3");
      await until(async () => {
        const { frames } = await admin.calls.listDrops({});
        return frames.some(({ summary }) => summary.includes("> 239.1.2.3 icmp type 8"));
      }, "the drops to show");
      const { frames } = await admin.calls.listDrops({ network: "tap0" });
      const dropped = frames.find(({ summary }) => summary.includes("239.1.2.3"));
      assert.equal(dropped?.reason, "ip_destination");
      assert.equal(dropped.headers.length, 42, "Ethernet, IPv4, ICMP; nothing behind");
      assert.equal(dropped.length, 98);
      await admin.calls.stopCapture({ id: capture?.id ?? 0 });
      const { packets } = readPcapng(readFileSync(file));
      assert.ok(packets.some(({ comments }) => comments.includes("dropped: ip_destination")));
      assert.ok(
        packets.every(({ comments }) => comments.some((text) => text.startsWith("dropped"))),
      );
    },
  );
});
