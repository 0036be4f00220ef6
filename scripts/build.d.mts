/** Types of what tests take from build.mjs. */
export function deafen(octets: Buffer): Set<string>;
