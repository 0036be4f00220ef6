/** The metrics' HTTP server: paths, health, who is kept out, bounds, the end. */
import assert from "node:assert/strict";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { describe, test } from "node:test";
import { MAILBOX_SIZE, Mailbox } from "../../src/binding/mailbox.ts";
import { type MetricsSources, startMetricsServer } from "../../src/metrics/server.ts";

const LOOPBACK = "127.0.0.1";
const FIGURES = { version: "1", residentBytes: 1, cpuSeconds: 1, descriptors: 1, startSeconds: 1 };

interface Found {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

type Headers = Readonly<Record<string, string>>;

function ask(port: number, path: string, headers: Headers = {}, method = "GET"): Promise<Found> {
  return new Promise((resolve, reject) => {
    const options = { host: LOOPBACK, port, path, headers, method, agent: false };
    const asked = request(options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece) => {
        text += piece;
      });
      response.on("end", () => {
        const type = response.headers["content-type"] ?? "";
        resolve({ status: response.statusCode ?? 0, type, text });
      });
    });
    asked.on("error", reject);
    asked.end();
  });
}

interface State {
  answers: boolean;
  isReady: boolean;
  onQuiet: () => void;
}

/** A server of two networks, the second of which answers if `answers` says so. */
async function withServer(run: (port: number, state: State) => Promise<void>): Promise<void> {
  const state: State = { answers: true, isReady: false, onQuiet: () => {} };
  const counters = new Mailbox(new SharedArrayBuffer(MAILBOX_SIZE));
  const sources: MetricsSources = {
    networks: () => [
      { name: "one", binding: { counters, meters: undefined, refresh: async () => true } },
      { name: "two", binding: { counters, meters: undefined, refresh: async () => state.answers } },
    ],
    isReady: () => state.isReady,
    figures: () => FIGURES,
    onQuiet: () => state.onQuiet(),
  };
  const server = await startMetricsServer({ host: LOOPBACK, port: 0 }, sources);
  try {
    await run(server.port, state);
  } finally {
    await server.close();
  }
}

describe("metrics server", () => {
  test("/metrics has both networks, in the format that was asked for", () =>
    withServer(async (port, state) => {
      state.answers = false;
      const { status, type, text } = await ask(port, "/metrics?x=1");
      assert.equal(status, 200);
      assert.match(type, /^text\/plain; version=0\.0\.4/);
      assert.ok(text.includes('slirp_network_up{interface="one"} 1\n'));
      assert.ok(text.includes('slirp_network_up{interface="two"} 0\n'));
      const open = await ask(port, "/metrics", { accept: "application/openmetrics-text" });
      assert.match(open.type, /^application\/openmetrics-text/);
      assert.ok(open.text.endsWith("# EOF\n"));
      const head = await ask(port, "/metrics", {}, "HEAD");
      assert.deepEqual([head.status, head.text], [200, ""]);
    }));

  test("/healthz names who does not answer, /readyz follows the program", () =>
    withServer(async (port, state) => {
      assert.deepEqual((await ask(port, "/healthz")).text, "ok\n");
      state.answers = false;
      const down = await ask(port, "/healthz");
      assert.deepEqual([down.status, down.text], [503, "no answer: two\n"]);
      assert.equal((await ask(port, "/readyz")).status, 503);
      state.isReady = true;
      assert.equal((await ask(port, "/readyz")).status, 200);
    }));

  test("other paths and methods are refused", () =>
    withServer(async (port) => {
      for (const path of ["/", "/metrics/", "/metricsx", "/../metrics"]) {
        assert.equal((await ask(port, path)).status, 404, path);
      }
      for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
        assert.equal((await ask(port, "/metrics", {}, method)).status, 405, method);
      }
    }));

  test("web pages are refused, a person who types the address is not", () =>
    withServer(async (port) => {
      for (const headers of [
        { origin: "http://evil.example" },
        { "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "same-origin" },
      ]) {
        assert.equal((await ask(port, "/metrics", headers)).status, 403);
      }
      assert.equal((await ask(port, "/metrics", { "sec-fetch-site": "none" })).status, 200);
    }));

  test("it is told when the last one goes, not before", () =>
    withServer(async (port, state) => {
      let quiet = 0;
      const isQuiet = new Promise<void>((resolve) => {
        state.onQuiet = () => {
          quiet += 1;
          resolve();
        };
      });
      const [one, other] = [connect(port, LOOPBACK), connect(port, LOOPBACK)];
      const connected = (socket: Socket) =>
        new Promise((resolve) => socket.once("connect", resolve));
      await Promise.all([one, other].map(connected));
      await ask(port, "/readyz"); // by a connection of its own
      assert.equal(quiet, 0);
      one.destroy();
      await ask(port, "/readyz");
      assert.equal(quiet, 0, "the other one is there");
      other.destroy();
      await isQuiet;
    }));

  test("a port that is taken is named; the end does not wait for who is connected", async () => {
    const sources = { networks: () => [], isReady: () => true, figures: () => FIGURES };
    const server = await startMetricsServer({ host: LOOPBACK, port: 0 }, sources);
    const again = startMetricsServer({ host: LOOPBACK, port: server.port }, sources);
    await assert.rejects(again, new RegExp(`Serve metrics at ${LOOPBACK}:${server.port}: .*`));
    const idle = connect({ host: LOOPBACK, port: server.port });
    const closed = new Promise((resolve) => idle.on("close", resolve));
    idle.on("error", () => {});
    await new Promise((resolve) => idle.on("connect", resolve));
    await server.close();
    await closed;
  });
});
