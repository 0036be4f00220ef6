/** A deliberate bug of the engine or the loop (`list.ts`). */

export interface Mutant {
  readonly name: string;
  /** Below `wasm/`; or the loop, by its path. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** What a user would see. */
  readonly why: string;
  /**
   * A seed that finds it, of those of SHARES not always the first: `npm run mutants` says which one
   * is.
   */
  readonly seed: number;
}
