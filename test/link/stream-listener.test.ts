/** The listening socket of a stream link: its file, what was there before, and its end. */

import assert from "node:assert/strict";
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { describe } from "node:test";
import { formatEndpoint } from "../../src/config/endpoint.ts";
import { openStreamListener } from "../../src/link/stream-listener.ts";
import {
  check,
  EADDRINUSE,
  ECONNREFUSED,
  ENOENT,
  ENOMEM,
  SystemError,
} from "../../src/sys/errno.ts";
import { Fd } from "../../src/sys/fd.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { accept, bindUnix, connectIpv4, connectUnix, openTcp } from "../../src/sys/socket.ts";
import { systemTest } from "../sys/support.ts";

const LOOPBACK = 0x7f000001;
const inUse = (error: unknown): boolean =>
  error instanceof SystemError && error.errno === EADDRINUSE;

/** Runs with a path in a fresh folder. */
function withPath(run: (path: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "slirp-test-"));
  try {
    run(join(folder, "vm.sock"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function nextDescriptor(sys: Libc): number {
  const fd = check(openTcp(sys), "Open");
  sys.close(fd);
  return fd;
}

/** Connects, and takes the connection. */
function meet(sys: Libc, listener: number, client: number): void {
  using _client = new Fd(sys, check(client, "Connect"));
  using _server = new Fd(sys, check(accept(sys, listener), "Accept"));
}

describe("stream listener", () => {
  systemTest("is a socket for owner and group, and gone after the end", [], (sys) =>
    withPath((path) => {
      const listener = openStreamListener(sys, { kind: "unix", path });
      assert.equal(statSync(path).mode & 0o777, 0o660);
      meet(sys, listener.fd, connectUnix(sys, path));
      listener.close();
      listener.close();
      assert.equal(existsSync(path), false);
    }),
  );

  systemTest("takes the place of a socket that nobody answers at", [], (sys) =>
    withPath((path) => {
      sys.close(check(bindUnix(sys, path), "Bind"));
      assert.equal(connectUnix(sys, path), -ECONNREFUSED);
      const listener = openStreamListener(sys, { kind: "unix", path });
      meet(sys, listener.fd, connectUnix(sys, path));
      listener.close();
    }),
  );

  systemTest("takes nobody else's place", [], (sys) =>
    withPath((path) => {
      const first = openStreamListener(sys, { kind: "unix", path });
      const free = nextDescriptor(sys);
      assert.throws(() => openStreamListener(sys, { kind: "unix", path }), inUse);
      assert.equal(nextDescriptor(sys), free);
      meet(sys, first.fd, connectUnix(sys, path));
      first.close();
      writeFileSync(path, "mine");
      assert.throws(() => openStreamListener(sys, { kind: "unix", path }), inUse);
      assert.equal(readFileSync(path, "utf8"), "mine");
    }),
  );

  systemTest("a place that is taken and found empty is still taken", [], (sys) =>
    withPath((path) => {
      let binds = 0;
      const bind = (): number => {
        binds += 1;
        return -EADDRINUSE;
      };
      const taken: Libc = Object.create(sys, { bind: { value: bind } });
      assert.throws(() => openStreamListener(taken, { kind: "unix", path }), inUse);
      assert.equal(binds, 1);
    }),
  );

  systemTest("a place that is taken is asked for once", [], (sys) =>
    withPath((path) => {
      const first = openStreamListener(sys, { kind: "unix", path });
      let binds = 0;
      const counting: Libc = Object.create(sys, {
        bind: {
          value: (...args: Parameters<Libc["bind"]>) => {
            binds += 1;
            return sys.bind(...args);
          },
        },
      });
      assert.throws(() => openStreamListener(counting, { kind: "unix", path }), inUse);
      assert.equal(binds, 1);
      first.close();
    }),
  );

  systemTest("what was left behind is touched only where it is in the way", [], (sys) =>
    withPath((path) => {
      sys.close(check(bindUnix(sys, path), "Bind"));
      const failing: Libc = Object.create(sys, { bind: { value: () => -ENOMEM } });
      const open = () => openStreamListener(failing, { kind: "unix", path });
      assert.throws(open, { errno: ENOMEM });
      assert.equal(existsSync(path), true);
      const vanished: Libc = Object.create(sys, { connect: { value: () => -ENOENT } });
      const listener = openStreamListener(vanished, { kind: "unix", path });
      meet(sys, listener.fd, connectUnix(sys, path));
      listener.close();
    }),
  );

  systemTest("a file named like a name without a file is left alone", [], (sys) =>
    withPath((path) => {
      const name = `@slirp-test-${process.pid}-${performance.now()}`;
      const folder = dirname(path);
      const before = process.cwd();
      sys.close(check(bindUnix(sys, join(folder, name)), "Bind"));
      const first = openStreamListener(sys, { kind: "unix", path: name });
      try {
        process.chdir(folder);
        assert.throws(() => openStreamListener(sys, { kind: "unix", path: name }), inUse);
        assert.equal(existsSync(name), true);
        first.close();
        assert.equal(existsSync(name), true);
      } finally {
        process.chdir(before);
        first.close();
      }
    }),
  );

  systemTest("one that cannot listen is closed, and its file gone", [], (sys) =>
    withPath((path) => {
      const free = nextDescriptor(sys);
      const failing: Libc = Object.create(sys, { listen: { value: () => -ENOMEM } });
      const open = () => openStreamListener(failing, { kind: "unix", path });
      assert.throws(open, { errno: ENOMEM });
      assert.deepEqual([existsSync(path), nextDescriptor(sys)], [false, free]);
    }),
  );

  systemTest("a connection of number 0 that says who is there is closed", [], (sys) =>
    withPath((path) => {
      sys.close(check(bindUnix(sys, path), "Bind"));
      const closed: number[] = [];
      const zero: Libc = Object.create(sys, {
        socket: { value: () => 0 },
        bind: { value: () => -EADDRINUSE },
        connect: { value: () => 0 },
        close: { value: (fd: number) => closed.push(fd) && 0 },
      });
      assert.throws(() => openStreamListener(zero, { kind: "unix", path }), inUse);
      assert.deepEqual(closed, [0, 0], "what was to listen, and what has connected");
      assert.equal(existsSync(path), true);
    }),
  );

  systemTest("leaves at its end what another one has put in its place", [], (sys) =>
    withPath((path) => {
      const listener = openStreamListener(sys, { kind: "unix", path });
      renameSync(path, `${path}.old`);
      writeFileSync(path, "mine");
      listener.close();
      assert.equal(readFileSync(path, "utf8"), "mine");
    }),
  );

  systemTest("names the path that cannot be had", [], (sys) =>
    withPath((path) => {
      const endpoint = { kind: "unix", path: join(path, "not", "there") } as const;
      assert.throws(() => openStreamListener(sys, endpoint), /Listen on "unix:.*vm\.sock\/not/);
    }),
  );

  systemTest("has a name without a file too", [], (sys) => {
    const path = `@slirp-test-${process.pid}-${performance.now()}`;
    const listener = openStreamListener(sys, { kind: "unix", path });
    assert.throws(() => openStreamListener(sys, { kind: "unix", path }), inUse);
    meet(sys, listener.fd, connectUnix(sys, path));
    assert.equal(existsSync(path), false);
    listener.close();
    assert.equal(connectUnix(sys, path), -ECONNREFUSED);
  });

  systemTest("is on a loopback port, which it names", [], (sys) => {
    const endpoint = { kind: "tcp", address: LOOPBACK, port: 0 } as const;
    const listener = openStreamListener(sys, endpoint);
    const bound = listener.endpoint;
    assert.ok(bound.kind === "tcp" && bound.port > 0, formatEndpoint(bound));
    const client = openTcp(sys);
    connectIpv4(sys, client, LOOPBACK, bound.port);
    meet(sys, listener.fd, client);
    assert.throws(() => openStreamListener(sys, bound), inUse);
    assert.throws(
      () => openStreamListener(sys, bound),
      /^SystemError: Listen on "tcp:127\.0\.0\.1:/,
    );
    listener.close();
  });

  systemTest("closing twice closes once: the number may be another's by then", [], (sys) =>
    withPath((path) => {
      const endpoints = [
        { kind: "unix", path } as const,
        { kind: "tcp", address: LOOPBACK, port: 0 } as const,
      ];
      for (const endpoint of endpoints) {
        const listener = openStreamListener(sys, endpoint);
        listener.close();
        const other = check(openTcp(sys), "Open");
        assert.equal(other, listener.fd);
        listener.close();
        assert.equal(sys.close(other), 0);
      }
    }),
  );

  systemTest("as many may wait as the door takes at one look", [], (sys) =>
    withPath((path) => {
      const backlogs: number[] = [];
      const noting: Libc = Object.create(sys, {
        listen: {
          value: (fd: number, backlog: number) => {
            backlogs.push(backlog);
            return sys.listen(fd, backlog);
          },
        },
      });
      openStreamListener(noting, { kind: "unix", path }).close();
      openStreamListener(noting, { kind: "tcp", address: LOOPBACK, port: 0 }).close();
      assert.deepEqual(backlogs, [256, 256]);
    }),
  );

  systemTest("whatever errno it is, nothing stays open", [], (sys) => {
    for (const call of ["bind", "listen", "getsockname"]) {
      const failing: Libc = Object.create(sys, { [call]: { value: () => -1 } });
      const before = check(openTcp(sys), "Open");
      sys.close(before);
      const at = { kind: "tcp", address: LOOPBACK, port: 0 } as const;
      assert.throws(() => openStreamListener(failing, at), SystemError);
      const after = check(openTcp(sys), "Open");
      assert.equal(after, before, call);
      sys.close(after);
    }
  });
});
