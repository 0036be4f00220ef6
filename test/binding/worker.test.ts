/** What the worker of a guest network has in its log, read from a program that is nothing else. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe } from "node:test";
import { framed, unframed } from "../link/fake-socket.ts";
import { GUEST_MAC } from "../support/engine-settings.ts";
import { ethernet, MAC_BROADCAST } from "../support/packet.ts";
import { systemTest } from "../sys/support.ts";
import { listen } from "../upstream/rig.ts";
import { Program, peerAt, QUESTION, until, withProgram } from "./program.ts";

describe("worker", () => {
  systemTest("tells of the guest that comes, of others and of its end", [], () =>
    withProgram({}, async (program, path, link) => {
      await program.ready();
      const guest = peerAt(path);
      assert.deepEqual(await program.line("guest connected"), {
        level: "info",
        message: "guest connected",
        fields: { event: "guest_attached", link },
      });
      guest.write(QUESTION); // one that says nothing gives way after a while
      await new Promise((resolve) => guest.once("data", resolve));
      const second = peerAt(path);
      const refusal = "second connection refused: a guest is connected";
      assert.deepEqual(await program.line(refusal), {
        level: "warning",
        message: refusal,
        fields: { link },
      });
      second.destroy();
      guest.destroy();
      const { level, fields } = await program.line("guest disconnected");
      assert.deepEqual([level, fields["link"], fields["refused"]], ["info", link, 1]);
      assert.equal(typeof fields["reason"], "string");
    }),
  );

  systemTest("tells of a stream that makes no sense", [], () =>
    withProgram({}, async (program, path, link) => {
      const guest = peerAt(path);
      await program.line("guest connected");
      guest.write(Uint8Array.of(0, 0, 0, 1, 0));
      const { level, fields } = await program.line("guest disconnected: malformed stream");
      assert.deepEqual([level, fields["link"], "refused" in fields], ["warning", link, false]);
      assert.match(String(fields["reason"]), /\w/);
      guest.destroy();
    }),
  );

  systemTest("tells of peers that come and go quickly", [], () =>
    withProgram({}, async (program, path, link) => {
      const message = "peers connect and disconnect quickly, accepting them more slowly";
      let isTold = false;
      const told = program.line(message).then((line) => {
        isTold = true;
        return line;
      });
      while (!isTold) {
        const peer = peerAt(path);
        await new Promise((resolve) => peer.on("connect", resolve).on("error", resolve));
        peer.destroy();
      }
      assert.deepEqual(await told, { level: "warning", message, fields: { link } });
    }),
  );

  systemTest("tells of another user's connection, and what allows it", ["root"], () =>
    withProgram({}, async (program, path, link) => {
      const [uid, message] = [4711, "connection refused: user not allowed"];
      chmodSync(join(path, ".."), 0o755);
      chmodSync(path, 0o777);
      const script = `require("net").connect(${JSON.stringify(path)}).on("close", () => {})`;
      const command = ["--reuid", `${uid}`, "--clear-groups", "node", "-e", script];
      const stranger = spawn("setpriv", command, { stdio: "ignore" });
      assert.deepEqual(await program.line(message), {
        level: "warning",
        message,
        fields: { link, uid, remedy: `allow it with "--peer-uid ${uid}" if it is QEMU's` },
      });
      stranger.kill();
    }),
  );

  systemTest("tells once that nobody listens where it is to connect", [], async () => {
    const path = join(tmpdir(), "slirp-worker-nowhere", "vm.sock");
    const program = new Program({ connect: `unix:${path}` });
    const { level, fields } = await program.line("peer unreachable, retrying");
    assert.deepEqual([level, fields["link"]], ["warning", `unix:${path}`]);
    assert.match(String(fields["reason"]), /ENOENT/);
    await program.end();
  });

  systemTest("tells when published ports answer, and which are left out", [], async (sys) => {
    const [taken, free] = [listen(sys), listen(sys)];
    sys.close(free.fd);
    const publish = [taken, free].map(({ port }) => `127.0.0.1:${port}:80`).join(",");
    await withProgram({ publish }, async (program, path) => {
      const { level, fields } = await program.line("port not published");
      const port = `127.0.0.1:${taken.port}/tcp`;
      assert.equal(level, "warning");
      assert.match(String(fields["problem"]), new RegExp(`^Publish port "${port}"`));
      assert.equal("remedy" in fields, false);
      const guest = peerAt(path);
      guest.write(QUESTION);
      assert.equal((await program.line("guest is there, published ports answer")).level, "info");
      guest.destroy();
      assert.equal((await program.line("guest has gone, published ports refuse")).level, "info");
    });
    sys.close(taken.fd);
  });

  systemTest("says farewell to the guest when it ends", [], async () => {
    const chunks: Uint8Array[] = [];
    await withProgram({}, async (program, path) => {
      const guest = peerAt(path);
      guest.on("data", (chunk: Uint8Array) => chunks.push(chunk));
      await program.line("guest connected");
      await until(
        () => advertisements(chunks).length > 0,
        () => "an advertisement",
      );
      await program.end();
    });
    const lifetimes = advertisements(chunks).map(
      (frame) => (frame[60] ?? 0) * 256 + (frame[61] ?? 0),
    );
    assert.ok((lifetimes[0] ?? 0) > 0, "it is a router while it runs");
    assert.equal(lifetimes.at(-1), 0, "and none at the end");
  });

  systemTest("tells that it records, and why that ends", [], async () => {
    const folder = mkdtempSync(join(tmpdir(), "slirp-worker-"));
    const record = join(folder, "a.rec");
    const listenAt = `unix:${join(folder, "vm.sock")}`;
    const program = new Program({ listen: listenAt, record, "record-limit": "1" });
    assert.deepEqual(await program.line("recording"), {
      level: "info",
      message: "recording",
      fields: { file: record },
    });
    const guest = peerAt(join(folder, "vm.sock"));
    await program.line("guest connected");
    const frame = framed(
      ethernet(
        { destination: MAC_BROADCAST, source: GUEST_MAC, type: 0x88b5 },
        new Uint8Array(1400),
      ),
    );
    let isOver = false;
    const over = program.line("recording stopped: limit reached").then((line) => {
      isOver = true;
      return line;
    });
    while (!isOver) {
      await new Promise((resolve) => guest.write(frame, resolve));
    }
    const { level, fields } = await over;
    const octets = Number(fields["octets"]);
    assert.deepEqual([level, fields["file"]], ["info", record]);
    assert.ok(octets <= 1 << 20 && octets > (1 << 20) - 65_536, String(octets));
    guest.destroy();
    await program.end();
    rmSync(folder, { recursive: true });
  });
});

/** Router advertisements among the frames that came. */
function advertisements(chunks: readonly Uint8Array[]): Uint8Array[] {
  const { frames } = unframed(Buffer.concat(chunks));
  // IPv6, ICMPv6, type 134; the lifetime is 6 octets into it.
  return frames.filter((f) => f[12] === 0x86 && f[13] === 0xdd && f[20] === 58 && f[54] === 134);
}
