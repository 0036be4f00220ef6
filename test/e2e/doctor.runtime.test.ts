/**
 * End to end: what `doctor` says of a namespace that allows little, and its script in a guest that
 * is well and in one that is not.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ourCommand } from "../support/e2e/program.ts";
import { cannotRun, createWorld, oursOnly, startDns, type World } from "../support/e2e/setup.ts";
import { setSysctls } from "../support/e2e/world.ts";

const LIMIT = { timeout: 90_000 };
const NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];

describe("doctor", { skip: cannotRun("setpriv", "dnsmasq") || oursOnly() }, () => {
  let world: World;
  before(async () => {
    world = await createWorld({ mtu: 1500 });
  }, LIMIT);
  after(() => world.remove(), LIMIT);

  async function findings(...args: string[]): Promise<Map<string, { severity: string }>> {
    const program = [...NOBODY, ...ourCommand(), "doctor", "--json", ...args];
    const { stdout, stderr } = await world.host.run(program);
    const lines = stdout.trim().split("\n");
    assert.ok(lines.length > 10, stderr);
    return new Map(lines.map((line) => JSON.parse(line)).map((each) => [each.check, each]));
  }

  test("settings of the namespace show, and what mends them does", LIMIT, async () => {
    setSysctls(world.host, {
      "net.ipv4.ping_group_range": "1 0",
      "net.ipv4.ip_unprivileged_port_start": "1024",
    });
    const before = await findings("--publish", "80:80", "--dns", "127.0.0.1");
    assert.equal(before.get("ping")?.severity, "warning");
    assert.equal(before.get("ports")?.severity, "error");
    assert.equal(before.get("resolvers")?.severity, "error");
    setSysctls(world.host, {
      "net.ipv4.ping_group_range": "65534 65534",
      "net.ipv4.ip_unprivileged_port_start": "80",
    });
    await startDns(world.host, "127.0.0.1");
    const later = await findings("--publish", "80:80", "--dns", "127.0.0.1");
    assert.equal(later.get("ping")?.severity, "ok");
    assert.equal(later.get("ports")?.severity, "note");
    assert.equal(later.get("resolvers")?.severity, "ok");
  });

  test("its script finds nothing in a guest that is well, and what was broken", LIMIT, async () => {
    const made = await world.host.run([...ourCommand(), "doctor", "--in-guest", "--mtu", "1500"]);
    assert.equal(made.code, 0, made.stderr);
    const look = async () => {
      const script = ["sh", "-c", `getent() { return 0; }\n${made.stdout}`];
      const { code, stdout } = await world.guest.run(script);
      const problems = stdout.split("\n").filter((line) => line.startsWith("problem"));
      assert.equal(code, problems.length, stdout);
      return problems.join("\n").replaceAll(/problem +\/etc\/resolv.conf .*\n?/g, "");
    };
    assert.equal(await look(), "");
    world.guest.must("ip", "link", "set", "tap0", "mtu", "9000");
    assert.match(await look(), /MTU of tap0 is 9000/);
    world.guest.must("ip", "link", "set", "tap0", "mtu", "1500");
    world.guest.must("ip", "route", "replace", "default", "via", "10.0.2.9", "dev", "tap0");
    assert.match(await look(), /gateway is not 10\.0\.2\.2/);
    world.guest.must("ip", "addr", "flush", "dev", "tap0");
    assert.match(await look(), /no IPv4 address/);
  });
});
