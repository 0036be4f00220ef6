/** Whose a connection is: real sockets of this and of another user, and the tables of /proc. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import process from "node:process";
import { describe, test } from "node:test";
import { check, EINPROGRESS, ENOENT, EPROTO } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { EPOLLIN, EPOLLOUT } from "../../src/sys/linux.ts";
import { ownerInTable, TcpOwners, unixPeerUid } from "../../src/sys/peer.ts";
import type { Ipv4Endpoint } from "../../src/sys/sockaddr.ts";
import {
  accept,
  connectIpv4,
  connectUnix,
  listenIpv4,
  listenUnix,
  localEndpoint,
  openTcp,
} from "../../src/sys/socket.ts";
import { becomesReady, systemTest, waitFor } from "./support.ts";

const LOOPBACK = 0x7f000001;
const STRANGER = 4711;
const uid = (): number => process.getuid?.() ?? -1;

interface Meeting {
  readonly listener: number;
  readonly server: number;
  readonly client: number;
  readonly ours: Ipv4Endpoint;
  readonly theirs: Ipv4Endpoint;
}

/** Two ends of a TCP connection on the loopback, of this process both. */
function meet(sys: Libc): Meeting {
  const listener = check(openTcp(sys), "Open");
  check(listenIpv4(sys, listener, LOOPBACK, 0), "Listen");
  const ours = { address: 0, port: 0 };
  localEndpoint(sys, listener, ours);
  const client = check(openTcp(sys), "Open");
  const result = connectIpv4(sys, client, LOOPBACK, ours.port);
  assert.ok(result === 0 || result === -EINPROGRESS, `connect gave ${result}`);
  waitFor(sys, client, EPOLLOUT);
  const theirs = { address: 0, port: 0 };
  const server = check(accept(sys, listener, theirs), "Accept");
  return { listener, server, client, ours, theirs };
}

/** Without sock_diag: the kernel gives no such socket, so the tables have to tell. */
function withoutDiag(sys: Libc): Libc {
  return { ...sys, socket: () => -EPROTO };
}

describe("peer: unix", () => {
  systemTest("both ends know the other's user", [], (sys) => {
    const path = `@slirp-peer-${process.pid}-${performance.now()}`;
    const listener = check(listenUnix(sys, path), "Listen");
    const client = check(connectUnix(sys, path), "Connect");
    const server = check(accept(sys, listener), "Accept");
    assert.equal(unixPeerUid(sys, server), uid());
    assert.equal(unixPeerUid(sys, client), uid());
    for (const fd of [listener, client, server]) sys.close(fd);
    assert.ok(unixPeerUid(sys, server) < 0, "a closed descriptor is nobody's");
  });
});

for (const [name, view] of [
  ["by sock_diag", (sys: Libc): Libc => sys],
  ["by the tables of /proc", withoutDiag],
] as const) {
  describe(`peer: TCP ${name}`, () => {
    systemTest("a connection's and a listener's user, and nobody's once closed", [], (sys) => {
      const owners = new TcpOwners(view(sys));
      const { listener, server, client, ours, theirs } = meet(sys);
      assert.equal(owners.peer(theirs, ours), uid());
      assert.equal(owners.listener(ours), uid());
      assert.equal(owners.peer({ ...theirs, port: theirs.port ^ 1 }, ours), -ENOENT);
      sys.close(client); // a closed socket is user 0's to the kernel
      assert.equal(owners.peer(theirs, ours), -ENOENT);
      sys.close(server);
      sys.close(listener);
      assert.equal(owners.listener(ours), -ENOENT);
      assert.equal(owners.peer(theirs, ours), -ENOENT);
      owners.close();
      owners.close();
    });

    systemTest("a listener at the peer's port is not taken for the peer", [], (sys) => {
      const owners = new TcpOwners(view(sys));
      const { listener, server, client, ours } = meet(sys);
      const other = { address: LOOPBACK, port: 1 };
      assert.equal(owners.peer(ours, other), -ENOENT);
      owners.close();
      for (const fd of [listener, server, client]) sys.close(fd);
    });

    systemTest(
      "another user's, whichever version of IP its socket is of",
      ["root"],
      async (sys) => {
        const owners = new TcpOwners(view(sys));
        for (const host of ["127.0.0.1", "::ffff:127.0.0.1"]) {
          const listener = check(openTcp(sys), "Open");
          check(listenIpv4(sys, listener, LOOPBACK, 0), "Listen");
          const ours = { address: 0, port: 0 };
          localEndpoint(sys, listener, ours);
          const script = `exec 3<>/dev/tcp/${host}/${ours.port} && read <&3`;
          const command = ["--reuid", `${STRANGER}`, "--clear-groups", "bash", "-c", script];
          const child = spawn("setpriv", command, { stdio: "ignore" });
          await becomesReady(sys, listener, EPOLLIN);
          const theirs = { address: 0, port: 0 };
          const server = check(accept(sys, listener, theirs), "Accept");
          assert.equal(owners.peer(theirs, ours), STRANGER, host);
          child.kill();
          for (const fd of [listener, server]) sys.close(fd);
        }
        owners.close();
      },
    );
  });
}

describe("peer: TCP where nothing tells", () => {
  systemTest("is an error, and not somebody", [], (sys) => {
    const owners = new TcpOwners(withoutDiag(sys), () => {
      throw new Error("no /proc");
    });
    const here = { address: LOOPBACK, port: 1 };
    assert.equal(owners.peer(here, here), -EPROTO);
    assert.equal(owners.listener(here), -EPROTO);
  });
});

describe("peer: a table of /proc/net", () => {
  const ends = "0100007F:1F90 0100007F:C350";
  const long = "0000000000000000FFFF00000100007F";
  const row = (local: string, state: string, user: string, inode: string): string =>
    `  sl  local_address\n   0: ${local} ${state} 00000000:00000000 00:00000000 00000000 ` +
    ` ${user}        0 ${inode} 1 0000000060a4c218 100 0 0 10 0\n   1: 00000000:07E8 \n`;

  test("gives the user of a socket in one of the states, that has an inode", () => {
    assert.equal(ownerInTable(row(ends, "01", "1000", "43"), ends, [1]), 1000);
    const six = `${long}:1F90 ${long}:C350`;
    assert.equal(ownerInTable(row(six, "01", "0", "43"), ends, [1]), 0);
  });

  for (const [what, table] of [
    ["another state", row(ends, "06", "0", "43")],
    ["no inode", row(ends, "01", "0", "0")],
    ["the other direction", row("0100007F:C350 0100007F:1F90", "01", "1000", "43")],
    ["a damaged user", row(ends, "01", "x", "43")],
    ["a line cut short", `   0: ${ends} 01`],
    ["nothing at all", ""],
  ] as const) {
    test(`has nobody for ${what}`, () => {
      assert.equal(ownerInTable(table, ends, [1]), -ENOENT);
    });
  }
});
