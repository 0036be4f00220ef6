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
import { applyEditsToUtf8 } from "./domain/edits.ts";
import { invalid, unsupported } from "./domain/errors.ts";
import { editDomain } from "./domain/mutate.ts";
import { derivePlans, type PlanContext } from "./domain/plan.ts";
import { readVmi } from "./domain/vmi.ts";
import type { DomainHooks } from "./domain-hooks.ts";

export interface DefineOptions {
  readonly dataPlane: DataPlane;
  /** The pod's own configuration, read for each call. */
  readonly context: () => PlanContext;
  /** Called for each Shutdown, before it is answered. */
  readonly onShutdown: () => void;
  /** Called once for each warning about a VMI whose values were corrected. */
  readonly onWarning?: (text: string) => void;
  /** Called after a call of `LARGE` octets or more, which leaves much garbage. */
  readonly onLarge?: () => void;
}

const LARGE = 1 << 20;
/** Warnings that are remembered, so that they are not repeated. */
const WARNING_COUNT_MAX = 256;

export function createDomainHooks(options: DefineOptions): DomainHooks {
  const { dataPlane, context, onShutdown } = options;
  const runInTurn = createSerialQueue();
  const warn = withoutRepeats(options.onWarning ?? (() => {}));
  const define = async (domain: Uint8Array, vmi: Uint8Array): Promise<Uint8Array> => {
    const xml = decode(domain, "domain XML");
    const machine = readVmi(decode(vmi, "VMI"));
    const plans = derivePlans(machine, context());
    // A domain that cannot be changed leaves the data plane as it was.
    const edits = editDomain(xml, machine, plans);
    await dataPlane.prepare(plans);
    warn(plans.flatMap(({ warnings }) => warnings));
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

/** Passes each text on once; a single start of a VM defines it several times. */
function withoutRepeats(warn: (text: string) => void): (texts: readonly string[]) => void {
  const seen = new Set<string>();
  return (texts) => {
    for (const text of texts) {
      if (seen.has(text) || seen.size >= WARNING_COUNT_MAX) continue;
      seen.add(text);
      warn(text);
    }
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
