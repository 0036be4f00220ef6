/**
 * End to end, the Linux kernel as the guest: start and end, DHCP, DNS, ping, traceroute, capture.
 *
 * Method: `attach` runs inside a host namespace of its own and serves a guest namespace; what the
 * guest sees is asked of ordinary programs there. See test/support/e2e for the parts.
 */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { dns, httpServer, udpEcho, udpServer } from "../support/e2e/peers.ts";
import { DNS_ADDRESS, GATEWAY, ourCommand, startProgram } from "../support/e2e/program.ts";
import { cannotRun, createWorld, oursOnly, startDns, type World } from "../support/e2e/setup.ts";
import { run, until } from "../support/e2e/shell.ts";
import {
  createGuest,
  createHost,
  HOST_ADDRESS,
  UNREACHABLE_ADDRESS,
  writeResolvConf,
} from "../support/e2e/world.ts";

const LIMIT = { timeout: 90_000 };

describe("attach: the process", { skip: cannotRun() }, () => {
  test("SIGTERM and SIGINT end it with code 0 and take the tap along", {
    skip: oursOnly(),
    ...LIMIT,
  }, async () => {
    const host = createHost();
    const guest = createGuest();
    try {
      for (const name of ["SIGTERM", "SIGINT"] as const) {
        const program = await startProgram({ host, netns: guest.path });
        program.running.signal(name);
        const outcome = await program.running.outcome(10_000);
        assert.equal(outcome.code, 0, `after ${name}: ${outcome.stderr}`);
        const links = guest.must("ip", "-o", "link");
        assert.ok(!links.includes("tap0"), `the tap is still there: ${links}`);
      }
    } finally {
      guest.remove();
      host.remove();
    }
  });

  test("bad usage gives one clear line and code 2", { skip: oursOnly(), ...LIMIT }, async () => {
    const cases = [
      ["attach"],
      ["attach", "--tap", "tap0", "--mtu", "12"],
      ["attach", "--tap", "tap0", "--publish", "0:80"],
      ["attach", "--tap", "a-name-that-is-too-long"],
      ["attach", "--tap", "tap0", "--no-such-option"],
      ["no-such-command"],
    ];
    for (const args of cases) {
      const outcome = await run([...ourCommand(), ...args], 20_000);
      assert.equal(outcome.code, 2, `${args.join(" ")}: ${outcome.stderr}`);
      assert.equal(outcome.stdout, "", args.join(" "));
      assert.match(outcome.stderr, /^[^\n]+\n$/, args.join(" "));
    }
  });

  test("a namespace that is not there gives one line and code 1", {
    skip: oursOnly(),
  }, async () => {
    const args = ["attach", "--tap", "tap0", "--netns", "/run/netns/slirp-not-there"];
    const outcome = await run([...ourCommand(), ...args], 20_000);
    assert.equal(outcome.code, 1, outcome.stderr);
    assert.match(outcome.stderr, /slirp-not-there/);
  });
});

describe("attach: addresses and MTU", { skip: cannotRun("udhcpc") }, () => {
  for (const mtu of [1500, 65520]) {
    test(`--configure gives address, route and MTU ${mtu}`, LIMIT, async () => {
      const world = await createWorld({ mtu });
      try {
        const address = world.guest.must("ip", "-o", "-4", "addr", "show", "dev", "tap0");
        assert.ok(address.includes(`${world.program.guestAddress}/24`), address);
        assert.match(world.guest.must("ip", "route"), /default via 10\.0\.2\.2 dev tap0/);
        assert.match(
          world.guest.must("ip", "-o", "link", "show", "tap0"),
          new RegExp(`mtu ${mtu} `),
        );
      } finally {
        await world.remove();
      }
    });
  }

  test("D01 D12 D14 a real DHCP client gets address, router, DNS, MTU, names", {
    skip: oursOnly(),
    ...LIMIT,
  }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "slirp-dhcp-"));
    const args = ["--hostname", "box", "--search", "one.test", "--search", "two.test"];
    const world = await createWorld({ configure: false, mtu: 9000, args });
    try {
      const answer = join(folder, "answer");
      const hook = join(folder, "hook");
      writeFileSync(hook, dhcpHook(answer), { mode: 0o755 });
      world.guest.must("ip", "link", "set", "tap0", "up");
      const wanted = ["mtu", "hostname", "search", "domain", "dns", "router"];
      const options = wanted.flatMap((name) => ["-O", name]);
      const outcome = await world.guest.run(
        ["udhcpc", "-f", "-q", "-n", "-t", "5", "-T", "1", "-i", "tap0", "-s", hook, ...options],
        30_000,
      );
      assert.equal(outcome.code, 0, outcome.stderr);
      const lease = readFileSync(answer, "utf8");
      for (const line of [
        "ip=10.0.2.15",
        "subnet=255.255.255.0",
        "router=10.0.2.2",
        "dns=10.0.2.3",
        "mtu=9000",
        "hostname=box",
        "search=one.test two.test",
      ]) {
        assert.ok(lease.split("\n").includes(line), `no "${line}" in ${lease}`);
      }
      const server = await httpServer(world.host, HOST_ADDRESS);
      const page = await world.guest.run(["curl", "-sS", `http://${HOST_ADDRESS}:${server.port}/`]);
      assert.equal(page.code, 0, `the leased address reaches nothing: ${page.stderr}`);
    } finally {
      await world.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** Script for udhcpc: writes the lease to a file and applies it. */
function dhcpHook(answer: string): string {
  return `#!/bin/sh
[ "$1" = bound ] || exit 0
for name in ip subnet router dns mtu hostname search domain serverid lease; do
  eval "echo $name=\\$$name"
done > ${answer}
ip addr add "$ip/24" dev "$interface"
ip route add default via "$router"
`;
}

describe("attach: DNS at 10.0.2.3", { skip: cannotRun("dnsmasq") }, () => {
  let world: World;
  before(async () => {
    world = await createWorld({}, "nameserver 127.0.0.1\n");
    await startDns(world.host, "127.0.0.1", "203.0.113.1");
    await startDns(world.host, "127.0.0.2", "203.0.113.2");
  }, LIMIT);
  after(() => world.remove(), LIMIT);

  test("a name is answered over UDP by the host's resolver", LIMIT, async () => {
    const answer = await dns(world.guest, "udp", DNS_ADDRESS, "who.test");
    assert.equal(answer.address, "203.0.113.1");
  });

  test("an unknown name gives the resolver's own refusal", LIMIT, async () => {
    const own = await dns(world.host, "udp", "127.0.0.1", "nobody.test");
    const seen = await dns(world.guest, "udp", DNS_ADDRESS, "nobody.test");
    assert.equal(seen.rcode, own.rcode);
    assert.notEqual(seen.rcode, 0);
  });

  test("F02 truncated answers pass, long ones by EDNS0 and by TCP", LIMIT, async () => {
    const short = await dns(world.guest, "udp", DNS_ADDRESS, "long.test", "TXT");
    assert.ok(short.truncated, "a long answer without EDNS0 must be truncated");
    const wide = await dns(world.guest, "udp", DNS_ADDRESS, "long.test", "TXT", 4096);
    assert.equal(wide.truncated, false);
    assert.equal(wide.answers, 16);
    assert.ok(wide.bytes > 3000, `${wide.bytes} bytes`);
    const whole = await dns(world.guest, "tcp", DNS_ADDRESS, "long.test", "TXT");
    assert.equal(whole.answers, 16);
  });

  test("a change of resolv.conf is followed while it runs", LIMIT, async () => {
    writeResolvConf(world.host, "nameserver 127.0.0.2\n");
    await until(
      async () => {
        const answer = await dns(world.guest, "udp", DNS_ADDRESS, "who.test");
        return answer.address === "203.0.113.2";
      },
      "the second resolver's answer",
      20_000,
    );
  });

  test("a resolver where nobody listens leads to the next one", {
    skip: oursOnly(),
    ...LIMIT,
  }, async () => {
    writeResolvConf(world.host, "nameserver 127.0.0.9\nnameserver 127.0.0.1\n");
    for (const transport of ["udp", "tcp"] as const) {
      await until(
        async () => {
          const answer = await dns(world.guest, transport, DNS_ADDRESS, "who.test");
          assert.equal(answer.rcode, 0);
          return answer.address === "203.0.113.1";
        },
        `the next resolver's answer over ${transport}`,
        20_000,
      );
    }
  });
});

describe("attach: --dns", { skip: cannotRun("dnsmasq") || oursOnly() }, () => {
  test("the given resolver is asked in place of resolv.conf's", LIMIT, async () => {
    const world = await createWorld({ args: ["--dns", "127.0.0.2"] }, "nameserver 127.0.0.1\n");
    try {
      await startDns(world.host, "127.0.0.2", "203.0.113.2");
      for (const transport of ["udp", "tcp"] as const) {
        const answer = await dns(world.guest, transport, DNS_ADDRESS, "who.test");
        assert.equal(answer.address, "203.0.113.2", transport);
      }
    } finally {
      await world.remove();
    }
  });

  test("without a resolver that answers the guest is told, not left waiting", LIMIT, async () => {
    const world = await createWorld({ args: ["--dns", "127.0.0.9"] });
    try {
      const outcome = await world.guest.run(
        ["curl", "-sS", "--dns-servers", DNS_ADDRESS, "http://who.test/"],
        30_000,
      );
      assert.notEqual(outcome.code, null, "curl had to be killed");
      assert.notEqual(outcome.code, 0);
      assert.equal(world.program.running.ended(), false);
    } finally {
      await world.remove();
    }
  });
});

describe("attach: ping, traceroute and capture", { skip: cannotRun("ping", "tshark") }, () => {
  let world: World;
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "slirp-pcap-"));
    world = await createWorld({ pcap: join(folder, "link.pcap") });
  }, LIMIT);
  after(async () => {
    await world.remove();
    rmSync(folder, { recursive: true, force: true });
  }, LIMIT);

  test("P14 the gateway and a host address answer echo requests with all data", LIMIT, async () => {
    for (const address of [GATEWAY, HOST_ADDRESS]) {
      const outcome = await world.guest.run(
        ["ping", "-n", "-c", "3", "-i", "0.2", "-W", "5", "-s", "1000", "-p", "5a", address],
        30_000,
      );
      assert.equal(outcome.code, 0, outcome.stdout);
      assert.match(outcome.stdout, / 3 received, 0% packet loss/);
      assert.ok(!/wrong data|DUP|Unreachable/.test(outcome.stdout), outcome.stdout);
    }
  });

  test("an echo request to nowhere gets the host's error, not an answer", {
    skip: oursOnly(),
    ...LIMIT,
  }, async () => {
    const argv = ["ping", "-n", "-c", "1", "-W", "5", UNREACHABLE_ADDRESS];
    const outcome = await world.guest.run(argv, 30_000);
    assert.equal(outcome.code, 1, outcome.stdout);
    assert.match(outcome.stdout, /[Uu]nreachable/);
  });

  test("P03 P21 traceroute sees the gateway first, then the destination", {
    skip: cannotRun("traceroute") || oursOnly(),
    ...LIMIT,
  }, async () => {
    const outcome = await world.guest.run(
      ["traceroute", "-n", "-q", "1", "-w", "3", "-m", "4", HOST_ADDRESS],
      60_000,
    );
    const hops = outcome.stdout.split("\n").slice(1);
    assert.match(hops[0] ?? "", /^ 1 {2}10\.0\.2\.2 /, outcome.stdout);
    assert.match(hops[1] ?? "", /^ 2 {2}192\.0\.2\.1 /, outcome.stdout);
  });

  test("the capture holds the traffic and tshark finds no malformed packet", {
    skip: oursOnly(),
    ...LIMIT,
  }, async () => {
    const server = await httpServer(world.host, HOST_ADDRESS);
    const url = `http://${HOST_ADDRESS}:${server.port}/1/200000`;
    assert.equal((await world.guest.run(["curl", "-sS", "-o", "/dev/null", url])).code, 0);
    const echo = await udpServer(world.host, HOST_ADDRESS);
    await udpEcho(world.guest, HOST_ADDRESS, echo.port, [1, 1000, 9000]);
    assert.equal((await world.program.stop()).code, 0);
    const file = join(folder, "link.pcap");
    const list = async (filter: string): Promise<string[]> => {
      const outcome = await run(["tshark", "-n", "-r", file, "-Y", filter], 60_000);
      assert.equal(outcome.code, 0, outcome.stderr);
      return outcome.stdout.split("\n").filter((line) => line !== "");
    };
    for (const kind of ["arp", "icmp", "tcp", "udp"]) {
      assert.ok((await list(kind)).length > 0, `no ${kind} in the capture`);
    }
    const bad = "_ws.malformed || _ws.short || ip.bogus_ip_length || tcp.bogus_header_length";
    assert.deepEqual(await list(bad), []);
  });
});

describe("attach: a bounded capture", { skip: cannotRun() || oursOnly() }, () => {
  test("--pcap-limit ends the capture, and traffic goes on", LIMIT, async () => {
    const folder = mkdtempSync(join(tmpdir(), "slirp-pcap-"));
    const pcap = join(folder, "link.pcap");
    const world = await createWorld({ pcap, mtu: 1500, args: ["--pcap-limit", "1"] });
    try {
      const server = await httpServer(world.host, HOST_ADDRESS);
      const url = `http://${HOST_ADDRESS}:${server.port}/1/${8 << 20}`;
      const count = await world.guest.run(["sh", "-c", `curl -sS ${url} | wc -c`]);
      assert.equal(Number(count.stdout), 8 << 20, count.stderr);
      assert.equal((await world.program.stop()).code, 0);
      const { size } = statSync(pcap);
      assert.ok(size > 900_000 && size <= 1 << 20, `${size} octets`);
    } finally {
      await world.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
