/**
 * `demo`: the whole life of a sidecar in one command, without a cluster and without root.
 * Composition root of the demonstration; `play.ts` has what happens.
 *
 * Ctrl-C, SIGTERM or SIGHUP at any moment: all processes, sockets and folders are gone when the
 * program ends; the capture stays.
 */

import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import type { DemoOptions } from "../../config/demo.ts";
import { deferred } from "../../lib/deferred.ts";
import { messageOf } from "../../lib/message.ts";
import type { DemoGuest } from "./guest.ts";
import type { PluggedLink } from "./machine.ts";
import { placeOn } from "./place.ts";
import { describeCapture, Play, SEED_UP } from "./play.ts";
import { QemuGuest, qemuMissing } from "./qemu-guest.ts";
import { Screen } from "./screen.ts";
import { SimGuest } from "./sim-guest.ts";

const MIB = 1 << 20;
const SIGNALS = Object.freeze({ SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const);

/** Plays it; resolves to the exit code: 0, 1 after a failed step, 128 + N after signal N. */
export async function demo(options: DemoOptions): Promise<number> {
  const screen = new Screen({
    isTerminal: process.stdout.isTTY === true,
    write: (text) => process.stdout.write(text),
    now: () => performance.now(),
  });
  const missing = options.guest === "qemu" ? qemuMissing() : undefined;
  if (missing !== undefined) {
    process.stderr.write(`slirp-binding: guest "qemu" cannot run here: ${missing}\n`);
    return 1;
  }
  const place = placeOn(networkInterfaces());
  const pcap = options.pcap ?? join(tmpdir(), `slirp-demo-${process.pid}.pcap`);
  screen.line("slirp-binding: a sidecar, virt-launcher's calls, and a guest on the link they name");
  if (place.isLoopback) {
    screen.line("this machine has no address but 127.0.0.1: the guest gets there by the gateway's");
  }
  const began_ms = performance.now();
  const guestAt = (link: PluggedLink): DemoGuest => guestOn(link, options);
  const play = new Play({ options, place, pcap, screen, guestAt });
  const code = await performed(play);
  const failure = screen.failed > 0 ? `, ${screen.failed} failed` : "";
  const seconds = ((performance.now() - began_ms) / 1000).toFixed(1);
  screen.line(`${screen.passed} steps held${failure} in ${seconds} s`);
  const capture = describeCapture(pcap);
  if (capture !== undefined) screen.line(`capture: ${capture}`);
  return code;

  async function performed(whole: Play): Promise<number> {
    const interrupted = deferred<number>();
    for (const [name, number] of Object.entries(SIGNALS)) {
      process.on(name, () => interrupted.resolve(number));
    }
    const ended = whole.run().then(
      () => 0,
      (error: unknown) => {
        if (screen.failed === 0) screen.line(messageOf(error));
        return 1;
      },
    );
    const first = await Promise.race([ended, interrupted.promise]);
    const log = first === 1 ? whole.log : [];
    if (first > 1) {
      screen.mute();
      screen.line("interrupted");
    }
    await whole.clear();
    for (const line of log) screen.line(`       sidecar: ${line}`);
    return first;
  }
}

function guestOn(link: PluggedLink, options: DemoOptions): DemoGuest {
  const { mac } = link;
  if (options.guest === "qemu") return new QemuGuest({ link, cache: options.cache });
  const size = options.sizeMib * MIB;
  const place = link.kind === "client" ? `${link.host}:${link.port}` : link.path;
  const to = link.kind === "client" ? { host: link.host, port: link.port } : { path: link.path };
  return new SimGuest({ to, place, mac, seed: SEED_UP, size });
}
