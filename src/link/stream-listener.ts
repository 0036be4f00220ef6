/**
 * The socket a link listens on: made before the guest is started, taken away at the end.
 *
 * A unix socket is a file of mode 0660 unless it is to be another one. What an earlier run left
 * behind, a socket that nobody answers at, is removed; anything else in its place is an error. At
 * the end the file is removed only while it is still ours.
 */

import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { formatEndpoint, type StreamEndpoint } from "../config/endpoint.ts";
import { check, EADDRINUSE, ECONNREFUSED, ENOENT, SystemError } from "../sys/errno.ts";
import type { Libc } from "../sys/libc.ts";
import type { Ipv4Endpoint } from "../sys/sockaddr.ts";
import { bindUnix, connectUnix, listenIpv4, localEndpoint, openTcp } from "../sys/socket.ts";

/** A listening socket. */
export interface StreamListener {
  /** Non-blocking. Whoever opened the listener closes it, after the link. */
  readonly fd: number;
  /** Where it is, with the port that port 0 became. */
  readonly endpoint: StreamEndpoint;
  /** Idempotent. Removes the file too. */
  close(): void;
}

/** Owner and group: QEMU runs as the same user, or in our group. */
const MODE = 0o660;
/**
 * The one peer, those that are to be refused, and one that starts anew meanwhile. As many as the
 * door takes at one look, so that a crowd does not keep the others out of the kernel's queue.
 */
const BACKLOG = 256;

/**
 * @param mode of a unix socket's file
 * @throws SystemError naming the endpoint
 */
export function openStreamListener(
  sys: Libc,
  endpoint: StreamEndpoint,
  mode = MODE,
): StreamListener {
  return endpoint.kind === "unix"
    ? listenOnPath(sys, endpoint.path, mode)
    : listenOnPort(sys, endpoint.address, endpoint.port);
}

function listenOnPort(sys: Libc, address: number, port: number): StreamListener {
  const action = `Listen on "${formatEndpoint({ kind: "tcp", address, port })}"`;
  const fd = check(openTcp(sys), action);
  const bound: Ipv4Endpoint = { address, port };
  let result = listenIpv4(sys, fd, address, port, BACKLOG);
  if (result >= 0) result = localEndpoint(sys, fd, bound);
  if (result < 0) {
    sys.close(fd);
    throw new SystemError(action, result);
  }
  const endpoint: StreamEndpoint = { kind: "tcp", address, port: bound.port };
  return { fd, endpoint, close: once(() => sys.close(fd)) };
}

function listenOnPath(sys: Libc, path: string, mode: number): StreamListener {
  const endpoint: StreamEndpoint = { kind: "unix", path };
  const action = `Listen on "${formatEndpoint(endpoint)}"`;
  let fd = bindUnix(sys, path);
  if (fd === -EADDRINUSE && removeStale(sys, path)) fd = bindUnix(sys, path);
  check(fd, action);
  const isFile = !path.startsWith("@");
  const own = identityOf(path);
  const close = once(() => {
    sys.close(fd);
    if (isFile && identityOf(path) === own) unlinkQuietly(path);
  });
  try {
    if (isFile) chmodSync(path, mode); // before it listens: until then nobody gets in
    check(sys.listen(fd, BACKLOG), action);
  } catch (error) {
    close();
    throw error;
  }
  return { fd, endpoint, close };
}

function once(run: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    run();
  };
}

/** Removes a socket file that nobody answers at. */
function removeStale(sys: Libc, path: string): boolean {
  if (path.startsWith("@") || lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) {
    return false;
  }
  const fd = connectUnix(sys, path);
  if (fd >= 0) sys.close(fd);
  if (fd !== -ECONNREFUSED && fd !== -ENOENT) return false;
  unlinkQuietly(path);
  return true;
}

/** Tells a file from another one that came to have its name. */
function identityOf(path: string): string {
  try {
    const { dev, ino } = lstatSync(path);
    return `${dev} ${ino}`;
  } catch {
    return "gone"; // or in a folder that is out of reach since rights were given up
  }
}

function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody else has removed it, or it may not be removed: then it stays, stale.
  }
}
