/**
 * End to end, limits from where the program runs: a control group with little memory, and few
 * descriptors. A guest program that opens more than there is room for takes nothing from others.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MODE, streams, tcpServer } from "../support/e2e/peers.ts";
import { type Program, startProgram } from "../support/e2e/program.ts";
import { sha256Of } from "../support/e2e/seeded.mjs";
import { cannotRun } from "../support/e2e/setup.ts";
import { until, which } from "../support/e2e/shell.ts";
import { createGuest, createHost, HOST_ADDRESS, type Namespace } from "../support/e2e/world.ts";
import { joining, limitMemory } from "../support/memory-limit.ts";

const MIB = 1 << 20;
const LIMIT = { timeout: 90_000 };
const FIRST_PORT = 1024;
/** Sends one datagram from each of N ports. */
const MANY_PORTS = `
  const dgram = require("node:dgram");
  const [first, count, address] = process.argv.slice(1);
  let port = Number(first);
  const end = port + Number(count);
  (function next() {
    if (port >= end) return;
    const socket = dgram.createSocket("udp4");
    socket.on("error", () => {}); // nobody listens there
    socket.bind(port++, () => socket.send("x", 9, address, () => socket.close(next)));
  })();
`;

interface Stage {
  readonly host: Namespace;
  readonly guest: Namespace;
  readonly program: Program;
}

async function withProgram(
  prefix: readonly string[],
  work: (stage: Stage) => Promise<void>,
): Promise<void> {
  const host = createHost();
  const guest = createGuest();
  try {
    const program = await startProgram({ kind: "ours", host, netns: guest.path, prefix });
    try {
      await work({ host, guest, program });
    } finally {
      await program.stop();
    }
  } finally {
    guest.remove();
    host.remove();
  }
}

/** Opens so many flows of UDP; then a connection carries 1 MiB each way, and the log tells how. */
async function crowdAndCarry({ host, guest, program }: Stage, count: number): Promise<void> {
  const flood = [process.execPath, "-e", MANY_PORTS, String(FIRST_PORT), String(count)];
  const sent = await guest.run([...flood, HOST_ADDRESS], 60_000);
  assert.equal(sent.code, 0, sent.stderr);
  const server = await tcpServer(host, HOST_ADDRESS);
  const task = { host: HOST_ADDRESS, port: server.port, streams: 1, seed: 5 };
  const [report] = await streams(guest, { ...task, mode: MODE.both, send: MIB, receive: MIB });
  assert.equal(report?.error, "");
  assert.equal(report?.sha256, sha256Of(5, MIB));
  assert.ok(!program.running.ended(), program.running.stderr());
}

/** A field of the line that says what there is room for. */
function limitIn(log: string, name: string): number {
  const line = log.split("\n").find((each) => each.includes('"msg":"limits"'));
  assert.ok(line !== undefined, log);
  return Number(JSON.parse(line)[name]);
}

/** Flows there are now, as SIGUSR1 has them logged. */
async function flowsOf(program: Program): Promise<number> {
  program.running.signal("SIGUSR1");
  const told = (): string | undefined =>
    /^.*"msg":"counters".*$/m.exec(program.running.stderr())?.[0];
  const line = await until(told, () => `counters in the log:\n${program.running.stderr()}`);
  return JSON.parse(line).flows;
}

describe("limits", { skip: cannotRun() }, () => {
  test("more ports than memory has room for leave it alive and serving", LIMIT, async (context) => {
    const limit = limitMemory(48 * MIB);
    if (limit === undefined) return context.skip("no control group can be made here");
    try {
      await withProgram(joining(limit), async (stage) => {
        const log = stage.program.running.stderr();
        assert.equal(limitIn(log, "memory_mib"), 48);
        const flowsMax = limitIn(log, "flows_max");
        await crowdAndCarry(stage, flowsMax + 400);
        assert.ok((await flowsOf(stage.program)) <= flowsMax);
      });
      assert.equal(limit.kills(), 0);
    } finally {
      await limit.remove();
    }
  });

  test(
    "more ports than there are descriptors: idle flows give theirs up",
    LIMIT,
    async (context) => {
      if (which("prlimit") === undefined) return context.skip("prlimit is not installed");
      await withProgram(["prlimit", "--nofile=64:200"], async (stage) => {
        const log = stage.program.running.stderr();
        assert.equal(limitIn(log, "descriptors"), 200, "the soft limit has been raised");
        const flowsMax = limitIn(log, "flows_max");
        assert.ok(flowsMax < 152, `${flowsMax} flows`);
        await crowdAndCarry(stage, 400);
        assert.ok((await flowsOf(stage.program)) <= flowsMax);
      });
    },
  );
});
