/** Who has a port, by tables as the kernel writes them, and by the kernel's own. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import process from "node:process";
import { describe, test } from "node:test";
import { mappedOctetsOf, octetsOfIpv6, readIpv6 } from "../../src/lib/addr6.ts";
import { findPortOwner, type OwnerSources, ownerText } from "../../src/sys/port-owner.ts";

const HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n";
const ANY4 = { family: 4, octets: mappedOctetsOf(0) } as const;
const ANY6 = { family: 6, octets: new Uint8Array(16) } as const;
const LOCAL = { family: 4, octets: mappedOctetsOf(0x7f000001) } as const;
const OTHER = { family: 4, octets: mappedOctetsOf(0xc0000201) } as const;
const GLOBAL = { family: 6, octets: octetsOfIpv6(readIpv6("2001:db8::1") ?? []) } as const;
/** As the tables write addresses. */
const AT_ANY = "00000000";
const AT_LOCAL = "0100007F";
const AT_ANY6 = "0".repeat(32);
const AT_GLOBAL = "B80D0120000000000000000001000000";

function row(at: string, state: string, inode: number, uid = 33): string {
  const rest = "00000000:00000000 00:00000000 00000000";
  const none = "0".repeat(at.length);
  return `   0: ${at}:1F90 ${none}:0000 ${state} ${rest} ${uid}        0 ${inode} 1 0000\n`;
}

interface Made {
  readonly tcp?: string;
  readonly tcp6?: string;
  readonly udp?: string;
  /** Descriptors by process, and what the links say. */
  readonly processes?: Readonly<Record<number, readonly string[]>>;
  readonly name?: string;
}

function sources({ processes = {}, name = "nginx\n", ...tables }: Made): OwnerSources {
  const missing = (path: string): never => {
    throw new Error(`no ${path}`);
  };
  return {
    read: (path) => {
      if (path.endsWith("/comm")) return name;
      const table = tables[path.replace("/proc/thread-self/net/", "") as keyof typeof tables];
      return table === undefined ? missing(path) : HEAD + table;
    },
    list: (path) => {
      if (path === "/proc") return [...Object.keys(processes), "net", "self"];
      const pid = Number(/^\/proc\/(\d+)\/fd$/.exec(path)?.[1]);
      return (processes[pid] ?? missing(path)).map((_, fd) => `${fd}`);
    },
    link: (path) => {
      const [, pid, fd] = /^\/proc\/(\d+)\/fd\/(\d+)$/.exec(path) ?? [];
      return processes[Number(pid)]?.[Number(fd)] ?? missing(path);
    },
  };
}

describe("port owner", () => {
  test("the listener is told by process, name, address and user", () => {
    const made = sources({
      tcp: row(AT_LOCAL, "01", 7) + row(AT_LOCAL, "0A", 4711),
      processes: { 12: ["pipe:[1]"], 34: ["/dev/null", "socket:[4711]"] },
    });
    const owner = findPortOwner("tcp", [LOCAL], 8080, made);
    const wanted = {
      at: "127.0.0.1:8080",
      uid: 33,
      process: { pid: 34, name: "nginx", isOwn: false },
    };
    assert.deepEqual(owner, wanted);
    assert.equal(owner && ownerText(owner), '"nginx" (pid 34) has 127.0.0.1:8080');
  });

  test("a process that may not be looked at is told by its user", () => {
    const made = sources({ tcp: row(AT_ANY, "0A", 4711, 0), processes: { 12: [] } });
    const owner = findPortOwner("tcp", [ANY4], 8080, made);
    assert.equal(owner && ownerText(owner), "a process of user 0 has 0.0.0.0:8080");
  });

  test("only what is in the way counts", () => {
    for (const [at, wanted, isInWay] of [
      [AT_ANY, LOCAL, true],
      [AT_LOCAL, ANY4, true],
      [AT_LOCAL, LOCAL, true],
      [AT_LOCAL, OTHER, false],
      [AT_LOCAL, ANY6, false],
      [AT_ANY, ANY6, false],
    ] as const) {
      const owner = findPortOwner("tcp", [wanted], 8080, sources({ tcp: row(at, "0A", 5) }));
      assert.equal(owner !== undefined, isInWay, `${at} ${wanted.family}`);
    }
    for (const [at, wanted, isInWay] of [
      [AT_ANY6, LOCAL, true],
      [AT_ANY6, GLOBAL, true],
      [AT_GLOBAL, GLOBAL, true],
      [AT_GLOBAL, ANY6, true],
      [AT_GLOBAL, ANY4, false],
    ] as const) {
      const owner = findPortOwner("tcp", [wanted], 8080, sources({ tcp6: row(at, "0A", 5) }));
      assert.equal(owner !== undefined, isInWay, `${at} ${wanted.family}`);
    }
    const made = sources({ tcp6: row(AT_GLOBAL, "0A", 5) });
    assert.equal(findPortOwner("tcp", [ANY6], 8080, made)?.at, "[2001:db8::1]:8080");
  });

  test("another port, a socket that nobody has open, another protocol, no table: nobody", () => {
    const listens = row(AT_ANY, "0A", 5);
    assert.equal(findPortOwner("tcp", [ANY4], 8081, sources({ tcp: listens })), undefined);
    assert.equal(findPortOwner("udp", [ANY4], 8080, sources({ tcp: listens })), undefined);
    const waits = row(AT_ANY, "06", 0);
    assert.equal(findPortOwner("tcp", [ANY4], 8080, sources({ tcp: waits })), undefined);
    assert.equal(findPortOwner("tcp", [ANY4], 8080, sources({})), undefined);
    const broken = sources({ tcp: "rubbish\n   0: 00:1F90 x\n" });
    assert.equal(findPortOwner("tcp", [ANY4], 8080, broken), undefined);
  });

  test("of UDP the socket that is not connected", () => {
    const udp = row(AT_LOCAL, "01", 5, 1) + row(AT_LOCAL, "07", 6, 2);
    assert.equal(findPortOwner("udp", [LOCAL], 8080, sources({ udp }))?.uid, 2);
  });

  test("a name is no more than a name", () => {
    const name = 'x" \u001b[31m\nerror and much more\n';
    const processes = { 34: ["socket:[5]"] };
    const made = sources({ tcp: row(AT_ANY, "0A", 5), processes, name });
    const owner = findPortOwner("tcp", [ANY4], 8080, made);
    assert.match(owner?.process?.name ?? "", /^[ !#-~]{1,15}$/);
  });

  test("the search ends", () => {
    const links = new Array<string>(100_000).fill("pipe:[1]");
    let looked = 0;
    const made = sources({ tcp: row(AT_ANY, "0A", 5), processes: { 34: links } });
    const link = (path: string): string => {
      if (path.includes("/fd/")) looked += 1;
      return made.link(path);
    };
    assert.equal(findPortOwner("tcp", [ANY4], 8080, { ...made, link })?.process, undefined);
    assert.equal(looked, 32_768);
  });

  test("this program's own sockets, by the kernel's tables", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    const socket = createSocket("udp4").bind(0, "127.0.0.1");
    await Promise.all([once(server, "listening"), once(socket, "listening")]);
    const address = server.address();
    const port = typeof address === "object" ? (address?.port ?? 0) : 0;
    for (const owner of [
      findPortOwner("tcp", [ANY4], port),
      findPortOwner("udp", [LOCAL], socket.address().port),
    ]) {
      assert.deepEqual([owner?.process?.pid, owner?.process?.isOwn], [process.pid, true]);
      assert.match(ownerText(owner ?? assert.fail()), /^this program itself has 127\.0\.0\.1:\d+$/);
    }
    server.close();
    socket.close();
  });
});
