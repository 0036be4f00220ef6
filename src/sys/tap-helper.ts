/**
 * Making a tap inside a user namespace this process cannot enter, by a helper process.
 *
 * The parent listens on a unix socket in a private directory (a path, since abstract names belong
 * to a network namespace), starts `nsenter … helper SOCKET REQUEST` and waits for its end. The
 * helper makes the tap, sends descriptor and description in one message and exits; a message in
 * flight keeps the device alive. See netns.ts for why this is needed.
 */

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check } from "./errno.ts";
import { Fd } from "./fd.ts";
import { recvFd, sendFd } from "./fd-passing.ts";
import { type Libc, loadLibc } from "./libc.ts";
import type { InterfaceSetup } from "./netconfig.ts";
import { accept, connectUnix, listenUnix } from "./socket.ts";
import { openTapHere, type TapDevice } from "./tap-device.ts";
import type { TapOptions } from "./tun.ts";

/** What the helper is to make. */
export interface TapRequest {
  readonly tap: TapOptions;
  readonly setup: InterfaceSetup;
}

const TIMEOUT_MS = 10_000;
const STDERR_MAX = 4096;
const REPLY_SIZE = 512;

/**
 * Parent's side.
 * @param helper command that ends in `runTapHelper`
 * @param user namespace to enter first; undefined = the own one will do
 * @throws Error with what the helper wrote to standard error
 */
export async function openTapByHelper(
  sys: Libc,
  helper: readonly string[],
  user: Fd | undefined,
  network: Fd,
  request: TapRequest,
): Promise<TapDevice> {
  const directory = mkdtempSync(join(tmpdir(), "slirp-binding-"));
  const path = join(directory, "tap.sock");
  try {
    const listener = new Fd(sys, check(listenUnix(sys, path), `Listen on "${path}"`));
    try {
      // By /proc: runtimes do not let a child inherit descriptors, nsenter may open ours.
      const own = `/proc/${sys.getpid()}/fd`;
      await run("nsenter", [
        "--preserve-credentials",
        ...(user === undefined ? [] : [`--user=${own}/${user.number}`]),
        `--net=${own}/${network.number}`,
        "--",
        ...helper,
        path,
        encodeRequest(request),
      ]);
      return receiveTap(sys, listener);
    } finally {
      listener.close();
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/**
 * Helper's side: makes the tap and passes it back.
 * @param argv the two arguments the parent appended: socket path and request
 * @throws Error; the caller prints its message to standard error and exits with 1
 */
export async function runTapHelper(argv: readonly string[]): Promise<void> {
  const [path, text] = argv;
  if (path === undefined || text === undefined) {
    throw new Error("Start this mode through openTapInNamespace only: arguments are missing");
  }
  const sys = await loadLibc();
  const request = decodeRequest(text);
  const device = openTapHere(sys, request.tap, request.setup);
  const socket = new Fd(sys, check(connectUnix(sys, path), `Connect to "${path}"`));
  const { fd, ...description } = device;
  const reply = new TextEncoder().encode(JSON.stringify(description));
  check(sendFd(sys, socket.number, fd, reply), "Pass the tap to the parent");
  socket.close();
  sys.close(fd);
}

function receiveTap(sys: Libc, listener: Fd): TapDevice {
  const number = check(accept(sys, listener.number), "Accept the helper's connection");
  const socket = new Fd(sys, number);
  try {
    const reply = new Uint8Array(REPLY_SIZE);
    const fd = check(recvFd(sys, socket.number, reply), "Receive the tap from the helper");
    const [text = ""] = new TextDecoder().decode(reply).split("\0");
    return { ...(JSON.parse(text) as Omit<TapDevice, "fd">), fd };
  } finally {
    socket.close();
  }
}

function encodeRequest({ tap, setup }: TapRequest): string {
  const mac = setup.mac === undefined ? undefined : [...setup.mac];
  return JSON.stringify({ tap, setup: { ...setup, mac } });
}

/** The text comes from our own parent: its shape is known, only the MAC is not JSON. */
function decodeRequest(text: string): TapRequest {
  const parsed = JSON.parse(text) as TapRequest & { setup: { mac?: number[] } };
  const { mac, ...setup } = parsed.setup;
  return {
    tap: parsed.tap,
    setup: mac === undefined ? setup : { ...setup, mac: Uint8Array.from(mac) },
  };
}

/** Runs a command to its end. */
function run(command: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
    let words = "";
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (text: string) => {
      words = (words + text).slice(0, STDERR_MAX);
    });
    child.on("error", (error) => {
      clearTimeout(timer);
      const text = error.message;
      reject(new Error(`Install "${command}" of util-linux to make a tap unprivileged: ${text}`));
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) return resolve();
      const reason = words.trim() || `ended with ${signal ?? `status ${code}`}`;
      reject(new Error(`Make the tap inside the user namespace: ${reason}`));
    });
  });
}
