/** Types of what tests take from package-jsr.mjs. */
export function stageJsr(): string;
