/**
 * The hooks' work: octets of a domain and of a VMI in, octets of the changed domain out, with the
 * data plane told in between.
 *
 * Calls that arrive together are worked on one after the other, since they may be about the same
 * interfaces: the data plane is never asked twice at the same time. None waits for long, as nothing
 * in a call waits for the guest or for the network. Between two of them everything else of this
 * thread has its turn, Info and Shutdown first of all; a call whose caller has gone is dropped.
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
  /** What the pod tells about itself at this moment. */
  readonly context: () => PlanContext;
  /** Called for each Shutdown, before it is answered. */
  readonly onShutdown: () => void;
  /** Hears what of a machine was understood otherwise than written; once for each text. */
  readonly onWarning?: (text: string) => void;
  /** Called after a call of LARGE octets or more: what it has left in memory is large, too. */
  readonly onLarge?: () => void;
}

const LARGE = 1 << 20;
/** Warnings that are remembered as told. */
const TOLD_MAX = 256;

export function createDomainHooks(options: DefineOptions): DomainHooks {
  const { dataPlane, context, onShutdown } = options;
  const inTurn = oneAtATime();
  const warn = once(options.onWarning ?? (() => {}));
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
      inTurn(async () => {
        try {
          return await define(domain, vmi);
        } finally {
          if (domain.length + vmi.length >= LARGE) options.onLarge?.();
        }
      }, signal),
    shutdown: async () => onShutdown(),
  };
}

/** Hands on what it has not handed on before; one start of a machine defines it several times. */
function once(tell: (text: string) => void): (texts: readonly string[]) => void {
  const told = new Set<string>();
  return (texts) => {
    for (const text of texts) {
      if (told.has(text) || told.size >= TOLD_MAX) continue;
      told.add(text);
      tell(text);
    }
  };
}

/** Runs what it is given, each when the one before has ended well or not. */
function oneAtATime(): <T>(work: () => Promise<T>, signal?: AbortSignal) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work, signal) => {
    const result = last.then(async () => {
      if (signal?.aborted !== true) await new Promise((resolve) => setImmediate(resolve));
      if (signal?.aborted === true) throw unsupported("nobody waits for the answer any more");
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
