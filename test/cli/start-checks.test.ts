/** Warnings of a program that has started, by a resolver of the test's own. */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { describe, test } from "node:test";
import { checkAtStart } from "../../src/cli/start-checks.ts";
import { keepingLog } from "../support/hook-server.ts";

async function withResolver(
  answers: boolean,
  work: (port: number, asked: () => number) => Promise<void>,
): Promise<void> {
  const socket: Socket = createSocket("udp4");
  let asked = 0;
  socket.on("message", (query, { port, address }) => {
    asked += 1;
    query[2] = 0x81;
    if (answers) socket.send(query, port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  try {
    await work(socket.address().port, () => asked);
  } finally {
    socket.close();
  }
}

/** Lines about resolvers: other checks are about the machine of the test. */
async function told(checks: boolean, port: number): Promise<string[]> {
  const { log, lines } = keepingLog();
  await checkAtStart({ checks, dns: { servers: ["127.0.0.1"], port } }, log);
  return lines.filter((line) => line.includes("resolver"));
}

describe("cli/start-checks", () => {
  test("a resolver that does not answer is warned of, with what mends it", () =>
    withResolver(false, async (port, asked) => {
      const [line = "", ...more] = await told(true, port);
      assert.match(line, /^warn {2}check failed check=resolvers problem="no resolver answers: /);
      assert.match(line, / why=".+" remedy="give --dns ADDRESS/);
      assert.deepEqual([more, asked()], [[], 1]);
    }));

  test("one that answers is not, and nobody is asked where checks are off", () =>
    withResolver(true, async (port, asked) => {
      assert.deepEqual(await told(true, port), []);
      assert.equal(asked(), 1);
      assert.deepEqual(await told(false, port), []);
      assert.equal(asked(), 1);
    }));
});
