/**
 * End to end: rows of docs/operating.md about KubeVirt's sidecar: what it makes of a virtual
 * machine's domain, and why it refuses one.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { cannotRun, oursOnly } from "../support/e2e/setup.ts";
import { lookUntil } from "../support/operating/look.ts";
import { operatingRow } from "../support/operating/table.ts";
import { DOMAIN, type Pod, withPod } from "../support/pod.ts";

const LIMIT = { timeout: 60_000 };
/** As in a container: no variable says where the socket is. */
const JSON_LOG = { env: { SLIRP_LOG_FORMAT: "json", SLIRP_ADMIN: "" } };
const PRIVATE = '<memoryBacking><access mode="private"/></memoryBacking><os>';
const E1000 = { interfaces: [{ model: "e1000" }] };

/** In the sidecar's container the folder has the name that needs no flag. */
function inContainer({ folder }: Pod): { readonly prefix: readonly string[] } {
  const mount = `mount -t tmpfs none /run && mkdir /run/kubevirt-hooks &&
    mount --bind ${folder} /run/kubevirt-hooks && unset SLIRP_ADMIN && exec "$@"`;
  return { prefix: ["unshare", "-m", "sh", "-c", mount, "sh"] };
}

describe("docs/operating.md: the sidecar", { skip: cannotRun() || oursOnly() }, () => {
  test("35 a VM is slower than its neighbours: another link", LIMIT, () =>
    withPod(JSON_LOG, async (pod) => {
      const row = operatingRow("35");
      await pod.define({}, DOMAIN.replace("<os>", PRIVATE));
      await lookUntil(pod.host, row, inContainer(pod));
      await pod.shutdown();
      await pod.ended();
    }),
  );

  test("36 a VM does not start: the sidecar refuses its domain", LIMIT, () =>
    withPod(JSON_LOG, async (pod) => {
      const row = operatingRow("36");
      const domain = DOMAIN.replaceAll("virtio-non-transitional", "e1000");
      await pod.refuses({ ...E1000, link: "vhost-user" });
      await lookUntil(pod.host, row, inContainer(pod));
      assert.match(await pod.define({ ...E1000, link: "client" }, domain), /28500/);
      await pod.shutdown();
      await pod.ended();
    }),
  );
});
