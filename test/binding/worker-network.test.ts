/** What the worker does for a guest in time: dials again, listens, repeats itself, ends. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe } from "node:test";
import { startBinding } from "../../src/binding/binding.ts";
import { readAttachOptions } from "../../src/config/attach.ts";
import { settingsOf } from "../config/support.ts";
import { framed, unframed } from "../link/fake-socket.ts";
import { GATEWAY, GATEWAY_MAC, GUEST, GUEST_MAC } from "../support/engine-settings.ts";
import { ETHERTYPE_IPV4, ethernet, ipv4, PROTOCOL_UDP, udp } from "../support/packet.ts";
import { systemTest } from "../sys/support.ts";
import { listen } from "../upstream/rig.ts";
import { Program, peerAt, QUESTION, until, withProgram } from "./program.ts";

const TFTP_PORT = 69;
const FROM = 2000;

/** Ports that something of this network namespace listens at, by the kernel's word. */
function listening(file: "tcp" | "tcp6"): Set<number> {
  const rows = readFileSync(`/proc/net/${file}`, "utf8").split("\n").slice(1);
  const fields = rows.map((row) => row.trim().split(/\s+/));
  return new Set(
    fields.flatMap(([, local = "", , state]) =>
      state === "0A" ? [Number.parseInt(local.split(":")[1] ?? "", 16)] : [],
    ),
  );
}

/** A request for a file of the gateway's TFTP service. */
function tftpRequest(name: string): Uint8Array {
  const payload = new TextEncoder().encode(`\0\u0001${name}\0octet\0`);
  const ports = { sourcePort: FROM, destinationPort: TFTP_PORT };
  const ends = { source: GUEST, destination: GATEWAY };
  const packet = ipv4({ ...ends, protocol: PROTOCOL_UDP }, udp({ ...ends, ...ports }, payload));
  return framed(
    ethernet({ destination: GATEWAY_MAC, source: GUEST_MAC, type: ETHERTYPE_IPV4 }, packet),
  );
}

describe("the worker of a network", () => {
  systemTest("dials again until somebody listens", [], async () => {
    const folder = mkdtempSync(join(tmpdir(), "slirp-worker-"));
    const path = join(folder, "vm.sock");
    const program = new Program({ connect: `unix:${path}`, "log-level": "debug" });
    await program.line("peer unreachable, retrying");
    assert.ok(Number((await program.line("own addresses read")).fields["addresses"]) > 0);
    const server = createServer();
    const arrival = new Promise<Socket>((resolve) => server.once("connection", resolve));
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const peer = await arrival;
    assert.equal((await program.line("guest connected")).fields["link"], `unix:${path}`);
    peer.destroy();
    server.close();
    await program.end();
    rmSync(folder, { recursive: true });
  });

  systemTest("listens with the versions of IP that its network has", [], async (sys) => {
    const { fd, port } = listen(sys);
    sys.close(fd);
    for (const [more, four, six] of [
      [{}, true, true],
      [{ "no-ipv6": "true" }, true, false],
    ] as const) {
      await withProgram({ publish: `${port}:80`, ...more }, async (program, path) => {
        const guest = peerAt(path);
        guest.write(QUESTION);
        await program.line("guest is there, published ports answer");
        const found = () => [listening("tcp").has(port), listening("tcp6").has(port)];
        const wanted = [four, six];
        // They follow within the turn that the line is of.
        await until(
          () => String(found()) === String(wanted),
          () => `[tcp, tcp6] ${found()} to be ${wanted}`,
        );
        guest.destroy();
      });
    }
  });

  systemTest("says what lets a port below 1024 be published", ["root"], async () => {
    const nobody = ["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups"];
    const prefix = [...nobody, "--bounding-set=-all", "--inh-caps=-all"];
    await withProgram(
      { publish: "127.0.0.1:1:80" },
      async (program) => {
        const { level, fields } = await program.line("port not published");
        assert.equal(level, "warning");
        assert.match(String(fields["problem"]), /^Publish port "127\.0\.0\.1:1\/tcp"/);
        assert.equal(fields["remedy"], "lower net.ipv4.ip_unprivileged_port_start in the pod");
      },
      // Ports are everybody's in some containers, so in a network of its own.
      ["unshare", "--net", ...prefix],
    );
  });

  systemTest("sends a block of a file again that nobody acknowledges", [], async () => {
    const folder = mkdtempSync(join(tmpdir(), "slirp-worker-"));
    writeFileSync(join(folder, "boot"), "what is booted");
    await withProgram({ tftp: folder }, async (program, path) => {
      await program.ready();
      const guest = peerAt(path);
      const chunks: Uint8Array[] = [];
      guest.on("data", (chunk: Uint8Array) => chunks.push(chunk));
      guest.write(QUESTION);
      guest.write(tftpRequest("boot"));
      const blocks = (): number => {
        const { frames } = unframed(Buffer.concat(chunks));
        return frames.filter((frame) => Buffer.from(frame).includes("what is booted")).length;
      };
      await until(
        () => blocks() >= 2,
        () => `${blocks()} blocks`,
      );
      guest.destroy();
    });
    rmSync(folder, { recursive: true });
  });

  systemTest("does not begin where what leaves is to leave by what is not there", [], async () => {
    const wishes = { "outbound-interface": "none0", "log-level": "error" };
    const asked = { listen: "tcp:127.0.0.1:0", ...wishes };
    const binding = await startBinding(readAttachOptions(settingsOf(asked), false), {
      ...{ seed: new Array<number>(32).fill(1), program: process.execPath, uid: 0, helper: [] },
      memoryGroup: undefined,
    });
    await assert.rejects(binding.ended, /--outbound-interface "none0"/);
    await assert.rejects(binding.ready, /--outbound-interface "none0"/);
  });

  systemTest("ends when whoever wants it has closed its descriptor", [], async () => {
    const folder = mkdtempSync(join(tmpdir(), "slirp-worker-"));
    const fifo = join(folder, "wanted");
    execFileSync("mkfifo", [fifo]);
    const wish = openSync(fifo, "r+");
    const program = new Program({ listen: `unix:${join(folder, "vm.sock")}`, "exit-fd": "4" }, [
      "sh",
      "-c",
      `exec "$@" 4<'${fifo}'`,
      "sh",
    ]);
    await program.ready();
    closeSync(wish);
    const { level, fields } = await program.line("shutting down");
    const reason = "the other end of descriptor 4 has been closed";
    assert.deepEqual([level, fields["reason"]], ["info", reason]);
    assert.equal(await program.ended, 0);
    rmSync(folder, { recursive: true });
  });
});
