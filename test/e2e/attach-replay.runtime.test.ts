/**
 * End to end, record and replay: a real run over a tap is recorded and replayed equal by the
 * program itself, and what is not whole is refused in one line.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  dns,
  MODE,
  streams,
  tcpServer,
  tryConnect,
  udpEcho,
  udpServer,
} from "../support/e2e/peers.ts";
import { DNS_ADDRESS, ourCommand } from "../support/e2e/program.ts";
import { cannotRun, createWorld, oursOnly, startDns } from "../support/e2e/setup.ts";
import { type Outcome, run, until } from "../support/e2e/shell.ts";
import { HOST_ADDRESS, HOST_ADDRESS6, writeResolvConf } from "../support/e2e/world.ts";

const MIB = 1 << 20;
const LIMIT = { timeout: 120_000 };
const RESOLVER = "127.0.0.1";
const PUBLISHED = 8080;

/** A run with traffic of every kind; returns once the program has ended. */
async function recordRun(file: string, ...args: string[]): Promise<Outcome> {
  const publish = [`${PUBLISHED}:80/tcp`];
  const world = await createWorld({
    publish,
    ipv6: true,
    args: ["--record", file, ...args],
  });
  try {
    const server = await tcpServer(world.host, HOST_ADDRESS);
    const task = { host: HOST_ADDRESS, port: server.port, mode: MODE.both, streams: 3, seed: 1 };
    const reports = await streams(world.guest, { ...task, send: MIB, receive: 2 * MIB });
    for (const { error } of reports) assert.equal(error, "");
    const echo = await udpServer(world.host, HOST_ADDRESS);
    await udpEcho(world.guest, HOST_ADDRESS, echo.port, [1, 1472, 9000, 65000]);
    await udpEcho(world.guest, HOST_ADDRESS, 9, [100]); // refused: the error queue
    const echo6 = await udpServer(world.host, HOST_ADDRESS6);
    await udpEcho(world.guest, HOST_ADDRESS6, echo6.port, [100, 3000]);
    const server6 = await tcpServer(world.host, HOST_ADDRESS6);
    const task6 = { ...task, host: HOST_ADDRESS6, port: server6.port, send: 1000, receive: MIB };
    for (const { error } of await streams(world.guest, task6)) assert.equal(error, "");
    await startDns(world.host, RESOLVER, HOST_ADDRESS);
    const answer = await dns(world.guest, "udp", DNS_ADDRESS, "who.test", "A");
    assert.equal(answer.address, HOST_ADDRESS);
    writeResolvConf(world.host, `nameserver ${HOST_ADDRESS}\nnameserver ${RESOLVER}\n`);
    await until(() => /resolvers changed/.test(world.program.running.stderr()), "new resolvers");
    await tcpServer(world.guest, "::", 80);
    for (const address of [HOST_ADDRESS, HOST_ADDRESS6]) {
      assert.equal((await tryConnect(world.host, address, PUBLISHED)).ok, true, address);
    }
    await world.guest.run(["ping", "-c", "1", HOST_ADDRESS]);
    return await world.program.stop();
  } finally {
    await world.remove();
  }
}

describe("attach: record and replay", { skip: cannotRun("ping", "dnsmasq") || oursOnly() }, () => {
  let folder: string;
  let file: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "slirp-replay-"));
    file = join(folder, "link.rec");
    const { code, stderr } = await recordRun(file);
    assert.equal(code, 0, stderr);
  }, LIMIT);
  after(() => rmSync(folder, { recursive: true, force: true }));

  const replay = (path: string): Promise<Outcome> => run([...ourCommand(), "replay", path], 60_000);

  test("TCP, UDP, DNS, ping, errors and a published port are replayed equal", LIMIT, async () => {
    const { code, stdout, stderr } = await replay(file);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /^equal: \d+ calls in \d+ turns of [\d.]+ s\n {2}\d+ frames from/);
    const size = statSync(file).size;
    assert.ok(size > 12 * MIB && size < 20 * MIB, `${size} octets for 12 MiB that came in`);
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  test("a file that is cut short, damaged, or none is refused in one line", LIMIT, async () => {
    const octets = readFileSync(file);
    const other = join(folder, "other.rec");
    const refused = async (content: Uint8Array, problem: RegExp): Promise<void> => {
      writeFileSync(other, content);
      const { code, stdout, stderr } = await replay(other);
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, problem);
    };
    const half = octets.length >> 1;
    await refused(
      octets.subarray(0, half),
      new RegExp(`is cut short at octet ${half}; \\d+ calls`),
    );
    const damaged = Uint8Array.from(octets);
    damaged[half] = (damaged[half] ?? 0) ^ 1;
    await refused(damaged, /^slirp-binding: replay ".*": the recording is damaged at octet \d+; /);
    await refused(Uint8Array.of(1, 2, 3), /it is not a recording/);
    const { code, stderr } = await replay(join(folder, "none"));
    assert.equal(code, 1);
    assert.match(stderr, /^slirp-binding: replay ".*none": ENOENT/);
  });

  test("at its limit a recording ends, and the file before it is kept", LIMIT, async () => {
    const before_size = statSync(file).size;
    const { stderr } = await recordRun(file, "--record-limit", "1");
    assert.match(stderr, /recording stopped: limit reached/);
    assert.equal(statSync(`${file}.old`).size, before_size);
    assert.ok(statSync(file).size <= MIB);
    const { code, stdout } = await replay(file);
    assert.equal(code, 0);
    assert.match(stdout, /; the recording ended at its limit\n/);
  });
});
