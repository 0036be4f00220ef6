/** Calls about published ports: what is checked before a network is asked, and how it is told. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import type { AdminProgram } from "../../src/admin/program.ts";
import { addPublished, listPublished, removePublished } from "../../src/admin/published.ts";
import type { RunningNetwork } from "../../src/binding/networks.ts";
import { PortChanges } from "../../src/binding/port-changes.ts";
import type { PublishedRow, UnpublishAnswer } from "../../src/binding/requests.ts";
import { ConfigError } from "../../src/config/errors.ts";
import { formatRule, type PublishRule, parsePublish } from "../../src/config/publish-rule.ts";
import { mappedOctetsOf } from "../../src/lib/addr6.ts";
import { network } from "../support/networks-stage.ts";

function rowOf(text: string, fields: Partial<PublishedRow> = {}): PublishedRow {
  return { rule: parsePublish(text), isAdded: true, isListening: true, flows: 0, ...fields };
}

interface Fake {
  readonly network: RunningNetwork;
  readonly asked: unknown[];
  /** What the next requests of a kind give; rows without. */
  readonly answers: Record<string, unknown[]>;
  readonly kept: () => string[];
}

function fake(name: string, rows: readonly PublishedRow[] = []): Fake {
  const asked: unknown[] = [];
  const answers: Fake["answers"] = {};
  const { options } = network(name);
  const ports = new PortChanges(options.publish.rules);
  const binding = {
    ask: (kind: string, asks: unknown) => {
      asked.push([kind, asks]);
      const answer = answers[kind]?.shift() ?? (kind === "published" ? rows : undefined);
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  };
  const kept = () => (ports.applyTo(options).publish.added ?? []).map(formatRule);
  const running = { name, options, binding, ports } as unknown as RunningNetwork;
  return { network: running, asked, answers, kept };
}

function programOf(...fakes: readonly Fake[]): AdminProgram {
  return { networks: () => fakes.map((each) => each.network) } as unknown as AdminProgram;
}

const refusedAs =
  (code: Code, pattern: RegExp) =>
  (error: unknown): boolean =>
    error instanceof ConnectError && error.code === code && pattern.test(error.rawMessage);

const request = (rule: string, name = "") => ({ network: name, rule }) as never;

describe("published ports by the admin service", () => {
  test("those of all networks are listed, or of one", async () => {
    const blue = fake("blue", [
      rowOf("8000-8009:10.0.2.50:80", { flows: 3, isAdded: false }),
      rowOf("[::1]:53:53/udp"),
    ]);
    const red = fake("red", [rowOf("0.0.0.0:80:80", { isListening: false })]);
    const program = programOf(blue, red);
    const { ports } = await listPublished(program, { network: "" } as never);
    const told = ports.map(({ $typeName, ...port }) => port);
    assert.deepEqual(told, [
      {
        ...{ network: "blue", protocol: "tcp", hostAddress: "*", hostPort: 8000, count: 10 },
        ...{ guestAddress: "10.0.2.50", guestPort: 80 },
        ...{ isAdded: false, isListening: true, flows: 3 },
      },
      {
        ...{ network: "blue", protocol: "udp", hostAddress: "::1", hostPort: 53, count: 1 },
        ...{ guestAddress: "", guestPort: 53, isAdded: true, isListening: true, flows: 0 },
      },
      {
        ...{ network: "red", protocol: "tcp", hostAddress: "0.0.0.0", hostPort: 80, count: 1 },
        ...{ guestAddress: "", guestPort: 80, isAdded: true, isListening: false, flows: 0 },
      },
    ]);
    const one = await listPublished(program, { network: "red" } as never);
    assert.deepEqual(
      one.ports.map(({ network: name }) => name),
      ["red"],
    );
  });

  test("what is added is kept for when the network begins again", async () => {
    const blue = fake("blue");
    blue.answers["publish"] = [rowOf("80:80")];
    const { ports } = await addPublished(programOf(blue), request("80:80"));
    assert.deepEqual([ports[0]?.hostPort, ports[0]?.network, blue.kept()], [80, "blue", ["80:80"]]);
    assert.deepEqual(blue.asked, [["publish", parsePublish("80:80")]]);
  });

  test("what the options forbid is refused before anybody is asked", async () => {
    const blue = fake("blue");
    for (const rule of [
      "80",
      "80:80/sctp",
      "80:[2001:db8::1]:80",
      "80:10.0.2.2:80",
      "80:192.0.2.1:80",
    ]) {
      await assert.rejects(addPublished(programOf(blue), request(rule)), ConfigError, rule);
    }
    await assert.rejects(removePublished(programOf(blue), request("x")), ConfigError);
    assert.deepEqual([blue.asked, blue.kept()], [[], []]);
  });

  test("with several networks one has to be named", async () => {
    const program = programOf(fake("blue"), fake("red"));
    const named = refusedAs(Code.InvalidArgument, /^name one of the networks: blue, red$/);
    await assert.rejects(addPublished(program, request("80:80")), named);
    await assert.rejects(removePublished(program, request("80")), named);
    const unknown = refusedAs(Code.NotFound, /^no network "green"/);
    await assert.rejects(addPublished(program, request("80:80", "green")), unknown);
  });

  test("a port in use is refused with who has it", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? (address?.port ?? 0) : 0;
    const text = `127.0.0.1:${port}:80`;
    const at = [{ family: 4, octets: mappedOctetsOf(0x7f000001) }] as const;
    const taken = { taken: port, at };
    const blue = fake("blue");
    blue.answers["publish"] = [taken, taken];
    const own = refusedAs(
      Code.FailedPrecondition,
      new RegExp(`^port ".*:${port}/tcp" is in use: this program itself has 127\\.0\\.0\\.1:`),
    );
    await assert.rejects(addPublished(programOf(blue), request(text)), own);
    // Another network of this program has published it.
    const red = fake("red", [rowOf(text)]);
    const others = refusedAs(
      Code.FailedPrecondition,
      new RegExp(`published by "${text}" of "red"$`),
    );
    await assert.rejects(addPublished(programOf(blue, red), request(text, "blue")), others);
    server.close();
    await once(server, "close");
    blue.answers["publish"] = [taken];
    const nobody = refusedAs(Code.FailedPrecondition, /nothing in \/proc tells by whom$/);
    await assert.rejects(addPublished(programOf(blue), request(text)), nobody);
    assert.deepEqual(blue.kept(), []);
  });

  test("what is removed is asked for until all of it is gone", async () => {
    const blue = fake("blue");
    const kept: PublishRule = parsePublish("9000-9999:1");
    blue.network.ports?.add(kept);
    blue.answers["unpublish"] = [
      { rows: [rowOf("9000-9499:1")], isWhole: false },
      { rows: [rowOf("9500-9999:501")], isWhole: true },
    ] satisfies UnpublishAnswer[];
    const { ports } = await removePublished(programOf(blue), request("9000-9999"));
    assert.deepEqual(
      ports.map(({ hostPort, count }) => [hostPort, count]),
      [
        [9000, 500],
        [9500, 500],
      ],
    );
    assert.deepEqual([blue.asked.length, blue.kept()], [2, []]);
  });
});
