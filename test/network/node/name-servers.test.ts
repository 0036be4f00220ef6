/** Questions to name servers: which answers count, who is asked next, what is too long for UDP. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { describe, test } from "node:test";
import { askServers, serverOf } from "../../../src/network/node/name-servers.ts";
import type { Endpoint } from "../../../src/network/upstream.ts";
import { query } from "../../support/dns.ts";

const LIMIT = { timeout: 30_000 };
const NAME_AT = 13;
const NO_STOP = new AbortController().signal;

/** An answer to a question: its octets, marked as an answer, and `more` behind them. */
function answerTo(question: Uint8Array, more = "", changes: Record<number, number> = {}): Buffer {
  const answer = Buffer.concat([question, Buffer.from(more)]);
  answer[2] = (answer[2] ?? 0) | 0x80;
  for (const [at, octet] of Object.entries(changes)) answer[Number(at)] = octet;
  return answer;
}

interface Server {
  readonly endpoint: Endpoint;
  readonly asked: number;
  close(): void;
}

/** A name server at a port of loopback; what it sends for a question by UDP, and by TCP. */
async function nameServer(
  byUdp: (question: Uint8Array) => Uint8Array[],
  byTcp?: (question: Uint8Array) => Uint8Array,
): Promise<Server> {
  let asked = 0;
  const socket = createSocket("udp4");
  socket.on("message", (question, from) => {
    asked += 1;
    for (const answer of byUdp(question)) socket.send(answer, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { port } = socket.address();
  const stream = createServer((connection) => {
    connection.once("data", (chunk) => {
      const answer = byTcp?.(chunk.subarray(2)) ?? new Uint8Array(0);
      const length = Buffer.from([answer.length >> 8, answer.length & 0xff]);
      connection.write(length); // an answer that comes in pieces
      connection.end(answer);
    });
    connection.on("error", () => {});
  });
  if (byTcp !== undefined && !(await listens(stream, port))) {
    socket.close(); // its port of TCP is somebody else's: another one
    return nameServer(byUdp, byTcp);
  }
  return {
    endpoint: { address: "127.0.0.1", port },
    get asked() {
      return asked;
    },
    close: () => {
      socket.close();
      stream.close();
    },
  };
}

function listens(server: ReturnType<typeof createServer>, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => resolve(true));
  });
}

async function ask(servers: readonly Server[], stop = NO_STOP): Promise<Uint8Array> {
  const endpoints = servers.map(({ endpoint }) => endpoint);
  try {
    return await askServers(query(0x1234), endpoints, stop);
  } finally {
    for (const server of servers) server.close();
  }
}

describe("name servers", () => {
  test("are written as Node writes them", () => {
    const cases: readonly (readonly [string, Endpoint])[] = [
      ["192.0.2.1", { address: "192.0.2.1", port: 53 }],
      ["192.0.2.1:5353", { address: "192.0.2.1", port: 5353 }],
      ["2001:db8::1", { address: "2001:db8::1", port: 53 }],
      ["fe80::1%eth0", { address: "fe80::1%eth0", port: 53 }],
      ["[2001:db8::1]:5353", { address: "2001:db8::1", port: 5353 }],
    ];
    for (const [text, endpoint] of cases) assert.deepEqual(serverOf(text), endpoint, text);
    const ports = ["127.0.0.1:0", "192.0.2.1:70000", "[::1]:65536"];
    for (const wrong of ["", "a:b:c", "[::1", "nonsense", "[192.0.2]", ...ports]) {
      assert.throws(() => serverOf(wrong), RangeError, wrong);
    }
  });

  test("only an answer to the question counts", LIMIT, async () => {
    const server = await nameServer((question) => [
      Buffer.from("short"),
      Buffer.from(question), // no answer
      answerTo(question, "other number", { 0: 0 }),
      answerTo(question, "other name", { [NAME_AT]: 0x79 }),
      answerTo(question, "right", { [NAME_AT]: 0x57 }), // W for w
    ]);
    assert.match(Buffer.from(await ask([server])).toString("latin1"), /right$/);
  });

  test(
    "an answer without the question counts, as one that finds fault has none",
    LIMIT,
    async () => {
      const server = await nameServer((question) => [
        answerTo(question.subarray(0, 12), "", { 3: 1, 5: 0 }),
      ]);
      assert.equal((await ask([server]))[3], 1);
    },
  );

  test("the next one is asked where nobody listens", LIMIT, async () => {
    const gone = await nameServer(() => []);
    gone.close();
    const server = await nameServer((question) => [answerTo(question, "second")]);
    const endpoints = [gone.endpoint, server.endpoint];
    const answer = await askServers(query(1), endpoints, NO_STOP);
    assert.match(Buffer.from(answer).toString("latin1"), /second$/);
    server.close();
  });

  test("one that cannot be asked at all is passed over", LIMIT, async () => {
    const server = await nameServer((question) => [answerTo(question, "asked")]);
    // No socket may send to the first, the second is no port.
    const cannot = [
      { address: "255.255.255.255", port: 53 },
      { address: "127.0.0.1", port: 70_000 },
    ];
    const answer = await askServers(query(1), [...cannot, server.endpoint], NO_STOP);
    assert.match(Buffer.from(answer).toString("latin1"), /asked$/);
    await assert.rejects(askServers(query(1), cannot, NO_STOP), /no name server has answered/);
    server.close();
  });

  test("what was cut is asked for again by TCP", LIMIT, async () => {
    const cut = (question: Uint8Array): Uint8Array[] => [answerTo(question, "", { 2: 0x82 })];
    const server = await nameServer(cut, (question) => answerTo(question, "a".repeat(5000)));
    assert.ok((await ask([server])).length > 5000);
    const only = await nameServer(cut);
    assert.equal((await ask([only]))[2], 0x82, "and stays cut where there is no TCP");
    const other = await nameServer(cut, (question) => answerTo(question, "", { 0: 0 }));
    assert.equal((await ask([other]))[2], 0x82, "or something else comes");
  });

  test(
    "one that is silent costs its patience, and the end of the network none",
    LIMIT,
    async () => {
      const [silent, second] = [
        await nameServer(() => []),
        await nameServer((question) => [answerTo(question, "in the end")]),
      ];
      assert.match(Buffer.from(await ask([silent, second])).toString("latin1"), /in the end$/);
      const end = new AbortController();
      const server = await nameServer(() => {
        end.abort();
        return [];
      });
      await assert.rejects(ask([server], end.signal), /no name server has answered/);
      await assert.rejects(
        ask([await nameServer(() => [])], AbortSignal.abort()),
        /no name server/,
      );
    },
  );

  test("without servers, or a question, there is no answer", LIMIT, async () => {
    await assert.rejects(ask([]), /no name server has answered/);
    await assert.rejects(askServers(new Uint8Array(11), [], NO_STOP), RangeError);
  });
});
