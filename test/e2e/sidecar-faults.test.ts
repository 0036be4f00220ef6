/**
 * What goes wrong around the sidecar, and what it does then: an engine that breaks, calls that are
 * cut off, folders that cannot be written to, ports it may not have. Each time the log says so, the
 * rest goes on, and the end is one with code 0.
 */
import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, test } from "node:test";
import { breakEngine } from "../support/break-engine.ts";
import { udpEcho } from "../support/e2e/peers.ts";
import { cannotRun } from "../support/e2e/setup.ts";
import { attempt, endAll, must, onEnd, until } from "../support/e2e/shell.ts";
import { HOST_ADDRESS, setSysctls } from "../support/e2e/world.ts";
import { launch } from "../support/hook-program.ts";
import { DOMAIN, ON_DEFINE, type Pod, vmiOf, withPod } from "../support/pod.ts";
import { message } from "../support/protobuf.ts";

const LIMIT = { timeout: 120_000 };
const USER = 107;
const STREAM = { link: "stream" } as const;
const CUT_CALLS = 10;
/** Its HTTP/2 server does not tell of calls that are cut off. */
const isDeno = process.env["SLIRP_RUNTIME"] === "deno";

/** Begins OnDefineDomain as grpc-go would, sends that much of the message, and is gone. */
async function cutOff(path: string, share: number): Promise<void> {
  const body = message([1, DOMAIN], [2, vmiOf(STREAM)]);
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(body.length, 1);
  const octets = Buffer.concat([frame, body]);
  const session = connectHttp2("http://localhost", { createConnection: () => connect(path) });
  session.on("error", () => {});
  const headers = { ":method": "POST", ":path": ON_DEFINE, te: "trailers" };
  const stream = session.request({ ...headers, "content-type": "application/grpc" });
  stream.on("error", () => {});
  const part = octets.subarray(0, Math.ceil(share * octets.length));
  await new Promise((resolve) => stream.write(part, resolve));
  if (share === 1) stream.end();
  // An answer to this says that the sidecar has what came before it: the call is cut in the middle.
  else if (!isDeno) await new Promise((resolve) => session.ping(resolve));
  const closed = new Promise((resolve) => session.once("close", resolve));
  session.destroy();
  await closed;
}

/** A file system of so many files, mounted; `undo` takes it away. */
function mountTiny(inodes: number): { readonly folder: string; undo(): void } {
  const folder = mkdtempSync(join(tmpdir(), "hooks-"));
  const undo = (): void => {
    attempt(["umount", "-l", folder]);
    rmSync(folder, { recursive: true, force: true });
  };
  const forget = onEnd(undo);
  must(["mount", "-t", "tmpfs", "-o", `size=64k,nr_inodes=${inodes},mode=0777`, "tiny", folder]);
  return {
    folder,
    undo: () => {
      forget();
      undo();
    },
  };
}

async function ends(pod: Pod): Promise<string> {
  pod.serve.running.signal("SIGINT");
  const outcome = await pod.serve.running.outcome();
  assert.equal(outcome.code, 0, outcome.stderr);
  return outcome.stderr;
}

describe("sidecar: faults inside", { skip: cannotRun() }, () => {
  after(endAll);

  test("an engine that breaks is replaced, guest and link stay, the others go on", LIMIT, () =>
    withPod({}, async (pod) => {
      const cidrs = ["10.1.2.0/24", "10.3.4.0/24"];
      await pod.define({ ...STREAM, interfaces: [{}, {}], cidrs });
      const other = await pod.onlineGuest(1);
      const guest = await pod.onlineGuest(0);
      let descriptors = 0;
      for (let times = 1; times <= 3; times += 1) {
        await guest.echo(pod.target, "before");
        // The first ones also open what stays open for good.
        if (times === 2) descriptors = pod.openDescriptors();
        await breakEngine(pod.pid, "10.1.2");
        // The first datagram ends the engine, another one is answered.
        await guest.echo(pod.target, "over the same link");
        await pod.logged("packet engine failed, restarted ", times);
        await other.echo(pod.target, "not concerned");
      }
      await pod.define({ ...STREAM, interfaces: [{}, {}], cidrs });
      assert.equal(pod.count("guest connected"), 2);
      await until(
        () => pod.openDescriptors() <= descriptors,
        () => `${pod.openDescriptors()} descriptors to become ${descriptors}`,
      );
      await other.echo(pod.target, "still not concerned");
      assert.equal(pod.count("settings have changed"), 0);
      await pod.shutdown();
      await pod.ended();
    }),
  );

  test("an engine that breaks while the machine powers off does not end the wait", LIMIT, () =>
    withPod({}, async (pod) => {
      await pod.define({ ...STREAM, cidrs: ["10.1.2.0/24"] });
      const guest = await pod.onlineGuest();
      pod.serve.running.signal("SIGTERM");
      await pod.logged("SIGTERM received");
      await breakEngine(pod.pid, "10.1.2");
      await guest.echo(pod.target, "served on");
      await pod.logged("packet engine failed, restarted ");
      guest.close();
      await pod.ended();
    }),
  );

  test("a launcher that is gone without Shutdown, with its QEMU, is not waited for", LIMIT, () =>
    withPod({ env: { SLIRP_ABANDON: "1" } }, async (pod) => {
      await pod.define(STREAM);
      const guest = await pod.onlineGuest();
      await guest.echo(pod.target, "longer than a second");
      guest.close();
      await pod.logged("no hook call and no guest for 1 s");
      await pod.ended();
    }),
  );

  test("calls that are cut off leave the network as it is", LIMIT, () =>
    withPod({}, async (pod) => {
      await pod.define(STREAM);
      const guest = await pod.onlineGuest();
      for (let at = 0; at < CUT_CALLS; at += 1)
        await cutOff(pod.serve.path, at % 2 === 0 ? 0.5 : 1);
      if (!isDeno) await pod.logged(`call aborted path=${ON_DEFINE}`);
      await pod.define(STREAM);
      await guest.echo(pod.target, "untouched");
      assert.equal(pod.count("guest connected"), 1);
      assert.doesNotMatch(pod.log(), /^error/m);
      await pod.shutdown();
      await pod.ended();
    }),
  );
});

describe("sidecar: without privileges", { skip: cannotRun("setpriv") }, () => {
  after(endAll);

  test("low ports are left out with a remedy, the machine works", LIMIT, () =>
    withPod({ user: USER }, async (pod) => {
      setSysctls(pod.host, { "net.ipv4.ip_unprivileged_port_start": "1024" });
      const ports = [{ port: 80 }, { port: 53, protocol: "UDP" }, { port: 5353, protocol: "UDP" }];
      await pod.define({ ...STREAM, interfaces: [{ ports }] });
      const guest = await pod.onlineGuest();
      guest.serveEcho(5353);
      const report = await udpEcho(pod.host, HOST_ADDRESS, 5353, [100]);
      assert.equal(report.ok, 1, JSON.stringify(report));
      for (const port of ["80", "53"]) {
        const line = new RegExp(
          `^warn +port not published problem=".*:${port}\\b.*" remedy="lower `,
          "m",
        );
        assert.match(pod.log(), line);
      }
      await pod.shutdown();
      await pod.ended();
    }),
  );

  test("a port that is taken is left out as well", LIMIT, () =>
    withPod({ user: USER }, async (pod) => {
      const { port } = pod.target;
      const taken = { port, protocol: "UDP" };
      await pod.define({ ...STREAM, interfaces: [{ ports: [taken, { port: 8080 }] }] });
      await pod.onlineGuest();
      assert.match(pod.log(), new RegExp(`^warn +port not published problem=".*:${port}\\b`, "m"));
      assert.equal(pod.count("port not published"), 1);
      await pod.shutdown();
      await pod.ended();
    }),
  );
});

describe("sidecar: the hooks folder", { skip: cannotRun("mount") }, () => {
  after(endAll);

  test("is read-only from the start", LIMIT, async () => {
    const { folder, undo } = mountTiny(100);
    try {
      must(["mount", "-o", "remount,ro", folder]);
      const outcome = await launch({ folder }).outcome(20_000);
      assert.equal(outcome.code, 1);
      assert.match(outcome.stderr, /^slirp-binding: cannot listen on ".*": EROFS\n$/);
    } finally {
      undo();
    }
  });

  test("becomes read-only: stream is refused, client works, the end is clean", LIMIT, async () => {
    const { folder, undo } = mountTiny(100);
    try {
      await withPod({ folder }, async (pod) => {
        must(["mount", "-o", "remount,ro", folder]);
        const { code, text } = await pod.refuses(STREAM);
        assert.equal(code, "FAILED_PRECONDITION");
        assert.match(text, /^iface "slirpnet": (?:make folder|Listen on) ".*userdata.*EROFS/);
        await pod.define({ link: "client" });
        const guest = await pod.clientGuest();
        await guest.lease();
        await guest.echo(pod.target, "hello");
        await pod.shutdown();
        const outcome = await pod.serve.running.outcome();
        assert.equal(outcome.code, 0, outcome.stderr);
      });
    } finally {
      undo();
    }
  });

  test("is full", LIMIT, async () => {
    const { folder, undo } = mountTiny(2);
    try {
      await withPod({ folder }, async (pod) => {
        const { code, text } = await pod.refuses(STREAM);
        assert.equal(code, "FAILED_PRECONDITION");
        assert.match(text, /^iface "slirpnet": make folder ".*\/userdata": .*ENOSPC/);
        await pod.define({ link: "client" });
        const guest = await pod.clientGuest();
        await guest.lease();
        await pod.shutdown();
        await pod.ended();
        writeFileSync(join(folder, "full"), "");
        const next = await launch({ folder }).outcome(20_000);
        assert.equal(next.code, 1);
        assert.match(next.stderr, /^slirp-binding: cannot listen on ".*": ENOSPC\n$/);
      });
    } finally {
      undo();
    }
  });

  test("has no room for the link's socket", LIMIT, async () => {
    const { folder, undo } = mountTiny(3);
    try {
      await withPod({ folder }, async (pod) => {
        const { code, text } = await pod.refuses(STREAM);
        assert.equal(code, "FAILED_PRECONDITION");
        assert.match(text, /^iface "slirpnet": Listen on "unix:.*": no space .*\(ENOSPC\)$/);
        await pod.shutdown();
        await pod.ended();
      });
    } finally {
      undo();
    }
  });

  test("is of others from some time on", LIMIT, async () => {
    await withPod({ user: USER }, async (pod) => {
      const { folder } = pod;
      await pod.define(STREAM);
      const guest = await pod.onlineGuest();
      chownSync(folder, 0, 0);
      chmodSync(folder, 0o755);
      await pod.define(STREAM);
      await guest.echo(pod.target, "hello");
      await pod.shutdown();
      const outcome = await pod.serve.running.outcome();
      assert.equal(outcome.code, 0, outcome.stderr);
    });
  });

  test("is gone: what runs goes on", LIMIT, () =>
    withPod({}, async (pod) => {
      await pod.define(STREAM);
      const guest = await pod.onlineGuest();
      rmSync(pod.folder, { recursive: true });
      await guest.echo(pod.target, "hello");
      guest.close();
      await pod.logged("guest disconnected");
      assert.doesNotMatch(await ends(pod), /^error/m);
    }),
  );
});
