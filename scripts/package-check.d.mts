/** Types of what tests take from package-check.mjs. */
export function findings(tarball: string): Promise<string[]>;
