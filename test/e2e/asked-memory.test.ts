/**
 * End to end: a sidecar that has been asked costs no more than one that was not, once nobody asks
 * any more. What answering brings back are pages of the program file.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { adminClient } from "../../src/admin/client.ts";
import { cannotRun, oursOnly } from "../support/e2e/setup.ts";
import { until } from "../support/e2e/shell.ts";
import { type Pod, withPod } from "../support/pod.ts";

const LIMIT = { timeout: 120_000 };
const PORT = 9100;
/** Pages come back as they are needed, so that no two looks are alike. */
const LESS_kib = 3072;

/** Resident memory that is pages of files, KiB. */
const ofFiles = (pod: Pod): number => pod.status("RssFile");

describe("serve: memory after being asked", { skip: cannotRun("curl") || oursOnly() }, () => {
  const ways: readonly [name: string, ask: (pod: Pod) => Promise<void>][] = [
    [
      "by a scrape",
      async (pod) => {
        const url = `http://127.0.0.1:${PORT}/metrics`;
        const { stdout } = await pod.host.run(["curl", "-sS", "-m", "10", url]);
        assert.match(stdout, /slirp_network_up/);
      },
    ],
    [
      "by the admin socket",
      async (pod) => {
        const admin = adminClient(join(pod.folder, "userdata", "admin.sock"));
        await admin.calls.getStats({});
        admin.close();
      },
    ],
  ];
  for (const [name, ask] of ways) {
    test(`${name}: what it has brought back goes by itself`, LIMIT, () =>
      withPod({ args: ["--metrics", `127.0.0.1:${PORT}`] }, async (pod) => {
        await pod.define({ link: "stream" });
        const started = ofFiles(pod);
        await until(() => ofFiles(pod) < started - LESS_kib, "what the start has left to go");
        const before = ofFiles(pod);
        await ask(pod);
        const grown = ofFiles(pod);
        assert.ok(grown > before + LESS_kib, `${before} KiB, then ${grown}`);
        // By itself the program looks again half a minute after its start.
        await until(() => ofFiles(pod) < grown - LESS_kib, "pages of the file to go", 15_000);
      }),
    );
  }
});
