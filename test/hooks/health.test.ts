/**
 * The standard health service: Check by name, Watch over changes, the end of both. Messages by
 * hand: service 1 in, status 1 out (1 serving, 2 not serving, 3 unknown).
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Client, ClientReadableStream, ServiceError } from "@grpc/grpc-js";
import { Health } from "../../src/hooks/health.ts";
import { call, HEALTH_CHECK, HEALTH_WATCH, openClient, refusal } from "../support/hook-client.ts";
import { startTestServer, type TestServer } from "../support/hook-server.ts";
import { fields, message } from "../support/protobuf.ts";

const LIMIT = { timeout: 10_000 };
const SERVING = 1;
const NOT_SERVING = 2;
const SERVICE_UNKNOWN = 3;

const HOOK_SERVICES = [
  "",
  "kubevirt.hooks.info.Info",
  "kubevirt.hooks.v1alpha1.Callbacks",
  "kubevirt.hooks.v1alpha2.Callbacks",
  "kubevirt.hooks.v1alpha3.Callbacks",
  "grpc.health.v1.Health",
];
const PLUGIN_SERVICE = "kubevirt.hooks.plugins.v1alpha1.DomainHookService";

function statusOf(answer: Buffer): number {
  const [field] = fields(answer);
  assert.equal(field?.number, 1);
  return Number(field.value);
}

async function check(path: string, service: string): Promise<number> {
  return statusOf(
    await call(path, HEALTH_CHECK, service === "" ? undefined : message([1, service])),
  );
}

/** A Watch whose answers are taken one by one. */
class Watch {
  readonly #client: Client;
  readonly #stream: ClientReadableStream<Buffer>;
  readonly #statuses: number[] = [];
  readonly ended: Promise<ServiceError | undefined>;
  #wake = (): void => {};

  constructor(path: string, service: string) {
    const raw = (bytes: Buffer): Buffer => bytes;
    this.#client = openClient(path);
    const body = message([1, service]);
    this.#stream = this.#client.makeServerStreamRequest(HEALTH_WATCH, raw, raw, body);
    this.#stream.on("data", (answer: Buffer) => {
      this.#statuses.push(statusOf(answer));
      this.#wake();
    });
    this.ended = new Promise((resolve) => {
      this.#stream.once("error", (error: ServiceError) => resolve(error));
      this.#stream.once("end", () => resolve(undefined));
    });
  }

  async next(): Promise<number> {
    for (;;) {
      const status = this.#statuses.shift();
      if (status !== undefined) return status;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    this.#stream.cancel();
    this.#client.close();
  }
}

describe("health", () => {
  let own: TestServer;
  let pluginPath: string;
  before(async () => {
    own = await startTestServer({ plugin: true });
    pluginPath = own.server.paths[1] ?? "";
  });
  after(() => own.end());

  test("every service of a socket is known there, those of the other socket are not", async () => {
    for (const service of HOOK_SERVICES) {
      assert.equal(await check(own.path, service), SERVING, service);
    }
    assert.equal(await check(pluginPath, PLUGIN_SERVICE), SERVING);
    for (const [path, service] of [
      [own.path, PLUGIN_SERVICE],
      [pluginPath, "kubevirt.hooks.info.Info"],
      [own.path, "x".repeat(4000)],
    ] as const) {
      const { code, text } = await refusal(path, HEALTH_CHECK, message([1, service]));
      assert.equal(code, "NOT_FOUND");
      assert.equal(text, `no service "${service.slice(0, 100)}"`);
    }
  });

  test("a change is seen by Check and by all that watch, on both sockets", async () => {
    const watches = [new Watch(own.path, ""), new Watch(pluginPath, PLUGIN_SERVICE)];
    const unknown = new Watch(own.path, "nobody");
    for (const watch of watches) assert.equal(await watch.next(), SERVING);
    assert.equal(await unknown.next(), SERVICE_UNKNOWN);
    for (const isServing of [false, false, true, true, false, true]) {
      own.server.setServing(isServing);
      assert.equal(await check(own.path, ""), isServing ? SERVING : NOT_SERVING);
    }
    // Only what changed is told: four times in all.
    for (const watch of watches) {
      for (const wanted of [NOT_SERVING, SERVING, NOT_SERVING, SERVING]) {
        assert.equal(await watch.next(), wanted);
      }
    }
    for (const watch of [...watches, unknown]) watch.close();
  });

  test("one that watches no longer is forgotten", async () => {
    const watch = new Watch(own.path, "");
    assert.equal(await watch.next(), SERVING);
    watch.close();
    await watch.ended;
    own.server.setServing(false);
    own.server.setServing(true);
    assert.equal(await check(own.path, ""), SERVING);
  });
});

test("the end of the server ends a Watch, and is not held up by it", async () => {
  const own = await startTestServer();
  const watch = new Watch(own.path, "");
  assert.equal(await watch.next(), SERVING);
  const [error] = await Promise.all([watch.ended, own.end()]);
  assert.equal(error, undefined);
  assert.equal(await watch.next(), NOT_SERVING);
  watch.close();
});

test("nothing waits for a change that cannot come or that nobody wants", LIMIT, async () => {
  const health = new Health();
  await health.changed(AbortSignal.abort());
  health.end();
  await health.changed(new AbortController().signal);
});
