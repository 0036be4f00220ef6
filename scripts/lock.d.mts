/** Types of what tests take from lock.mjs. */
interface Entry {
  readonly version?: string;
  readonly integrity?: string;
}
export function unsealed(lock: { readonly packages: Readonly<Record<string, Entry>> }): string[];
