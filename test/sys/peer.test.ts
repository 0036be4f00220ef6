/** Whose a connection is: real sockets of this and of another user, and the tables of /proc. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import process from "node:process";
import { describe, test } from "node:test";
import { check, EAGAIN, EINPROGRESS, ENOENT, EPROTO } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { EPOLLIN, EPOLLOUT } from "../../src/sys/linux.ts";
import { TcpOwners, unixPeerUid } from "../../src/sys/peer.ts";
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
import { ownerInTable } from "../../src/sys/tcp-table.ts";
import { becomesReady, play as playKernel, systemTest, waitFor } from "./support.ts";

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

describe("peer: SO_PEERCRED", () => {
  systemTest("is a process, a user and a group, of which the user counts", [], (sys) => {
    let result = 0;
    const { told, calls } = playKernel(sys, {
      getsockopt: (_fd, _level, _name, value, length) => {
        assert.equal(new DataView(sys.view(length, 4)).getInt32(0, true), 12);
        assert.equal(length, value + 12, "behind what is asked for");
        new Uint32Array(sys.view(value, 12)).set([1, 0xffff_fffe, 3]);
        return result;
      },
    });
    assert.equal(unixPeerUid(told, 9), 0xffff_fffe);
    assert.deepEqual(calls, [["getsockopt", 9, 1, 17, "@", "@"]]);
    result = -1;
    assert.equal(unixPeerUid(told, 9), -1);
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
    const without = (name: string) =>
      new TcpOwners(withoutDiag(sys), (path) => {
        if (path.endsWith(name)) throw new Error(`no ${path}`);
        return "";
      });
    assert.equal(without("/net/tcp").peer(here, here), -EPROTO);
    assert.equal(without("/net/tcp6").peer(here, here), -ENOENT, "a kernel without IPv6");
  });
});

describe("peer: sock_diag", () => {
  const ours = { address: 0x7f000001, port: 0x1f90 };
  const theirs = { address: 0x7f000002, port: 0xc350 };
  /** What the kernel answers to each question; a number is an error number. */
  type Answer = number | ((question: DataView) => Uint8Array | number);

  /** Owners of a kernel that the test plays; the tables of /proc have nothing. */
  function play(sys: Libc, answers: readonly Answer[], fd = 77, sent = 0) {
    const questions: Uint8Array[] = [];
    const closed: number[] = [];
    const pending: Answer[] = [...answers];
    const told: Libc = {
      ...sys,
      socket: (domain, type, protocol) => {
        assert.deepEqual([domain, type, protocol], [16, 3 | 0x80000, 4]);
        return fd;
      },
      send: (socket, address, length, flags) => {
        assert.deepEqual([socket, flags], [fd, 0x40]);
        questions.push(new Uint8Array(sys.view(address, length)).slice());
        return sent || length;
      },
      recv: (socket, address, length, flags) => {
        assert.deepEqual([socket, length, flags], [fd, 1024, 0x40]);
        const next = pending.shift() ?? -EAGAIN;
        const view = new DataView(sys.view(address, length));
        const said = typeof next === "number" ? next : next(view);
        if (typeof said === "number") return said;
        new Uint8Array(sys.view(address, length)).set(said);
        return said.length;
      },
      close: (socket) => closed.push(socket),
    };
    const owners = new TcpOwners(told, () => "");
    return { owners, questions, closed };
  }

  /** An answer with a socket's state, ports, user and inode, to question `sequence`. */
  function socketAnswer(
    sequence: number,
    { state = 1, source = theirs.port, target = ours.port, user = 1000, inode = 5, size = 88 } = {},
  ): Uint8Array {
    const bytes = new Uint8Array(size);
    const view = new DataView(new ArrayBuffer(128));
    view.setUint16(4, 20, true);
    view.setUint32(8, sequence, true);
    view.setUint8(17, state);
    view.setUint16(20, source, false);
    view.setUint16(22, target, false);
    view.setUint32(80, user, true);
    view.setUint32(84, inode, true);
    bytes.set(new Uint8Array(view.buffer, 0, size));
    return bytes;
  }

  function errorAnswer(sequence: number, errno: number): Uint8Array {
    const bytes = new Uint8Array(36);
    const view = new DataView(bytes.buffer);
    view.setUint16(4, 2, true);
    view.setUint32(8, sequence, true);
    view.setInt32(16, errno, true);
    return bytes;
  }

  systemTest(
    "asks for one socket by its four numbers, whatever its cookie and state",
    [],
    (sys) => {
      const { owners, questions, closed } = play(sys, [
        () => socketAnswer(1).fill(0xee, 24, 72), // addresses, which the next question has not
        () => socketAnswer(2, { user: 0xffff_fffe }),
      ]);
      assert.equal(owners.peer(theirs, ours), 1000);
      assert.equal(owners.peer(theirs, ours), 0xffff_fffe);
      const question = (sequence: number): number[] => [
        ...[72, 0, 0, 0, 20, 0, 1, 0, sequence, 0, 0, 0, 0, 0, 0, 0],
        ...[2, 6, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xc3, 0x50, 0x1f, 0x90],
        ...[0x7f, 0, 0, 2, ...Array.from({ length: 12 }, () => 0)],
        ...[0x7f, 0, 0, 1, ...Array.from({ length: 12 }, () => 0)],
        ...[0, 0, 0, 0, ...Array.from({ length: 8 }, () => 0xff)],
      ];
      assert.deepEqual(
        questions.map((each) => [...each]),
        [question(1), question(2)],
      );
      owners.close();
      owners.close();
      assert.deepEqual(closed, [77]);
    },
  );

  for (const [what, answer, wanted] of [
    ["a socket that waits for its close", socketAnswer(1, { state: 8 }), 1000],
    ["a listener", socketAnswer(1, { state: 10 }), -ENOENT],
    ["a socket that is closing", socketAnswer(1, { state: 4 }), -ENOENT],
    ["a socket of another port", socketAnswer(1, { source: 1 }), -ENOENT],
    ["a socket connected to another port", socketAnswer(1, { target: 1 }), -ENOENT],
    ["a socket without an inode, which is nobody's", socketAnswer(1, { inode: 0 }), -ENOENT],
    ["nobody's socket of a high user", socketAnswer(1, { inode: 0, user: 2 ** 31 }), -ENOENT],
    ["root's socket", socketAnswer(1, { user: 0 }), 0],
  ] as const) {
    systemTest(`takes ${what} for ${wanted}`, [], (sys) => {
      const { owners, questions } = play(sys, [() => answer]);
      assert.equal(owners.peer(theirs, ours), wanted);
      assert.equal(questions.length, 1);
    });
  }

  systemTest("asks for its own socket to know whether the kernel can tell at all", [], (sys) => {
    const proven = play(sys, [
      () => errorAnswer(1, -ENOENT),
      () => socketAnswer(2, { source: ours.port, target: theirs.port }),
    ]);
    assert.equal(proven.owners.peer(theirs, ours), -ENOENT);
    assert.deepEqual(
      proven.questions.map((question) => [question[24], question[25]]),
      [
        [0xc3, 0x50],
        [0x1f, 0x90],
      ],
    );
    assert.equal(proven.owners.peer(theirs, ours), -EAGAIN, "and does not ask for it again");
    assert.equal(proven.questions.length, 3);
  });

  for (const [what, answers] of [
    ["no answer", []],
    ["an error number that is none", [() => errorAnswer(1, 0)]],
    ["an answer that is cut short", [() => socketAnswer(1, { size: 87 })]],
    ["octets that are no message", [() => new Uint8Array(19)]],
    ["an answer of another kind", [() => socketAnswer(1).fill(99, 4, 5)]],
    ["old answers alone", Array.from({ length: 9 }, () => () => socketAnswer(0))],
  ] as const) {
    systemTest(`goes by the tables after ${what}`, [], (sys) => {
      const { owners } = play(sys, answers);
      assert.equal(owners.peer(theirs, ours), -ENOENT); // the tables are there, and empty
    });
  }

  systemTest("passes over answers to questions of before", [], (sys) => {
    const stale = Array.from({ length: 7 }, () => () => socketAnswer(0, { user: 4 }));
    const { owners } = play(sys, [...stale, () => socketAnswer(1)]);
    assert.equal(owners.peer(theirs, ours), 1000);
    const many = [...stale, ...stale.slice(0, 1), () => socketAnswer(1)];
    assert.equal(play(sys, many).owners.peer(theirs, ours), -ENOENT, "but not over eight");
  });

  systemTest("tells what went wrong where the kernel has told before", [], (sys) => {
    for (const [answer, wanted] of [
      [-1, -1],
      [() => new Uint8Array(19), -EPROTO],
      [() => errorAnswer(2, -13).slice(0, 20), -13],
      [() => errorAnswer(2, -13).slice(0, 16), -EPROTO],
    ] as const) {
      const { owners } = play(sys, [() => socketAnswer(1), answer]);
      assert.equal(owners.peer(theirs, ours), 1000);
      assert.equal(owners.peer(theirs, ours), wanted);
    }
  });

  systemTest("takes no answer to a question that was not sent", [], (sys) => {
    const { owners } = play(sys, [() => socketAnswer(1), () => socketAnswer(2)], 77, -1);
    assert.equal(owners.peer(theirs, ours), -ENOENT);
  });

  systemTest("opens its socket once, whatever its number", [], (sys) => {
    const { owners, questions, closed } = play(
      sys,
      [1, 2].map((n) => () => socketAnswer(n)),
      0,
    );
    for (let i = 0; i < 2; i += 1) assert.equal(owners.peer(theirs, ours), 1000);
    assert.equal(questions.length, 2);
    owners.close();
    owners.close();
    assert.deepEqual(closed, [0]);
  });

  systemTest("finds a listener at its address, or at any", [], (sys) => {
    const listening = (sequence: number, target: number) =>
      socketAnswer(sequence, { state: 10, source: ours.port, target });
    const { owners, questions } = play(sys, [() => listening(1, 0), () => listening(2, 9)]);
    assert.equal(owners.listener(ours), 1000);
    assert.deepEqual([...(questions[0] ?? [])].slice(24, 28), [0x1f, 0x90, 0, 0]);
    assert.equal(owners.listener(ours), -ENOENT);
    const row = (place: string) =>
      `   0: ${place}:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000   7  0 3 1\n`;
    const root = play(sys, [
      () => socketAnswer(1, { state: 10, source: ours.port, target: 0, user: 0 }),
    ]);
    assert.equal(root.owners.listener(ours), 0);
    assert.equal(play(sys, [() => errorAnswer(1, -1)]).owners.listener(ours), -ENOENT);
    const elsewhere = new TcpOwners(withoutDiag(sys), () => row("281E140A"));
    assert.equal(elsewhere.listener({ address: 0x0a141e28, port: 0x1f90 }), 7);
    assert.equal(elsewhere.listener({ address: 0x0a141e29, port: 0x1f90 }), -ENOENT);
    for (const place of ["0100007F", "00000000"]) {
      const tables = new TcpOwners(withoutDiag(sys), () => row(place));
      assert.equal(tables.listener(ours), 7, place);
    }
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
    const compatible = "0000000000000000000000000100007F";
    const old = `${compatible}:1F90 ${compatible}:C350`;
    assert.equal(ownerInTable(row(old, "0A", "7", "43"), ends, [1, 10]), 7);
    const bare = `: ${ends} 01 0:0 0:0 0 5 0 6`;
    assert.equal(ownerInTable(bare, ends, [1]), 5, "without a head and an end");
  });

  test("is read at the socket's own row alone", () => {
    const fields = "01 00000000:00000000 00:00000000 00000000  1000        0 43 1";
    for (const start of [0, 29, 30, 90, 91]) {
      assert.equal(ownerInTable(`${" ".repeat(start)}${fields}\n`, ends, [1]), -ENOENT);
    }
    assert.equal(ownerInTable(`: ${ends} 01 0:0\n0:0 0 5 0 6\n`, ends, [1]), -ENOENT);
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
