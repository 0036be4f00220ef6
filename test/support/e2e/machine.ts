/**
 * What any machine does on a network, typed into its shell: a lease, names, ping, transfers both
 * ways with their sums, a web server that is reached from outside.
 */
import assert from "node:assert/strict";
import type { GuestShell } from "../qemu.ts";
import { DHCP_COMMAND } from "../qemu.ts";
import { DNS_ADDRESS, GATEWAY } from "./program.ts";
import { sha256Of } from "./seeded.mjs";
import { until } from "./shell.ts";
import { HOST_ADDRESS, type Namespace } from "./world.ts";

const TRANSFER_LIMIT_ms = 240_000;
const SEED = 7;

export async function getsAddress(guest: GuestShell, mac: string, mtu: number): Promise<void> {
  await guest.must(DHCP_COMMAND);
  const address = await guest.must("ip addr show eth0");
  assert.match(address, / inet 10\.0\.2\.15\/24 /);
  assert.match(address, new RegExp(` mtu ${mtu} `));
  assert.ok(address.includes(mac), address);
  assert.match(await guest.must("ip route"), /default via 10\.0\.2\.2 dev eth0/);
}

/** The name that `startDns` knows. */
export async function resolvesNames(guest: GuestShell): Promise<void> {
  // Its code is 1: it asks for an IPv6 address too, which the resolver does not have.
  const { output } = await guest.run(`nslookup who.test ${DNS_ADDRESS}`);
  assert.match(output, /203\.0\.113\.1/);
}

export async function pings(guest: GuestShell): Promise<void> {
  for (const address of [GATEWAY, HOST_ADDRESS]) {
    const answer = await guest.must(`ping -c 3 -A -s 1000 -w 30 ${address}`);
    assert.match(answer, /3 packets received, 0% packet loss/);
  }
}

/** Addresses of IPv6, as `ip` prints them. */
export const listAddresses = (guest: GuestShell): Promise<string> =>
  guest.must("ip -6 addr show dev eth0");

/** Waits for an address of the guest's card that matches and has passed DAD. */
export async function hasAddress(guest: GuestShell, pattern: RegExp): Promise<void> {
  let listing = "";
  await until(
    async () => {
      listing = await listAddresses(guest);
      return listing.split("\n").some((line) => pattern.test(line) && !/tentative/.test(line));
    },
    () => `an address like ${pattern} in ${listing}`,
    60_000,
  );
}

/** Asks for an address by DHCPv6, puts it on the card, and gives what else was told. */
export async function leases6(guest: GuestShell, address: string): Promise<string> {
  await hasAddress(guest, /scope link/i);
  const lines = [
    "#!/bin/sh",
    '[ -n "$new_ip6_address" ] || exit 0',
    'ip -6 addr add "$new_ip6_address/128" dev "$interface"',
    'echo "$new_dhcp6_name_servers $new_dhcp6_domain_search" >/tmp/told',
  ];
  const hook = lines.map((line) => `'${line}'`).join(" ");
  await guest.must(`printf '%s\\n' ${hook} >/tmp/hook && chmod +x /tmp/hook`);
  const files = "-cf /dev/null -lf /tmp/leases -pf /tmp/pid";
  await guest.must(`: >/tmp/leases; dhclient -6 -1 -q -sf /tmp/hook ${files} eth0`);
  await hasAddress(guest, new RegExp(`inet6 ${address}/128 scope global`, "i"));
  return (await guest.must("cat /tmp/told")).trim();
}

export async function pings6(guest: GuestShell, addresses: readonly string[]): Promise<void> {
  for (const address of addresses) {
    const answer = await guest.must(`ping6 -c 3 -A -s 1000 -w 30 ${address}`);
    assert.match(answer, /3 packets received, 0% packet loss/);
  }
}

/** Downloads a stream from `httpServer` and uploads it again; both ends' sums are compared. */
export async function transfers(
  guest: GuestShell,
  port: number,
  bytes: number,
  address = HOST_ADDRESS,
): Promise<void> {
  const url = `http://${inUrl(address)}:${port}`;
  const sum = sha256Of(SEED, bytes);
  await guest.must(`wget -q -O /tmp/data ${url}/${SEED}/${bytes}`, TRANSFER_LIMIT_ms);
  assert.ok((await guest.must("sha256sum /tmp/data", TRANSFER_LIMIT_ms)).startsWith(sum));
  // By hand, as busybox' wget sends text only.
  const head = `PUT / HTTP/1.0\\r\\nContent-Length: ${bytes}\\r\\n\\r\\n`;
  const upload = `(printf '${head}'; cat /tmp/data) | nc ${address} ${port} | tail -n 1`;
  const answer = JSON.parse(await guest.must(upload, TRANSFER_LIMIT_ms)) as unknown;
  assert.deepEqual(answer, { count: bytes, sha256: sum });
  await guest.must("rm /tmp/data");
}

/** A connection from outside, by way of the published port, to the guest's web server. */
export async function isReachable(
  guest: GuestShell,
  host: Namespace,
  published: number,
  addresses: readonly string[] = [HOST_ADDRESS],
): Promise<void> {
  const page = "mkdir -p /tmp/www && echo from the guest >/tmp/www/page";
  // It is there already where the guest is looked at for the second time.
  await guest.must(`${page} && { pidof httpd >/dev/null || httpd -h /tmp/www; }`);
  for (const address of addresses) {
    const url = `http://${inUrl(address)}:${published}/page`;
    const answer = await host.run(["curl", "-sS", "--max-time", "30", url]);
    assert.equal(answer.stdout, "from the guest\n", answer.stderr);
  }
}

const inUrl = (address: string): string => (address.includes(":") ? `[${address}]` : address);
