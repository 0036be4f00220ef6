/**
 * The work of the hooks: octets of a domain and of a VMI in, octets of the changed domain out; the
 * data plane prepares in between.
 *
 * Calls run one after the other, since they may concern the same interfaces: `prepare` never runs
 * twice at a time. None waits for long, as nothing in a call waits for the guest or the network.
 * The event loop runs between two of them, so Info and Shutdown are answered; a call whose caller
 * has gone is dropped.
 */
import type { DataPlane } from "./data-plane.ts";
import { readDomain } from "./domain/document.ts";
import { applyEditsToUtf8, type Edit } from "./domain/edits.ts";
import { invalid, unsupported } from "./domain/errors.ts";
import { readMemory } from "./domain/memory.ts";
import { editDomain } from "./domain/mutate.ts";
import { type BindingPlan, derivePlans, type PlanContext } from "./domain/plan.ts";
import { readVmi, type Vmi } from "./domain/vmi.ts";
import type { DomainHooks } from "./domain-hooks.ts";

export interface DefineOptions {
  readonly dataPlane: DataPlane;
  /** The pod's own configuration, read for each call. */
  readonly context: () => PlanContext;
  /** Called for each Shutdown, before it is answered. */
  readonly onShutdown: () => void;
  /** Called once for each warning about a VMI whose values were corrected. */
  readonly onWarning?: (text: string) => void;
  /** Called once for each interface and the link it has. */
  readonly onLink?: (plan: BindingPlan) => void;
  /** Called after a call of `LARGE` octets or more, which leaves much garbage. */
  readonly onLarge?: () => void;
}

const LARGE = 1 << 20;
/** Warnings and links that are remembered, so that they are not repeated. */
const TOLD_COUNT_MAX = 512;

export function createDomainHooks(options: DefineOptions): DomainHooks {
  const { dataPlane, context, onShutdown } = options;
  const runInTurn = createSerialQueue();
  const isNew = withoutRepeats();
  const define = async (domain: Uint8Array, vmi: Uint8Array): Promise<Uint8Array> => {
    const xml = decode(domain, "domain XML");
    const machine = readVmi(decode(vmi, "VMI"));
    // A domain that cannot be changed leaves the data plane as it was.
    const { plans, edits } = attach(xml, machine, context());
    await dataPlane.prepare(plans);
    for (const plan of plans) {
      for (const text of plan.warnings) if (isNew(text)) options.onWarning?.(text);
      const { interfaceName, attachment, linkReason } = plan;
      if (isNew([interfaceName, attachment.kind, linkReason].join())) options.onLink?.(plan);
    }
    return applyEditsToUtf8(domain, xml, edits);
  };
  return {
    onDefineDomain: (domain, vmi, signal) =>
      runInTurn(async () => {
        try {
          return await define(domain, vmi);
        } finally {
          if (domain.length + vmi.length >= LARGE) options.onLarge?.();
        }
      }, signal),
    shutdown: async () => onShutdown(),
  };
}

/** A function of its own, so that the domain's tree is garbage before anybody waits. */
function attach(
  xml: string,
  vmi: Vmi,
  context: PlanContext,
): { readonly plans: readonly BindingPlan[]; readonly edits: readonly Edit[] } {
  const domain = readDomain(xml);
  const plans = derivePlans(vmi, readMemory(domain), context);
  return { plans, edits: editDomain(domain, vmi, plans) };
}

/** Whether a text comes for the first time; a single start of a VM defines it several times. */
function withoutRepeats(): (text: string) => boolean {
  const seen = new Set<string>();
  return (text) => {
    if (seen.has(text) || seen.size >= TOLD_COUNT_MAX) return false;
    seen.add(text);
    return true;
  };
}

/** A queue: each work runs when the one before has resolved or rejected. */
function createSerialQueue(): <T>(work: () => Promise<T>, signal?: AbortSignal) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work, signal) => {
    const result = last.then(async () => {
      if (signal?.aborted !== true) await new Promise((resolve) => setImmediate(resolve));
      if (signal?.aborted === true) throw unsupported("caller has gone");
      return work();
    });
    last = result.catch(() => {});
    return result;
  };
}

function decode(bytes: Uint8Array, what: string): string {
  try {
    // A byte order mark is kept: what came in goes out.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid(`parse ${what}: not UTF-8`);
  }
}
