/** The live page's server over real sockets: what it answers, what it refuses, what it limits. */
import assert from "node:assert/strict";
import { type IncomingMessage, type RequestOptions, request } from "node:http";
import { after, before, describe, test } from "node:test";
import { startUi, type UiServer } from "../../src/ui/server.ts";
import { furnish } from "../support/ui/scene.ts";
import { NO_CALLS, type Stage, setStage } from "../support/ui/stage.ts";

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
}

const JSON_TYPE = { "content-type": "application/json" };

function ask(url: string, options: RequestOptions = {}, body?: string): Promise<Answer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const asked = request({ hostname, port, agent: false, ...options }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part) => {
        text += part;
      });
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      });
      response.on("error", reject);
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

describe("live page's server", () => {
  let stage: Stage;
  const post = (
    path: string,
    body: object,
    headers: Record<string, string> = {},
  ): Promise<Answer> =>
    ask(
      stage.server.url,
      {
        ...{ method: "POST", path },
        headers: { authorization: `Bearer ${stage.token}`, ...JSON_TYPE, ...headers },
      },
      JSON.stringify(body),
    );
  /** Lines of the stream until one is of that kind. */
  const linesUntil = (kind: string): Promise<string[]> => {
    const { hostname, port } = new URL(stage.server.url);
    const headers = { authorization: `Bearer ${stage.token}`, ...JSON_TYPE };
    const options = { hostname, port, agent: false, method: "POST", path: "/watch", headers };
    return new Promise<string[]>((resolve, reject) => {
      const asked = request(options, async (response) => {
        let text = "";
        for await (const part of response) {
          text += String(part);
          const lines = text.split("\n");
          if (lines.some((line) => line.startsWith(`{"${kind}"`))) {
            resolve(lines);
            break;
          }
        }
        asked.destroy();
      });
      asked.on("error", reject);
      asked.end("{}");
    });
  };

  before(async () => {
    stage = await setStage(50);
    furnish(stage.instance);
  });
  after(() => stage.close());

  test("the page needs no token and has nothing of the instance's", async () => {
    const { status, headers, text } = await ask(stage.server.url, { path: "/" });
    assert.equal(status, 200);
    assert.match(text, /<title>slirp-binding<\/title>/);
    assert.doesNotMatch(text, /10\.0\.2\.|fake/);
    assert.match(
      String(headers["content-security-policy"]),
      /^default-src 'none'; script-src 'sha256-/,
    );
    assert.equal(headers["x-frame-options"], "DENY");
    assert.equal(headers["cache-control"], "no-store");
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.equal(headers["access-control-allow-origin"], undefined);
  });

  test("the printed address has the token where no browser sends it", () => {
    const { hash, search, pathname } = new URL(stage.server.url);
    assert.deepEqual([hash.slice(1), search, pathname], [stage.token, "", "/"]);
  });

  test("all that the page shows comes as lines of one stream", async () => {
    const lines = await linesUntil("flows");
    const kinds = lines.map((line) => /^\{"(\w+)"/.exec(line)?.[1]);
    assert.deepEqual(kinds.slice(0, 5), ["instance", "ports", "drops", "captures", "level"]);
    for (const line of lines.filter((each) => each.endsWith("}"))) JSON.parse(line);
  });

  test("a port is published and removed by calls that are passed on", async () => {
    const added = await post("/call/AddPublished", { network: "default", rule: "8443:443" });
    assert.equal(added.status, 200);
    assert.equal(JSON.parse(added.text).ports[0].hostPort, 8443);
    assert.equal((await post("/call/RemovePublished", { rule: "8443:443/tcp" })).status, 200);
  });

  test("a refusal of the instance comes through with its words", async () => {
    const { status, text } = await post("/call/AddPublished", { rule: "nonsense" });
    assert.equal(status, 400);
    assert.deepEqual(JSON.parse(text), {
      code: "invalid_argument",
      message: "wanted a rule such as 8080:80",
    });
    const capture = await post("/capture", { filter: "nonsense" });
    assert.equal(capture.status, 400);
    assert.match(capture.text, /unknown word/);
  });

  test("calls that the page does not need are out of reach", async () => {
    for (const name of ["StartCapture", "ListFlows", "GetInstance", "../AddPublished", ""]) {
      assert.equal((await post(`/call/${name}`, {})).status, 404, name);
    }
    assert.equal((await post("/metrics", {})).status, 404);
  });

  test("nothing is told or changed without the token", async () => {
    const calls = stage.instance.calls.length;
    for (const path of ["/watch", "/capture", "/call/AddPublished"]) {
      const { status, text } = await post(path, {}, { authorization: "Bearer wrong" });
      assert.deepEqual([status, text], [401, "wrong token\n"], path);
    }
    assert.equal(stage.instance.calls.length, calls);
    assert.equal(stage.instance.captured.filter(({ filter }) => filter === "").length, 0);
  });

  test("a name that was made to lead here is refused, with a token and for the page", async () => {
    const host = { host: "evil.example" };
    assert.equal((await post("/watch", {}, host)).status, 421);
    assert.equal((await ask(stage.server.url, { path: "/", headers: host })).status, 421);
  });

  test("other pages are refused, and their browsers are told of no permission", async () => {
    const origin = { origin: "http://evil.example" };
    assert.equal((await post("/watch", {}, origin)).status, 403);
    assert.equal((await post("/watch", {}, { "sec-fetch-site": "cross-site" })).status, 403);
    const headers = { ...origin, "access-control-request-method": "POST" };
    const asked = await ask(stage.server.url, { method: "OPTIONS", path: "/watch", headers });
    assert.equal(asked.status, 403);
    assert.equal(asked.headers["access-control-allow-origin"], undefined);
  });

  test("other methods are refused", async () => {
    const authorization = `Bearer ${stage.token}`;
    for (const method of ["GET", "PUT", "DELETE", "OPTIONS"]) {
      const options = { method, path: "/watch", headers: { authorization, ...JSON_TYPE } };
      assert.equal((await ask(stage.server.url, options)).status, 405, method);
    }
  });

  test("a body that is too long is refused, whether its length is told or not", async () => {
    const headers = { authorization: `Bearer ${stage.token}`, ...JSON_TYPE };
    const long = "x".repeat(64 * 1024);
    const told = { method: "POST", path: "/watch", headers };
    const untold = { ...told, headers: { ...headers, "transfer-encoding": "chunked" } };
    for (const options of [told, untold]) {
      // It may have closed the connection before all was sent.
      const status = await ask(stage.server.url, options, long).then(
        (answer) => answer.status,
        (error) => error.code,
      );
      assert.ok([413, "ECONNRESET", "EPIPE"].includes(status), String(status));
    }
  });

  test("watchers are limited, and a browser that leaves makes room", async () => {
    const { hostname, port } = new URL(stage.server.url);
    const headers = { authorization: `Bearer ${stage.token}`, ...JSON_TYPE };
    const open = () =>
      new Promise<{ status: number; leave: () => void }>((resolve, reject) => {
        const options = { hostname, port, agent: false, method: "POST", path: "/watch", headers };
        const asked = request(options, (response) => {
          response.on("error", () => {}).resume();
          resolve({ status: response.statusCode ?? 0, leave: () => asked.destroy() });
        });
        asked.on("error", reject);
        asked.end("{}");
      });
    const first = await Promise.all(Array.from({ length: 3 }, open));
    assert.deepEqual(new Set(first.map(({ status }) => status)), new Set([200]));
    assert.equal((await open()).status, 429);
    for (const { leave } of first) leave();
    let status = 429;
    for (let i = 0; i < 200 && status === 429; i += 1) {
      const { leave, ...found } = await open();
      status = found.status;
      leave();
    }
    assert.equal(status, 200);
  });
});

describe("live page's server elsewhere", () => {
  test("a port that is taken is told", async () => {
    const options = {
      host: "127.0.0.1",
      token: "t",
      parts: { script: "", style: "" },
      calls: NO_CALLS,
    };
    const first: UiServer = await startUi({ ...options, port: 0 });
    const port = Number(new URL(first.url).port);
    await assert.rejects(
      startUi({ ...options, port }),
      /^Error: Listen at 127\.0\.0\.1:\d+: .*EADDRINUSE/,
    );
    await first.close();
  });

  test("IPv6 loopback is served under its own name", async () => {
    const options = { host: "::1", token: "t", parts: { script: "", style: "" }, calls: NO_CALLS };
    const server = await startUi({ ...options, port: 0 });
    const url = new URL(server.url);
    assert.match(server.url, /^http:\/\/\[::1\]:\d+\/#t$/);
    const page = await ask(server.url, { hostname: "::1", path: "/", headers: { host: url.host } });
    assert.equal(page.status, 200);
    await server.close();
  });
});
