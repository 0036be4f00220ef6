/**
 * Program of netns.test.ts, run as an ordinary user: opens a tap inside the namespaces of process
 * argv[2], prints what it got, and keeps it until standard input ends. With argv[2] = "helper" it
 * is the helper.
 */

import { loadLibc } from "../../src/sys/libc.ts";
import { EPOLLIN } from "../../src/sys/linux.ts";
import { openTapInNamespace } from "../../src/sys/netns.ts";
import { runTapHelper } from "../../src/sys/tap-helper.ts";
import { waitFor } from "./support.ts";

const [subject = "", ...rest] = process.argv.slice(2);
if (subject === "helper") {
  await runTapHelper(rest);
} else {
  const [tunPath = ""] = rest;
  const deno = ["run", "--allow-all", "--no-check", "--no-lock"];
  const own = "Deno" in globalThis ? [process.execPath, ...deno] : [process.execPath];
  const sys = await loadLibc();
  const device = await openTapInNamespace(sys, {
    namespace: Number(subject),
    tap: { name: "tap0", vnetHeader: true, tunPath },
    setup: {
      mtu: 65520,
      mac: Uint8Array.from([0x52, 0x55, 10, 0, 2, 15]),
      txQueueLength: 2000,
      address: 0x0a00020f,
      prefixLength: 24,
      gateway: 0x0a000202,
      up: true,
      loopback: true,
    },
    helper: [...own, process.argv[1] ?? "", "helper"],
  });
  // The namespace's own IPv6 set-up sends frames: one of them shows that the tap works from here.
  const frame = (waitFor(sys, device.fd, EPOLLIN) & EPOLLIN) !== 0;
  process.stdout.write(`${JSON.stringify({ ...device, frame })}\n`);
  process.stdin.resume();
}
