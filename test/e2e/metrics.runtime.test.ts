/**
 * End to end: what metrics tell of a real guest, that promtool reads them, and who gets none.
 * The program listens at every address of its host, so that a guest has something to find.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { httpServer, tcpServer } from "../support/e2e/peers.ts";
import { GATEWAY } from "../support/e2e/program.ts";
import { promtool } from "../support/e2e/promtool.ts";
import { cannotRun, createWorld, oursOnly, type World } from "../support/e2e/setup.ts";
import { must, until } from "../support/e2e/shell.ts";
import { HOST_ADDRESS } from "../support/e2e/world.ts";

const LIMIT = { timeout: 90_000 };
const PORT = 9100;

describe("attach: metrics", { skip: cannotRun() || oursOnly() }, () => {
  let world: World;
  before(async () => {
    world = await createWorld({
      hostLoopback: true,
      publish: ["8080:80/tcp"],
      args: ["--metrics", `0.0.0.0:${PORT}`],
    });
  }, LIMIT);
  after(() => world.remove(), LIMIT);

  async function scrape(...more: string[]): Promise<string> {
    const url = `http://127.0.0.1:${PORT}/metrics`;
    const { stdout, stderr } = await world.host.run(["curl", "-sS", "-m", "10", ...more, url]);
    assert.notEqual(stdout, "", stderr);
    return stdout;
  }

  /** Value of a series, as it is written. */
  async function value(series: string): Promise<number> {
    const line = (await scrape()).split("\n").find((each) => each.startsWith(`${series} `));
    assert.ok(line !== undefined, series);
    return Number(line.slice(series.length));
  }

  test("connections count: there, carried, gone, and how long they took", LIMIT, async () => {
    const server = await httpServer(world.host, HOST_ADDRESS);
    const url = `http://${HOST_ADDRESS}:${server.port}/`;
    const got = await world.guest.run(["curl", "-sS", "-m", "10", url]);
    assert.notEqual(got.stdout, "", got.stderr);
    const of = 'interface="tap0"';
    assert.equal(await value(`slirp_flows_opened_total{${of},protocol="tcp"}`), 1);
    const payload = `slirp_payload_bytes_total{${of},protocol="tcp",direction="to_guest"}`;
    assert.ok((await value(payload)) > got.stdout.length);
    assert.equal(await value(`slirp_connect_seconds_count{${of}}`), 1);
    assert.ok((await value(`slirp_loop_turn_seconds_count{${of}}`)) > 1);
    const held = await tcpServer(world.host, HOST_ADDRESS);
    const talk = `const s = require("node:net").connect(${held.port}, "${HOST_ADDRESS}");`;
    const open = world.guest.start(["node", "-e", talk]);
    const established = `slirp_flows{${of},kind="tcp",state="established"}`;
    await until(async () => (await value(established)) === 1, "the connection to be counted");
    open.signal("SIGKILL");
    await until(async () => (await value(established)) === 0, "its end to be counted");
  });

  test("promtool finds nothing to complain of, in both formats", {
    ...LIMIT,
    skip: promtool() === undefined && "needs promtool (Debian package prometheus)",
  }, async () => {
    const text = await scrape();
    assert.equal(must([promtool() ?? "", "check", "metrics"], text), "");
    const open = await scrape("-H", "Accept: application/openmetrics-text");
    assert.ok(open.endsWith("# EOF\n"));
  });

  test("the guest reaches it by none of the host's addresses", LIMIT, async () => {
    const page = async (address: string, port: number): Promise<string> => {
      const url = `http://${address}:${port}/metrics`;
      return (await world.guest.run(["curl", "-s", "-m", "10", url])).stdout;
    };
    const other = await httpServer(world.host, "0.0.0.0");
    for (const address of [GATEWAY, HOST_ADDRESS]) {
      assert.notEqual(await page(address, other.port), "", `${address} is within reach`);
      assert.equal(await page(address, PORT), "", address);
    }
    assert.ok((await scrape()).includes("slirp_network_up"), "others still do");
  });
});
