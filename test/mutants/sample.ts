/** A seeded sample of the changes that can be made to the files of a folder. */
import { Random } from "../fuzz/random.ts";
import { EQUIVALENT, type Equivalent } from "./equivalent.ts";
import { applyMutation, lineOf, lines, type Mutation, sitesOf } from "./mutations.ts";

/** A file of the project as it is. */
export interface SourceFile {
  /** From the root of the project. */
  readonly file: string;
  readonly text: string;
}

/** One change of one file, as it is reported. */
export interface Change {
  readonly file: string;
  /** Folder below `src` or `wasm`. */
  readonly folder: string;
  readonly line: number;
  readonly kind: string;
  /** The lines that change, without indentation, before and after. */
  readonly from: string;
  readonly to: string;
}

/** A change that is put in a source's place. */
export interface Mutant extends Change {
  /** The whole file with the change. */
  readonly text: string;
}

function mutantOf({ file, text }: SourceFile, folder: string, mutation: Mutation): Mutant {
  return {
    file,
    folder,
    line: lineOf(text, mutation.start),
    kind: mutation.kind,
    ...lines(text, mutation),
    text: applyMutation(text, mutation),
  };
}

/** True where the list says that nothing can tell the mutant from what it was. */
export function isEquivalent(mutant: Change, known: readonly Equivalent[] = EQUIVALENT): boolean {
  return known.some(
    ({ file, from, to }) => file === mutant.file && from === mutant.from && to === mutant.to,
  );
}

/** 32 bits of a name, so that each folder has a sample of its own (FNV-1a). */
function streamOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const octet of new TextEncoder().encode(name)) {
    hash = Math.imul(hash ^ octet, 0x01000193);
  }
  return hash >>> 0;
}

/** The same items in an order that chance gives. */
export function* shuffled<Item>(items: readonly Item[], random: Random): Generator<Item> {
  const rest = [...items];
  for (let left = rest.length; left > 0; left--) {
    const index = random.below(left);
    const [taken, last] = [rest[index], rest[left - 1]];
    if (taken === undefined || last === undefined) return;
    rest[index] = last;
    yield taken;
  }
}

/**
 * Mutants of a folder's files in an order that the seed gives: one for each place that can be
 * changed. A prefix of them is a fair sample.
 */
export function* sample(
  folder: string,
  files: readonly SourceFile[],
  seed: number,
): Generator<Mutant> {
  const random = new Random(seed, streamOf(folder));
  const sites = files.flatMap((source) =>
    sitesOf(source.file, source.text).map((site) => ({ source, site })),
  );
  for (const { source, site } of shuffled(sites, random)) {
    const mutation = site[random.below(site.length)];
    if (mutation !== undefined) yield mutantOf(source, folder, mutation);
  }
}
