/**
 * End to end: rows of docs/operating.md about KubeVirt's sidecar: what it makes of a virtual
 * machine's domain, and why it refuses one.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { cannotRun, oursOnly } from "../support/e2e/setup.ts";
import { logHas } from "../support/operating/look.ts";
import { operatingRow } from "../support/operating/table.ts";
import { DOMAIN, withPod } from "../support/pod.ts";

const LIMIT = { timeout: 60_000 };
const JSON_LOG = { env: { SLIRP_LOG_FORMAT: "json" } };
const PRIVATE = '<memoryBacking><access mode="private"/></memoryBacking><os>';
const E1000 = { interfaces: [{ model: "e1000" }] };

describe("docs/operating.md: the sidecar", { skip: cannotRun() || oursOnly() }, () => {
  test("35 a VM is slower than its neighbours: another link", LIMIT, () =>
    withPod(JSON_LOG, async (pod) => {
      const row = operatingRow("35");
      await pod.define({}, DOMAIN.replace("<os>", PRIVATE));
      await logHas(row, () => pod.log());
      await pod.shutdown();
      await pod.ended();
    }),
  );

  test("36 a VM does not start: the sidecar refuses its domain", LIMIT, () =>
    withPod(JSON_LOG, async (pod) => {
      const row = operatingRow("36");
      const domain = DOMAIN.replaceAll("virtio-non-transitional", "e1000");
      await pod.refuses({ ...E1000, link: "vhost-user" });
      await logHas(row, () => pod.log());
      assert.match(await pod.define({ ...E1000, link: "client" }, domain), /28500/);
      await pod.shutdown();
      await pod.ended();
    }),
  );
});
