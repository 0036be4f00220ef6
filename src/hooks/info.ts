/**
 * The first question of virt-launcher: what this sidecar is called for, and in which versions.
 *
 * Only what is listed here is called. PreCloudInitIso is not: the launcher asks just one sidecar
 * for it, and somebody else may need it. v1alpha1 is served but not announced, since every launcher
 * that can load a binding knows v1alpha2.
 */
import type { ConnectRouter } from "@connectrpc/connect";
import { Info } from "./gen/kubevirt/hooks/info/info_pb.js";

/** Appears in the launcher's log. */
const SIDECAR_NAME = "slirp";
const VERSIONS = ["v1alpha3", "v1alpha2"];
const HOOK_POINTS = ["OnDefineDomain", "Shutdown"];

export function addInfo(router: ConnectRouter): void {
  const hookPoints = HOOK_POINTS.map((name) => ({ name, priority: 0 }));
  router.service(Info, { info: () => ({ name: SIDECAR_NAME, hookPoints, versions: VERSIONS }) });
}
