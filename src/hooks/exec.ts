/**
 * The hooks as programs: texts in, text out. KubeVirt's sidecar-shim runs one per call and sends on
 * what it prints, whether the program is in its image or a script from a ConfigMap.
 *
 * Such a program ends with its answer, so nothing is left that could carry frames: only QEMU's own
 * user networking works, unless a data plane runs elsewhere in the pod.
 */
import { quote } from "../config/errors.ts";
import { readDomain } from "./domain/document.ts";
import { applyEdits } from "./domain/edits.ts";
import { unsupported } from "./domain/errors.ts";
import { readMemory } from "./domain/memory.ts";
import { editDomain } from "./domain/mutate.ts";
import { derivePlans, type PlanContext } from "./domain/plan.ts";
import { readVmi } from "./domain/vmi.ts";

export const HOOK_NAMES = Object.freeze(["onDefineDomain", "preCloudInitIso"] as const);
export type HookName = (typeof HOOK_NAMES)[number];

/**
 * The domain to define, from the VMI's JSON and the domain's XML. Throws `HookError`.
 *
 * @param hasDataPlane whether another container of the pod carries the frames
 * @param onWarning hears what was understood otherwise than written
 */
export function onDefineDomain(
  vmi: string,
  domain: string,
  context: PlanContext,
  hasDataPlane: boolean,
  onWarning: (text: string) => void = () => {},
): string {
  const machine = readVmi(vmi);
  const parsed = readDomain(domain);
  const plans = derivePlans(machine, readMemory(parsed), context);
  for (const { interfaceName, attachment } of hasDataPlane ? [] : plans) {
    if (attachment.kind === "user") continue;
    throw unsupported(
      `iface ${quote(interfaceName)}: link ${quote(attachment.kind)} needs a data plane, which ` +
        'a hook program does not have: wanted "user" or "auto"',
    );
  }
  const changed = applyEdits(domain, editDomain(parsed, machine, plans));
  for (const { warnings } of plans) warnings.forEach(onWarning);
  return changed;
}

/** The cloud-init data, which a network binding has no reason to change. */
export function preCloudInitIso(cloudInit: string): string {
  return cloudInit;
}
