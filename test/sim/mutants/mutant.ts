/** A deliberate bug of the engine, the loop or the vhost-user link (`list.ts`). */

export interface Mutant {
  readonly name: string;
  /** Below `wasm/`; or by its path below `src/`. */
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
