/**
 * End to end: rows of docs/operating.md whose cause is the machine or the pod: what it forbids, and
 * how `doctor` tells. Each test makes the fault, sees the guest suffer where it does, has the
 * page's command say what the page says, mends it by the page's cure, and looks again.
 */
import assert from "node:assert/strict";
import { copyFileSync, rmSync, utimesSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { dns, tryConnect } from "../support/e2e/peers.ts";
import { DNS_ADDRESS, ourCommand, type Program, startProgram } from "../support/e2e/program.ts";
import { cannotRun, oursOnly, startDns } from "../support/e2e/setup.ts";
import { until } from "../support/e2e/shell.ts";
import {
  createGuest,
  createHost,
  HOST_ADDRESS,
  HOST_ADDRESS6,
  type Namespace,
  setSysctls,
  writeResolvConf,
} from "../support/e2e/world.ts";
import { joining, limitMemory } from "../support/memory-limit.ts";
import { temporaryFolder } from "../support/operating/folder.ts";
import { ask, inShell, isMended, look, mend, NOBODY } from "../support/operating/look.ts";
import { looksAs } from "../support/operating/screenshot.ts";
import { missingIn, operatingRow } from "../support/operating/table.ts";

const LIMIT = { timeout: 90_000 };
const MIB = 1 << 20;
const AS_NOBODY = { prefix: NOBODY };
const NAME = "who.test";
const SERVFAIL = 2;
const HOUR_s = 3600;
/** Of the host's network; nobody has it. */
const SILENT_ADDRESS = "192.0.2.253";

interface Place {
  readonly host: Namespace;
  readonly guest: Namespace;
  start(...args: string[]): Promise<Program>;
}

/** A host and a guest, and whatever of the program the work starts there. */
async function withPlace(
  work: (place: Place) => Promise<void>,
  { resolvConf = "", ipv6 = false } = {},
): Promise<void> {
  const host = createHost(resolvConf);
  const guest = createGuest(ipv6);
  const programs: Program[] = [];
  try {
    const start = async (...args: string[]): Promise<Program> => {
      await programs.at(-1)?.stop();
      const program = await startProgram({ host, netns: guest.path, args });
      programs.push(program);
      return program;
    };
    await work({ host, guest, start });
  } finally {
    await programs.at(-1)?.stop();
    guest.remove();
    host.remove();
  }
}

/** What the guest's DHCP client is told, as it says it. */
async function leaseOf(guest: Namespace): Promise<string> {
  const print = 'printf "%s\n" "#!/bin/sh" "env" >"$0" && chmod 755 "$0"';
  const folder = temporaryFolder();
  try {
    const script = join(folder, "print");
    await guest.run(["sh", "-c", print, script]);
    const flags = ["-n", "-q", "-f", "-i", "tap0", "-O", "search", "-s", script];
    const { stdout, stderr } = await guest.run(["udhcpc", ...flags]);
    assert.match(stdout, /^ip=10\.0\.2\.15$/m, stderr);
    return stdout;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("docs/operating.md: what the machine forbids", {
  skip: cannotRun("setpriv", "dnsmasq", "ping", "unshare", "udhcpc") || oursOnly(),
}, () => {
  test("01 ping fails: ping_group_range", LIMIT, async () => {
    await withPlace(async ({ host, guest, start }) => {
      const row = operatingRow("01");
      const ping = () => guest.run(["ping", "-c", "1", "-W", "5", HOST_ADDRESS]);
      setSysctls(host, { "net.ipv4.ping_group_range": "1 0" });
      await start();
      assert.match((await ping()).stdout, /prohibited|filtered/i);
      await look(host, row, AS_NOBODY);
      await mend(host, row);
      await isMended(host, row, AS_NOBODY);
      await start();
      assert.equal((await ping()).code, 0);
    });
  });

  test("02 a port below 1024 is refused: ip_unprivileged_port_start", LIMIT, async () => {
    await withPlace(async ({ host }) => {
      const row = operatingRow("02");
      const folder = temporaryFolder();
      const attach = [
        "slirp-binding attach",
        `--listen unix:${folder}/vm.sock`,
        "--publish 80:80 --admin off",
      ];
      const tries = () => host.start(inShell(`exec ${attach.join(" ")}`, AS_NOBODY));
      try {
        setSysctls(host, { "net.ipv4.ip_unprivileged_port_start": "1024" });
        const refused = await tries().outcome();
        assert.equal(refused.code, 1);
        assert.match(refused.stderr, /80.*ip_unprivileged_port_start/);
        looksAs("slirp-binding doctor --publish 80:80", await look(host, row, AS_NOBODY));
        await mend(host, row);
        await isMended(host, row, AS_NOBODY);
        const running = tries();
        await until(() => /"msg":"ready"/.test(running.stderr()), "it to start");
        running.signal("SIGTERM");
        assert.equal((await running.outcome()).code, 0);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  });

  test("03 no name resolves: a resolver of loopback that is not there", LIMIT, async () => {
    await withPlace(
      async ({ host, guest, start }) => {
        const row = operatingRow("03");
        await start();
        assert.equal((await dns(guest, "udp", DNS_ADDRESS, NAME)).rcode, SERVFAIL);
        await look(host, row);
        await startDns(host, HOST_ADDRESS, "203.0.113.1");
        assert.ok(row.cures.includes("--dns ADDRESS"));
        await start("--dns", HOST_ADDRESS);
        assert.equal((await dns(guest, "udp", DNS_ADDRESS, NAME)).address, "203.0.113.1");
      },
      { resolvConf: "nameserver 127.0.0.1\n" },
    );
  });

  test("04 names take a second: the first resolver is silent", LIMIT, async () => {
    const resolvConf = `nameserver ${SILENT_ADDRESS}\nnameserver ${HOST_ADDRESS}\n`;
    await withPlace(
      async ({ host, guest, start }) => {
        const row = operatingRow("04");
        await startDns(host, HOST_ADDRESS, "203.0.113.1");
        const program = await start();
        const asked = performance.now();
        assert.equal((await dns(guest, "udp", DNS_ADDRESS, NAME)).address, "203.0.113.1");
        assert.ok(performance.now() - asked > 900, "it has waited");
        await look(host, row);
        writeResolvConf(host, `nameserver ${HOST_ADDRESS}\n`);
        await isMended(host, row);
        await until(() => /"resolvers changed"/.test(program.running.stderr()), "it to be read");
      },
      { resolvConf },
    );
  });

  test('05 short names do not resolve: "search ."', LIMIT, async () => {
    await withPlace(
      async ({ host, guest, start }) => {
        const row = operatingRow("05");
        await look(host, row);
        assert.ok(row.cures.includes("--search DOMAIN"));
        await start("--search", "example.test");
        assert.match(await leaseOf(guest), /example\.test/);
        await start();
        assert.doesNotMatch(await leaseOf(guest), /search|example/);
      },
      { resolvConf: "nameserver 127.0.0.1\nsearch .\n" },
    );
  });

  test("06 no tap: /dev/net/tun is missing", LIMIT, async () => {
    await withPlace(async ({ host, guest }) => {
      const row = operatingRow("06");
      const hidden = [
        "unshare",
        "-m",
        "sh",
        "-c",
        'mount -t tmpfs none /dev/net && exec "$@"',
        "sh",
      ];
      const attach = `slirp-binding attach --tap tap0 --netns ${guest.path}`;
      const refused = await host.run(inShell(attach, { prefix: hidden }));
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /\/dev\/net\/tun/);
      await look(host, row, { prefix: hidden });
      await isMended(host, row);
    });
  });

  test("07 IPv6 is refused, and tried first: the host has none", LIMIT, async () => {
    await withPlace(
      async ({ host, guest, start }) => {
        const row = operatingRow("07");
        setSysctls(host, { "net.ipv6.conf.all.disable_ipv6": "1" });
        await start();
        const addresses = () => guest.must("ip", "-6", "addr", "show", "scope", "global");
        assert.match(addresses(), /fd10:0:2::2/);
        assert.equal((await tryConnect(guest, HOST_ADDRESS6, 80)).ok, false);
        await look(host, row);
        assert.ok(row.cures.includes("--no-ipv6"));
        await start("--no-ipv6");
        assert.equal(addresses(), "");
      },
      { ipv6: true },
    );
  });

  test("08 certificates are not valid yet: the clock", LIMIT, async () => {
    await withPlace(async ({ host }) => {
      const row = operatingRow("08");
      const folder = temporaryFolder();
      try {
        // The clock of a test cannot be set: it is the program that is from the future.
        const copy = join(folder, "slirp-binding");
        copyFileSync(ourCommand().at(-1) ?? "", copy);
        const tomorrow = Date.now() / 1000 + 24 * HOUR_s;
        utimesSync(copy, tomorrow, tomorrow);
        await look(host, row, { prefix: ["env", `PATH=${folder}:${process.env["PATH"]}`] });
        await isMended(host, row);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  });

  test("09 connections are refused under load: the descriptor limit", LIMIT, async () => {
    await withPlace(async ({ host }) => {
      const row = operatingRow("09");
      await look(host, row, { prefix: ["prlimit", "--nofile=1024:1024"] });
      const [limit] = row.cures;
      assert.match(limit ?? "", /^LimitNOFILE=\d+$/);
      const raised = `--nofile=${limit?.split("=")[1]}:${limit?.split("=")[1]}`;
      await isMended(host, row, { prefix: ["prlimit", raised] });
    });
  });

  test("10 it is killed: the memory limit of the pod", LIMIT, async (context) => {
    const limit = limitMemory(48 * MIB);
    if (limit === undefined) return context.skip("no control group can be made here");
    await withPlace(async ({ host }) => {
      const row = operatingRow("10");
      await look(host, row, { prefix: joining(limit) });
      await isMended(host, row);
    });
    await limit.remove();
  });

  test("11 virt-launcher waits for the sidecar: the hooks folder", LIMIT, async () => {
    await withPlace(async ({ host }) => {
      const row = operatingRow("11");
      const make = "mount -t tmpfs none /run && mkdir -m 755 /run/kubevirt-hooks";
      const as = "setpriv --reuid 107 --regid 107 --clear-groups";
      const before = `${as} ${row.command}; ${as} slirp-binding serve --admin off`;
      const after = `${as} ${row.command}`;
      const text = `${make}; (${before}) 2>&1; ${row.cures[0]}; echo mended; ${after}`;
      const { stdout } = await host.run(inShell(text, { prefix: ["unshare", "-m"] }));
      const [first = "", second = ""] = stdout.split("mended");
      assert.deepEqual(missingIn(row, first), [], stdout);
      assert.match(first, /cannot listen on.*EACCES/);
      assert.ok(missingIn(row, second).length > 0, stdout);
    });
  });

  test("12 the guest has no network at all: a script looks from inside", LIMIT, async () => {
    await withPlace(async ({ host, guest, start }) => {
      const row = operatingRow("12");
      await start();
      guest.must("ip", "addr", "flush", "dev", "tap0");
      const script = await ask(host, row);
      const inside = async (): Promise<string> =>
        (await guest.run(["sh", "-c", script.stdout])).stdout;
      const found = await inside();
      assert.deepEqual(missingIn(row, found), [], found);
      await mend(guest, row);
      const later = await inside();
      assert.deepEqual(missingIn(row, later), row.shows, later);
    });
  });
});
