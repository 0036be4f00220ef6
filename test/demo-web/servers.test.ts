/** The demonstration's servers: names, what the relay leads to, and how late it is. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Server } from "node:net";
import { after, before, describe, test } from "node:test";
import { openDelayed } from "../../examples/web-demo/server/delay.ts";
import { answerDns } from "../../examples/web-demo/server/dns.ts";
import { closerOf, portOf } from "../../examples/web-demo/server/listen.ts";
import { openPages } from "../../examples/web-demo/server/pages.ts";
import type { Destination } from "../../examples/web-demo/server/relay.ts";
import { openShell, openWeb, sumOf } from "../../examples/web-demo/server/world.ts";

const DESTINATIONS: readonly Destination[] = [
  { name: "web.demo.test", address: "203.0.113.80", port: 80, localPort: 0 },
];
const TYPE_A = 1;
const TYPE_AAAA = 28;

/** A question about a name, class IN. */
function question(name: string, type: number): Buffer {
  const labels = name.split(".").map((label) => `${String.fromCharCode(label.length)}${label}`);
  const head = Buffer.from("123401000001000000000000", "hex");
  return Buffer.concat([head, Buffer.from(`${labels.join("")}\0\0`), Buffer.of(type, 0, 1)]);
}

describe("names of the demonstration", () => {
  test("a name has its address", () => {
    const answer = answerDns(question("WEB.demo.test", TYPE_A), DESTINATIONS);
    assert.equal(answer?.toString("hex", 0, 8), "1234818000010001");
    assert.deepEqual([...(answer?.subarray(-4) ?? [])], [203, 0, 113, 80]);
  });

  test("other types have none, other names do not exist", () => {
    const none = answerDns(question("web.demo.test", TYPE_AAAA), DESTINATIONS);
    assert.equal(none?.toString("hex", 2, 8), "818000010000");
    const unknown = answerDns(question("no.demo.test", TYPE_A), DESTINATIONS);
    assert.equal(unknown?.toString("hex", 2, 8), "818300010000");
  });

  test("what is no question is not answered", () => {
    const whole = question("web.demo.test", TYPE_A);
    for (let size = 0; size < whole.length; size += 1) {
      assert.equal(answerDns(whole.subarray(0, size), DESTINATIONS), undefined, `${size} octets`);
    }
    const pointer = Buffer.from(whole);
    pointer[12] = 0xc0;
    assert.equal(answerDns(pointer, DESTINATIONS), undefined);
    assert.equal(answerDns(Buffer.alloc(513), DESTINATIONS), undefined);
  });
});

describe("servers of the demonstration", () => {
  const servers: Server[] = [];
  const closers: (() => Promise<void>)[] = [];
  const opened = <T extends Server>(server: T): number => {
    servers.push(server);
    closers.push(closerOf(server));
    return portOf(server);
  };
  let web = "";

  before(async () => {
    web = `http://127.0.0.1:${opened(await openWeb())}`;
  });
  after(async () => {
    await Promise.all(closers.map((close) => close()));
    assert.ok(servers.every((server) => !server.listening));
  });

  test("files have the sum that is told of them, and uploads theirs", async () => {
    const size = 3_000_001;
    const file = Buffer.from(await (await fetch(`${web}/files/${size}`)).arrayBuffer());
    assert.equal(file.length, size);
    const told = await (await fetch(`${web}/sums/${size}`)).text();
    assert.equal(told, `${sumOf(size)}\n`);
    const posted = await fetch(`${web}/upload`, { method: "POST", body: file });
    assert.equal(await posted.text(), `${sumOf(size)} ${size}\n`);
    assert.equal((await fetch(`${web}/files/99999999999`)).status, 404);
  });

  test("a delayed way takes as long as it says, and loses nothing", async () => {
    const delay_ms = 30;
    const port = opened(await openDelayed(opened(await openShell()), delay_ms));
    const socket = connect(port, "127.0.0.1");
    socket.setEncoding("utf8");
    let text = "";
    socket.on("data", (part: string) => {
      text += part;
    });
    const shows = async (pattern: RegExp): Promise<void> => {
      while (!pattern.test(text)) await once(socket, "data");
    };
    await shows(/\$ $/);
    const start = performance.now();
    socket.write("abc\n");
    await shows(/abc\r\n3 characters: abc\r\n\$ $/);
    assert.ok(performance.now() - start >= 2 * delay_ms - 2);
    socket.destroy();
  });

  test("pages come with a policy that lets nothing in from elsewhere", async () => {
    const files = new Map([["/", { type: "text/html", text: "<p>page" }]]);
    const connectTo = ["ws://127.0.0.1:1"];
    const pages = await openPages({ files, connectTo, destinations: DESTINATIONS });
    const origin = `http://127.0.0.1:${opened(pages)}`;
    const page = await fetch(`${origin}/`);
    assert.equal(await page.text(), "<p>page");
    const policy = page.headers.get("content-security-policy") ?? "";
    assert.match(policy, /^default-src 'none'; script-src 'self' 'wasm-unsafe-eval';/);
    assert.match(policy, /connect-src 'self' ws:\/\/127\.0\.0\.1:1;/);
    assert.equal((await fetch(`${origin}/other`)).status, 404);
    const body = Uint8Array.from(question("web.demo.test", TYPE_A));
    const asked = await fetch(`${origin}/dns-query`, { method: "POST", body });
    assert.equal(asked.headers.get("content-type"), "application/dns-message");
    assert.equal(
      Buffer.from(await asked.arrayBuffer())
        .subarray(-4)
        .join("."),
      "203.0.113.80",
    );
    const bad = await fetch(`${origin}/dns-query?dns=AAAA`);
    assert.equal(bad.status, 400);
  });
});
